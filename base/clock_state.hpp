// Whether this machine's clock follows a time source, and two clocks read at one moment, so that a jump shows. [AUD-11]
// [OPS-12] Thread rules: safe from every thread.
#pragma once

#include <string_view>

#include "base/clock.hpp"

namespace qscd {

struct ClockState {
    bool synchronised = false;
    std::chrono::microseconds most_wrong{0};  // the kernel's own bound
};
// What the kernel says of its clock [adjtimex(2)]. Also unsynchronised when the bound is wider than `tolerated_error`.
inline constexpr std::chrono::seconds tolerated_error{1};
ClockState kernel_clock_state();

// Of this process's clock: the kernel's. In test binaries "unsynchronised" or "synchronised" behind the seconds in the
// clock's file wins.
ClockState process_clock_state();

// For records: "synchronised" or "unsynchronised".
std::string_view clock_state();

// The time of day, and the time that has run, sleep included, which nobody can set. In test binaries the offset in the
// clock's file moves both, "jump=SECONDS" behind it the time of day alone.
struct ClockReading {
    std::chrono::sys_time<std::chrono::milliseconds> wall;
    std::chrono::milliseconds ran;
};
ClockReading read_process_clocks();

}  // namespace qscd
