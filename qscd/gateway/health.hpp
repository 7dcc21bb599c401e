// Whether the gateway can do its work: each part it needs, as a class of reason and no more. Answers are kept for a
// second, so that a curious monitor costs the others nothing. Thread rules: safe from every thread.
#pragma once

#include <mutex>

#include "base/net/message.hpp"
#include "policy/policy.hpp"
#include "qscd/gateway/access.hpp"
#include "qscd/gateway/peers.hpp"

namespace qscd::gateway {

class Health {
public:
    Health(Sam& sam, Registration& registration, Access& access, const policy::Policy& policy)
        : sam_(sam), registration_(registration), access_(access), policy_(policy) {}

    // "ready", or the name of an Errc such as "token_away".
    struct Report {
        std::string gatewayd, samd, rad, detail;   // detail stays on the host
        std::vector<std::string> missing;          // of samd's confinement: its own words [SAM-20]
        std::vector<unsigned> absent_shards = {};  // by number: their credentials alone are answered with 503 [QSCD-21]
        bool ready() const { return gatewayd == "ready" && samd == "ready" && rad == "ready"; }
    };
    Report report();

    net::Response live() const;
    net::Response ready();

private:
    Report asked();
    std::string_view regime() const;

    Sam& sam_;
    Registration& registration_;
    Access& access_;
    const policy::Policy& policy_;
    std::mutex lock_;
    Report last_;
    std::chrono::steady_clock::time_point fresh_until_{};
};

}  // namespace qscd::gateway
