// What all who load a deployment share: its clock, the history, what was found wrong.
// Thread rules: safe from every thread.
#pragma once

#include <atomic>
#include <mutex>

#include "tests/crash/checks.hpp"
#include "tests/crash/person.hpp"

namespace qscd::crash {

class World {
public:
    explicit World(RunningDeployment& deployment) : deployment_(deployment) {}

    const RunningDeployment& deployment() const { return deployment_; }
    TimePoint now() const { return deployment_.now(); }
    void advance(std::chrono::seconds by) {
        const std::lock_guard one{clock_};
        deployment_.advance(by);
    }
    // A step that this app did not use yet: the clock goes on when it must.
    std::int64_t fresh_step(Person& person) {
        const std::lock_guard one{clock_};
        if (person.step_at(now()) <= person.last_step) deployment_.advance(std::chrono::seconds{person.app_period});
        return person.last_step = std::max(person.step_at(now()), person.last_step + 1);
    }

    // The clock stands while `use` asks with a fresh step's code: it is not too old when samd looks.
    template <class Use>
    void with_fresh_step(Person& person, Use use) {
        const std::lock_guard one{clock_};
        if (person.step_at(now()) <= person.last_step)
            deployment_.advance(std::chrono::seconds{person.app_period} *
                                (person.last_step + 1 - person.step_at(now())));
        use(person.last_step = person.step_at(now()));
    }

    template <class Use>
    auto with_history(Use use) {
        const std::lock_guard one{lock_};
        return use(history_);
    }
    void found(std::string what) {
        const std::lock_guard one{lock_};
        findings_.push_back(std::move(what));
    }
    Findings take_findings() {
        const std::lock_guard one{lock_};
        return std::exchange(findings_, {});
    }

    // Progress: what was answered well.
    std::atomic<std::size_t> approvals = 0, signatures = 0, enrolment_steps = 0, enrolled = 0, tokens = 0, unknown = 0,
                             resolved = 0, challenges = 0, wrong_pins = 0,
                             pins_set = 0;  // asked for, answered or not

private:
    RunningDeployment& deployment_;
    std::mutex clock_, lock_;
    History history_;
    Findings findings_;
};

// The answer does not say whether it happened: nobody was there, or stopped in the middle.
inline bool is_away(const Error& error) {
    return error.code == Errc::service_away || error.code == Errc::token_away || error.code == Errc::store_away;
}

}  // namespace qscd::crash
