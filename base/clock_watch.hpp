// Notices that somebody, or something, set the clock: the time of day must have gone on by what has run. Pure: it is fed
// with readings. [OPS-12] [T-34] Thread rules: one owner.
#pragma once

#include <optional>

#include "base/clock_state.hpp"

namespace qscd {

class ClockWatch {
public:
    // Measured from the first reading on, so that many small jumps are one large one. Leap seconds stay below it.
    static constexpr std::chrono::seconds tolerance{5};

    // By how much the time of day is off what has run since the first reading: positive when it was set forward.
    std::chrono::milliseconds look(const ClockReading& now) {
        if (!first_) first_ = now;
        divergence_ = (now.wall - first_->wall) - (now.ran - first_->ran);
        return divergence_;
    }
    // It ends when the clocks agree again; a wanted correction takes a restart.
    bool jumped() const { return divergence_ > tolerance || divergence_ < -tolerance; }
    std::chrono::milliseconds divergence() const { return divergence_; }

private:
    std::optional<ClockReading> first_;
    std::chrono::milliseconds divergence_{0};
};

}  // namespace qscd
