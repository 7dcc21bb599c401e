#include <ctime>

#include "base/clock_state.hpp"

namespace qscd {

const Clock& process_clock() {
    struct SystemClock : Clock {
        TimePoint now() const override {
            return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        }
    };
    static const SystemClock clock;
    return clock;
}

ClockState process_clock_state() { return kernel_clock_state(); }

ClockReading read_process_clocks() {
    timespec ran{};
    (void)::clock_gettime(CLOCK_BOOTTIME, &ran);
    const auto since_boot = std::chrono::seconds{ran.tv_sec} + std::chrono::nanoseconds{ran.tv_nsec};
    return {std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now()),
            std::chrono::floor<std::chrono::milliseconds>(since_boot)};
}

}  // namespace qscd
