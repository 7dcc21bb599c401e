#include "qscd/sam/core.hpp"

#include "base/diagnostics.hpp"
#include "base/request_id.hpp"
#include "base/stack.hpp"

namespace qscd::sam {
namespace {

constexpr std::chrono::seconds silence{60};  // then a closing record is signed: silence is evidence too
constexpr std::chrono::milliseconds retry_pause{
    500};                                            // between attempts to open the ledger while token or store is away
constexpr std::chrono::hours check_pause{1};         // between passes over the stored records
constexpr std::chrono::milliseconds check_step{50};  // within a pass, while nothing else is to be done
constexpr std::size_t records_a_step = 500, cells_a_step = 200;

bool ends_this_owner(const Error& error) { return error.code == Errc::store_away || error.code == Errc::fenced; }

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
            inbox_.push_back({std::move(step), std::move(refused), current_request()});
            arrived_.notify_one();
            return;
        }
    }
    refused(ended);
}

void Core::after_commit(std::function<void(Ledger&, const Result<void>&)> action) {
    after_.push_back({std::move(action), current_request()});
}

Result<void> Core::condition() const {
    const std::lock_guard guard{lock_};
    return condition_;
}

void Core::take(Word word) {
    {
        const std::lock_guard guard{lock_};
        if (!ended_) {
            words_.push_back(std::move(word));
            arrived_.notify_one();
            return;
        }
    }
    word.reply(ended);
}

void Core::unseal(Unseal unseal, std::function<void(const Result<void>&)> reply) {
    take({false, std::move(unseal.reason), std::move(reply), current_request()});
}

void Core::rotate_keys(std::string reason, std::function<void(const Result<void>&)> reply) {
    take({true, std::move(reason), std::move(reply), current_request()});
}

Result<void> Core::opened() { return ledger_ ? Result<void>{success()} : reopen({}); }

// A token or store may be back at any moment; what is sealed waits for the word of people.
Result<void> Core::reopen(const Opening& opening) {
    if (auto closed = condition(); !opening.unseal && !opening.keys) {
        const bool is_sealed = !closed && closed.error().code == Errc::sealed;
        if (is_sealed || std::chrono::steady_clock::now() < next_attempt_) return closed;
    }
    ledger_.reset();
    auto ledger = open_(opening);
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
    last_head_ = next_check_ = next_reseal_ = std::chrono::steady_clock::now();
    note("ledger-open", {{"records", std::to_string(ledger_->size())}, {"epoch", std::to_string(ledger_->epoch())}});
    return success();
}

// Whoever gave the word hears what came of it.
void Core::hear_words() {
    for (;;) {
        Word word;
        {
            const std::lock_guard guard{lock_};
            if (words_.empty() || lost_) return;
            word = std::move(words_.front());
            words_.pop_front();
        }
        const RequestScope scope{word.request};
        const auto closed = ledger_ ? Result<void>{success()} : condition();
        const bool is_sealed = !closed && closed.error().code == Errc::sealed;
        if (word.rotate) word.reply(ledger_ ? rotate(word.reason) : closed);
        else if (is_sealed && !damaged_) word.reply(reopen({Unseal{word.reason}, {}}));
        else word.reply(ledger_ ? Error{Errc::out_of_order, "the state is not sealed"} : closed.error());
    }
}

Result<void> Core::rotate(const std::string& reason) {
    QSCD_TRY(auto cell_key, ledger_->custody().make_cell_key());
    QSCD_TRY(auto pin_key, ledger_->custody().make_pin_key());
    ledger_->record({Event::key_rotated,
                     "bootstrap",
                     std::nullopt,
                     "ok",
                     {{"cell_key", cell_key.hex()}, {"pin_key", pin_key.hex()}, {"reason", reason}}});
    if (const auto committed = ledger_->commit(); !committed) {
        if (ends_this_owner(committed.error())) lose(committed.error());
        return committed;
    }
    auto taken = reopen({{}, NewKeys{cell_key, pin_key}});
    // Half way; what is under way must not meet a ledger that took it for lost.
    if (!taken && !lost_) lose({Errc::store_away, "a rotation ended half way: " + describe(taken.error())});
    return taken;
}

// A few cells at a time, also under load.
void Core::reseal() {
    const auto now = std::chrono::steady_clock::now();
    if (!ledger_ || lost_ || now < next_reseal_) return;
    const auto done = ledger_->reseal_some(cells_a_step);
    const auto committed = done && !done.value() ? ledger_->commit() : Result<void>{success()};
    for (const auto& outcome : {done ? Result<void>{success()} : Result<void>{done.error()}, committed})
        if (!outcome && ends_this_owner(outcome.error())) return lose(outcome.error());
    next_reseal_ = now + (done && done.value() ? std::chrono::milliseconds{check_pause} : check_step);
}

// One page at a time, when nobody waits.
void Core::check_records() {
    const auto now = std::chrono::steady_clock::now();
    if (!ledger_ || lost_ || now < next_check_) return;
    const auto passed = ledger_->check_some_records(records_a_step);
    if (!passed && passed.error().code == Errc::sealed) {
        ledger_.reset();
        damaged_ = true;
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
    for (auto& each : late) {
        const RequestScope scope{each.request};
        each.refused(ended);
    }
    for (const auto& each : words) each.reply(ended);
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
            const auto until = ledger_ ? std::min({last_head_ + silence, next_check_, next_reseal_})
                                       : std::chrono::steady_clock::now() + retry_pause;
            arrived_.wait_until(guard, until, [&] { return stopping_ || !inbox_.empty() || !words_.empty(); });
            steps.swap(inbox_);
            last = stopping_;
        }
        hear_words();
        if (lost_) return;
        const bool idle = steps.empty();
        run(std::move(steps));
        wipe_stack();  // factors passed through it
        if (last) return;
        if (idle) check_records();
        reseal();
        if (ledger_ && !lost_ &&
            std::chrono::steady_clock::now() >= last_head_ + silence) {  // also while only questions come
            last_head_ = std::chrono::steady_clock::now();
            if (const auto closed = ledger_->commit(); !closed && ends_this_owner(closed.error()))
                return lose(closed.error());
        }
    }
}

void Core::run(std::deque<Waiting> steps) {
    auto ready = opened();
    if (lost_) ready = Error{Errc::store_away, "the store's state is not known any more"};
    for (auto& each : steps) {
        const RequestScope scope{each.request};
        if (ready) each.step(*ledger_);
        else each.refused(ready.error());
    }
    if (ready) settle();
}

void Core::pay(const Result<void>& committed) {
    for (auto& each : std::exchange(after_, {})) {
        const RequestScope scope{each.request};
        each.action(*ledger_, committed);
    }
}

void Core::settle() {
    while (ledger_->dirty() || !after_.empty()) {
        const bool dirty = ledger_->dirty();
        const auto committed = dirty ? ledger_->commit() : Result<void>{success()};
        if (dirty && committed) last_head_ = std::chrono::steady_clock::now();
        pay(committed);
        if (!committed && ends_this_owner(committed.error())) {
            while (!after_.empty()) pay(committed);  // whoever still waits hears it, too
            ledger_->discard();
            return lose(committed.error());
        }
        std::deque<Waiting> steps;  // whoever came while we were syncing joins the next batch
        {
            const std::lock_guard guard{lock_};
            steps.swap(inbox_);
        }
        for (auto& each : steps) {
            const RequestScope scope{each.request};
            each.step(*ledger_);
        }
    }
}

}  // namespace qscd::sam
