#include "base/clock_state.hpp"

#include <sys/timex.h>

namespace qscd {

ClockState kernel_clock_state() {
    timex asked{};  // no mode: nothing is set
    const int state = ::adjtimex(&asked);
    const std::chrono::microseconds most_wrong{asked.maxerror};
    const bool follows = state >= 0 && state != TIME_ERROR && (asked.status & STA_UNSYNC) == 0;
    return {follows && most_wrong <= tolerated_error, most_wrong};
}

std::string_view clock_state() { return process_clock_state().synchronised ? "synchronised" : "unsynchronised"; }

}  // namespace qscd
