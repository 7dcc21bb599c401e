#include "hsm/breaker.hpp"

#include <algorithm>

namespace qscd::hsm {

void Breaker::open(bool by_calls, TimePoint next_look) {
    state_ = State::open;
    by_calls_ = by_calls;
    on_trial_ = false;
    next_look_ = next_look;
    ++openings_;
}

void Breaker::lengthen_pause() { pause_ = std::min(pause_ * 2, longest_pause); }

void Breaker::succeeded() {
    if (!admits()) return;  // begun before it opened
    failures_ = 0;
    if (on_trial_) pause_ = first_pause;
    on_trial_ = false;
}

void Breaker::failed(TimePoint now) {
    if (!admits()) return;
    ++failures_;
    if (on_trial_) {
        open(true, now + pause_);
        lengthen_pause();
    } else if (failures_ >= failures_to_open) {
        open(true, now);
    } else {
        state_ = State::doubted;
        next_look_ = now;
    }
}

void Breaker::looked(bool answers, bool renewed, TimePoint now) {
    if (refused()) return;
    if (!answers) {
        if (!is_open()) open(false, now);
        by_calls_ = false;
        next_look_ = now + pause_;
        lengthen_pause();
        return;
    }
    if (is_open()) {
        if (by_calls_ && !renewed) return;  // opened while it was looked at: to be renewed first
        on_trial_ = true;
        failures_ = 0;
    }
    state_ = State::good;
}

}  // namespace qscd::hsm
