// Which daemons a deployment has and who asks whom: the two tables that `qscd up` carries out. Nobody is connected to
// anybody but by a row here [SAM-22]. Thread rules: constants.
#pragma once

#include <array>
#include <chrono>
#include <string_view>

namespace qscd::supervisor {

// In the order of starting; stopping goes the other way, so the gateway opens last and closes first. The place in this
// table fixes the daemon's user: append, never reorder.
inline constexpr std::array<std::string_view, 6> product_daemons{"notifierd", "samd",    "cad",
                                                                 "rad",       "statusd", "gatewayd"};

struct Link {
    std::string_view asks, answers;
};
inline constexpr std::array product_links{
    Link{"gatewayd", "samd"}, Link{"gatewayd", "rad"}, Link{"samd", "notifierd"},
    Link{"rad", "notifierd"}, Link{"cad", "statusd"},
};

// Between a daemon's end and its next start.
struct Pauses {
    std::chrono::milliseconds first{200}, longest{10'000};
};

}  // namespace qscd::supervisor
