#include "qscd/sam/core.hpp"

#include "base/diagnostics.hpp"

namespace qscd::sam {
namespace {

constexpr std::chrono::seconds silence{60};            // then a closing record is signed: silence is evidence too
constexpr std::chrono::milliseconds retry_pause{500};  // between attempts to open the ledger while token or store is away
constexpr std::chrono::hours check_pause{1};           // between passes over the stored records
constexpr std::chrono::milliseconds check_step{50};    // within a pass, while nothing else is to be done
constexpr std::size_t records_a_step = 500;

const Error ended{Errc::service_away, "the SAM stops"};

}  // namespace

Core::Core(OpenLedger open, Refusal fatal)
    : open_(std::move(open)), fatal_(std::move(fatal)), thread_([this] { loop(); }) {}

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

void Core::unseal(Unseal unseal, std::function<void(const Result<void>&)> reply) {
    {
        const std::lock_guard guard{lock_};
        if (!ended_) {
            words_.push_back({std::move(unseal), std::move(reply)});
            arrived_.notify_one();
            return;
        }
    }
    reply(ended);
}

Result<void> Core::opened() {
    if (ledger_) return success();
    const auto now = std::chrono::steady_clock::now();
    std::optional<Unseal> unseal;
    {
        const std::lock_guard guard{lock_};
        // A token or store may be back at any moment; what is sealed waits for people.
        const bool is_sealed = !condition_ && condition_.error().code == Errc::sealed;
        if (is_sealed ? words_.empty() : now < next_attempt_) return condition_;
        if (is_sealed) unseal = words_.front().unseal;
    }
    auto ledger = open_(unseal);
    {
        const std::lock_guard guard{lock_};
        condition_ = ledger ? Result<void>{success()} : Result<void>{ledger.error()};
    }
    if (!ledger) {
        if (ledger.error().code == Errc::fenced) {
            lose(ledger.error());
            return ledger.error();
        }
        next_attempt_ = std::chrono::steady_clock::now() + retry_pause;
        note(Level::alarm, "ledger-closed", {{"reason", describe(ledger.error())}});
        return ledger.error();
    }
    ledger_ = std::move(ledger.value());
    last_head_ = next_check_ = std::chrono::steady_clock::now();
    note("ledger-open", {{"records", std::to_string(ledger_->size())}, {"epoch", std::to_string(ledger_->epoch())}});
    return success();
}

// Whoever gave the word hears what came of it.
void Core::let_go_on() {
    for (;;) {
        Word word;
        {
            const std::lock_guard guard{lock_};
            if (words_.empty()) return;
            if (!condition_ && condition_.error().code != Errc::sealed) return;  // away: it waits
        }
        const bool was_open = ledger_ != nullptr;
        const auto outcome = was_open ? Result<void>{Error{Errc::out_of_order, "the state is not sealed"}} : opened();
        {
            const std::lock_guard guard{lock_};
            word = std::move(words_.front());
            words_.pop_front();
        }
        word.reply(outcome);
        if (lost_) return;
    }
}

// One page at a time, when nobody waits.
void Core::check_records() {
    const auto now = std::chrono::steady_clock::now();
    if (!ledger_ || lost_ || now < next_check_) return;
    const auto passed = ledger_->check_some_records(records_a_step);
    if (!passed && passed.error().code == Errc::sealed) {
        ledger_.reset();
        const std::lock_guard guard{lock_};
        condition_ = passed.error();
        return;
    }
    next_check_ = now + (passed && passed.value() ? std::chrono::milliseconds{check_pause} : check_step);
}

void Core::loop() {
    serve();
    std::deque<Waiting> late;
    std::deque<Word> words;
    {
        const std::lock_guard guard{lock_};
        ended_ = true;
        late.swap(inbox_);
        words.swap(words_);
    }
    for (auto& each : late) each.refused(ended);
    for (auto& each : words) each.reply(ended);
}

void Core::lose(const Error& error) {
    lost_ = true;
    {
        const std::lock_guard guard{lock_};
        condition_ = error;
    }
    fatal_(error);
}

void Core::serve() {
    run({});
    while (!lost_) {
        std::deque<Waiting> steps;
        bool last = false;
        {
            std::unique_lock guard{lock_};
            const auto until = ledger_ ? std::min(last_head_ + silence, next_check_)
                                       : std::chrono::steady_clock::now() + retry_pause;
            arrived_.wait_until(guard, until, [&] { return stopping_ || !inbox_.empty() || !words_.empty(); });
            steps.swap(inbox_);
            last = stopping_;
        }
        let_go_on();
        if (lost_) return;
        const bool idle = steps.empty();
        run(std::move(steps));
        if (last) return;
        if (idle) check_records();
        if (ledger_ && !lost_ &&
            std::chrono::steady_clock::now() >= last_head_ + silence) {  // also while only questions come
            last_head_ = std::chrono::steady_clock::now();
            if (const auto closed = ledger_->commit();
                !closed && (closed.error().code == Errc::store_away || closed.error().code == Errc::fenced))
                return lose(closed.error());
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
        if (!committed && (committed.error().code == Errc::store_away || committed.error().code == Errc::fenced)) {
            while (!after_.empty())  // whoever still waits hears it, too
                for (auto& action : std::exchange(after_, {})) action(*ledger_, committed);
            ledger_->discard();
            return lose(committed.error());
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
