// The circuit breaker of one token: whether anybody asks it at all. Pure: time is a parameter. [QSCD-22]
//
//   good      everybody asks
//   doubted   a call failed as if the token were away: everybody asks on, and the keeper looks at once
//   open      nobody waits for it; the keeper looks, with growing pauses, until it answers
//   refused   it refused its PIN: for good
//
// It opens after three failed calls in a row, or as soon as the keeper's own look fails. Once the keeper brought it back
// it is on trial: the next failed call opens it again, and the keeper waits longer than before.
// Thread rules: none, its owner locks.
#pragma once

#include <chrono>

namespace qscd::hsm {

class Breaker {
public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr unsigned failures_to_open = 3;
    static constexpr std::chrono::milliseconds first_pause{20}, longest_pause{1000};

    bool admits() const { return state_ == State::good || state_ == State::doubted; }
    bool serves() const { return state_ == State::good; }  // as the last call or look saw it
    bool is_open() const { return state_ == State::open; }
    bool refused() const { return state_ == State::refused; }
    bool blemished() const {
        return failures_ != 0 || on_trial_ || state_ != State::good;
    }  // a success changes something
    // The calls failed although the token answers when it is looked at: looking alone does not mend it.
    bool opened_by_calls() const { return is_open() && by_calls_; }
    bool wants_a_look() const { return state_ == State::doubted || state_ == State::open; }
    TimePoint next_look() const { return next_look_; }
    unsigned long openings() const { return openings_; }

    void succeeded();
    void failed(TimePoint now);
    // The keeper's look. `renewed`: it did what it could first, new sessions or a new start of the module.
    void looked(bool answers, bool renewed, TimePoint now);
    void refuse() { state_ = State::refused; }

private:
    enum class State { good, doubted, open, refused };
    void open(bool by_calls, TimePoint next_look);
    void lengthen_pause();

    State state_ = State::good;
    unsigned failures_ = 0;  // in a row
    bool on_trial_ = false, by_calls_ = false;
    std::chrono::milliseconds pause_ = first_pause;
    TimePoint next_look_{};
    unsigned long openings_ = 0;
};

}  // namespace qscd::hsm
