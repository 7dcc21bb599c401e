// Challenges, codes, SAD tokens and certificates hang on the time of day: once somebody set the clock, samd opens no
// challenge, authorises nothing and signs nothing until the clocks agree again, or until a restart, which compares the
// time with the anchored head's. [OPS-12] [T-34] Thread rules: the core's thread alone.
#pragma once

#include <string>

#include "base/clock_watch.hpp"
#include "base/result.hpp"

namespace qscd::sam {

class ClockGuard {
public:
    ClockGuard() { watch_.look(read_process_clocks()); }
    // Errc::sealed while the clock is not what has run since the start; the first and the last time is an alarm.
    Result<void> look();
    // For health: "synchronised", "unsynchronised" or "jumped".
    std::string state() const { return watch_.jumped() ? "jumped" : std::string{clock_state()}; }

private:
    ClockWatch watch_;
    bool told_ = false;
};

}  // namespace qscd::sam
