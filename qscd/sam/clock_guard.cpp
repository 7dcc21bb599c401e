#include "qscd/sam/clock_guard.hpp"

#include "base/diagnostics.hpp"

namespace qscd::sam {

Result<void> ClockGuard::look() {
    watch_.look(read_process_clocks());
    const auto off = std::to_string(watch_.divergence().count()) + " ms";
    if (watch_.jumped() != told_) {
        told_ = watch_.jumped();
        note(Level::alarm, told_ ? "clock-jumped" : "clock-agrees-again", {{"off", off}});
    }
    if (watch_.jumped()) return Error{Errc::sealed, "the clock was set: it is off by " + off};
    return success();
}

}  // namespace qscd::sam
