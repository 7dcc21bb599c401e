#include "qscd/sam/core.hpp"

#include "base/diagnostics.hpp"

namespace qscd::sam {
namespace {

constexpr std::chrono::seconds silence{60};            // then a closing record is signed: silence is evidence too
constexpr std::chrono::milliseconds retry_pause{500};  // between attempts to open the ledger while a token is away
constexpr std::chrono::seconds sealed_pause{30};       // and otherwise

const Error ended{Errc::service_away, "the SAM stops"};

}  // namespace

Core::Core(OpenLedger open, Step opened, Refusal fatal)
    : open_(std::move(open)), on_opened_(std::move(opened)), fatal_(std::move(fatal)), thread_([this] { loop(); }) {}

void Core::stop() {
    {
        const std::lock_guard guard{lock_};
        stopping_ = true;
    }
    arrived_.notify_all();
    if (thread_.joinable()) thread_.join();
    ledger_.reset();
}

void Core::post(Step step, Refusal refused) {
    {
        const std::lock_guard guard{lock_};
        if (!ended_) {
            inbox_.push_back({std::move(step), std::move(refused)});
            arrived_.notify_one();
            return;
        }
    }
    refused(ended);
}

void Core::after_commit(std::function<void(Ledger&, const Result<void>&)> action) {
    after_.push_back(std::move(action));
}

Result<void> Core::condition() const {
    const std::lock_guard guard{lock_};
    return condition_;
}

Result<void> Core::opened() {
    if (ledger_) return success();
    const auto now = std::chrono::steady_clock::now();
    if (now < next_attempt_) return condition();
    auto ledger = open_();
    {
        const std::lock_guard guard{lock_};
        condition_ = ledger ? Result<void>{success()} : Result<void>{ledger.error()};
    }
    if (!ledger) {
        // A token may be back at any moment; a store that does not match its head waits for people.
        next_attempt_ = std::chrono::steady_clock::now() +
                        (ledger.error().code == Errc::token_away ? retry_pause : sealed_pause);
        note(Level::alarm, "ledger-closed", {{"reason", describe(ledger.error())}});
        return ledger.error();
    }
    ledger_ = std::move(ledger.value());
    last_head_ = std::chrono::steady_clock::now();
    on_opened_(*ledger_);
    settle();
    note("ledger-open", {{"records", std::to_string(ledger_->size())}});
    return success();
}

void Core::loop() {
    serve();
    std::deque<Waiting> late;
    {
        const std::lock_guard guard{lock_};
        ended_ = true;
        late.swap(inbox_);
    }
    for (auto& each : late) each.refused(ended);
}

void Core::serve() {
    run({});
    while (!lost_) {
        std::deque<Waiting> steps;
        bool last = false;
        {
            std::unique_lock guard{lock_};
            const auto until = ledger_ ? last_head_ + silence : std::chrono::steady_clock::now() + retry_pause;
            arrived_.wait_until(guard, until, [&] { return stopping_ || !inbox_.empty(); });
            steps.swap(inbox_);
            last = stopping_;
        }
        run(std::move(steps));
        if (last) return;
        if (ledger_ && !lost_ &&
            std::chrono::steady_clock::now() >= last_head_ + silence) {  // also while only questions come
            last_head_ = std::chrono::steady_clock::now();
            if (const auto closed = ledger_->commit(); !closed && closed.error().code == Errc::store_away)
                return fatal_(closed.error());
        }
    }
}

void Core::run(std::deque<Waiting> steps) {
    auto ready = opened();
    if (lost_) ready = Error{Errc::store_away, "the store's state is not known any more"};
    for (auto& each : steps) {
        if (ready) each.step(*ledger_);
        else each.refused(ready.error());
    }
    if (ready) settle();
}

void Core::settle() {
    while (ledger_->dirty() || !after_.empty()) {
        const bool dirty = ledger_->dirty();
        const auto committed = dirty ? ledger_->commit() : Result<void>{success()};
        if (dirty && committed) last_head_ = std::chrono::steady_clock::now();
        for (auto& action : std::exchange(after_, {})) action(*ledger_, committed);
        if (!committed && committed.error().code == Errc::store_away) {
            while (!after_.empty())  // whoever still waits hears it, too
                for (auto& action : std::exchange(after_, {})) action(*ledger_, committed);
            ledger_->discard();
            lost_ = true;
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
