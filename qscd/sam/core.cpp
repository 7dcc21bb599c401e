#include "qscd/sam/core.hpp"

#include "base/diagnostics.hpp"

namespace qscd::sam {
namespace {

constexpr std::chrono::seconds silence{60};           // then a closing record is signed: silence is evidence too
constexpr std::chrono::milliseconds retry_pause{500};  // between attempts to open the ledger

}  // namespace

Core::Core(OpenLedger open, Step opened, Refusal fatal)
    : open_(std::move(open)), on_opened_(std::move(opened)), fatal_(std::move(fatal)), thread_([this] { loop(); }) {}

Core::~Core() {
    {
        const std::lock_guard guard{lock_};
        stopping_ = true;
    }
    arrived_.notify_all();
    thread_.join();
}

void Core::post(Step step, Refusal refused) {
    {
        const std::lock_guard guard{lock_};
        inbox_.push_back({std::move(step), std::move(refused)});
    }
    arrived_.notify_one();
}

void Core::after_commit(std::function<void(Ledger&, const Result<void>&)> action) { after_.push_back(std::move(action)); }

Result<void> Core::condition() const {
    const std::lock_guard guard{lock_};
    return condition_;
}

Result<void> Core::opened() {
    if (ledger_) return success();
    const auto now = std::chrono::steady_clock::now();
    if (now < next_attempt_) return condition();
    next_attempt_ = now + retry_pause;
    auto ledger = open_();
    {
        const std::lock_guard guard{lock_};
        condition_ = ledger ? Result<void>{success()} : Result<void>{ledger.error()};
    }
    if (!ledger) {
        note(Level::alarm, "ledger-closed", {{"reason", describe(ledger.error())}});
        return ledger.error();
    }
    ledger_ = std::move(ledger.value());
    on_opened_(*ledger_);
    settle();
    note("ledger-open", {{"records", std::to_string(ledger_->size())}});
    return success();
}

void Core::loop() {
    for (;;) {
        std::deque<Waiting> steps;
        bool last = false;
        {
            std::unique_lock guard{lock_};
            arrived_.wait_for(guard, ledger_ ? std::chrono::milliseconds{silence} : retry_pause,
                              [&] { return stopping_ || !inbox_.empty(); });
            steps.swap(inbox_);
            last = stopping_;
        }
        const bool quiet = steps.empty();
        run(std::move(steps));
        if (ledger_ && quiet && !last) {
            if (const auto closed = ledger_->commit(); !closed && closed.error().code == Errc::store_away)
                return fatal_(closed.error());
        }
        if (last) return;
    }
}

void Core::run(std::deque<Waiting> steps) {
    const auto ready = opened();
    for (auto& each : steps) {
        if (ready) each.step(*ledger_);
        else each.refused(ready.error());
    }
    if (ready) settle();
}

void Core::settle() {
    while (ledger_->dirty() || !after_.empty()) {
        const auto committed = ledger_->dirty() ? ledger_->commit() : Result<void>{success()};
        for (auto& action : std::exchange(after_, {})) action(*ledger_, committed);
        if (!committed && committed.error().code == Errc::store_away) {
            after_.clear();
            ledger_->discard();
            return fatal_(committed.error());
        }
        std::deque<Waiting> steps;  // whoever came while we were syncing joins the next batch
        {
            const std::lock_guard guard{lock_};
            steps.swap(inbox_);
        }
        for (auto& each : steps) each.step(*ledger_);
    }
}

}  // namespace qscd::sam
