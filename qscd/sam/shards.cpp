#include "qscd/sam/shards.hpp"

#include "base/diagnostics.hpp"
#include "base/request_id.hpp"

namespace qscd::sam {
namespace {

using namespace std::chrono_literals;

constexpr auto look_pause = 100ms;  // between two looks whether the keys are to be compared
constexpr auto least_rest = 1s;     // between two comparisons
constexpr auto call_pause = 1h;
constexpr auto busy_for = 1s;
constexpr const char* claim_label = "qscd-shard";

// What the object says: genesis digest, number in four bytes, big-endian, and whether the token held keys already.
Bytes claim_of(const Sha256Digest& genesis, unsigned number) {
    Bytes out{genesis.bytes().begin(), genesis.bytes().end()};
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(number >> shift));
    return out;
}

std::string name_of(const ShardSettings& settings) {
    return "shard " + std::to_string(settings.number) + " (token " + settings.token + ")";
}

}  // namespace

Shard::Shard(ShardSettings settings, std::unique_ptr<hsm::Token> token, std::counting_semaphore<>& turns)
    : settings_(std::move(settings)), token_(std::move(token)), turns_(turns), thread_([this] { serve(); }) {}

Result<void> Shard::usable() const {
    if (!token_->reachable()) return Error{Errc::token_away, name_of(settings_) + " is away"};
    if (claim_ == Claim::another)
        return Error{Errc::token_away, name_of(settings_) + " belongs to another SAM or another shard"};
    return success();
}

ShardLoad Shard::load() const {
    return {settings_.number,      usable().has_value(),
            settings_.accepts_new, settings_.for_qscd,
            settings_.profiles,    keys_ + making_,
            settings_.limit,       now() - last_signed_ < std::chrono::steady_clock::duration{busy_for}.count()};
}

Result<Claim> Shard::check_claim(const Sha256Digest& genesis) {
    const auto ours = claim_of(genesis, settings_.number);
    const auto read = [&]() -> Result<Claim> {
        QSCD_TRY(const auto found, token_->read_data(claim_label));
        if (found) {
            if (found->size() != ours.size() + 1 || !std::equal(ours.begin(), ours.end(), found->begin()))
                return Claim::another;
            adopted_ = found->back() != 0;
            return Claim::ours;
        }
        QSCD_TRY(const auto keys, token_->private_keys());
        auto value = ours;
        value.push_back(keys.empty() ? 0 : 1);
        QSCD_TRY(token_->create_data(claim_label, value));
        adopted_ = !keys.empty();
        return Claim::fresh;
    };
    auto claim = read();
    if (!claim) {
        due_ = true;
        return claim;
    }
    if (claim_.exchange(claim.value()) != Claim::another && claim.value() == Claim::another)
        note(Level::alarm, "shard-refused",
             {{"shard", std::to_string(settings_.number)},
              {"token", settings_.token},
              {"reason", "the token belongs to another SAM or another shard"}});
    return claim;
}

void Shard::write(Job job, std::function<void()> dropped) { push({std::move(job), std::move(dropped), false}); }

void Shard::make(Job job, std::function<void()> dropped) {
    ++making_;
    push({std::move(job), std::move(dropped), true});
}

void Shard::push(Waiting waiting) {
    {
        const std::lock_guard guard{lock_};
        if (!stopping_) {
            jobs_.push_back(std::move(waiting));
            arrived_.notify_one();
            return;
        }
    }
    waiting.dropped();
}

void Shard::call_with(std::function<void(Shard&)> call) {
    const std::lock_guard guard{lock_};
    call_ = std::move(call);
    arrived_.notify_one();
}

void Shard::stop() {
    std::deque<Waiting> late;
    {
        const std::lock_guard guard{lock_};
        stopping_ = true;
        late.swap(jobs_);
    }
    arrived_.notify_all();
    if (thread_.joinable()) thread_.join();
    for (const auto& each : late) each.dropped();
}

void Shard::serve() {
    std::unique_lock guard{lock_};
    while (!stopping_) {
        // A token does not tell when it is back, so we look.
        arrived_.wait_for(guard, look_pause, [&] { return stopping_ || !jobs_.empty(); });
        if (stopping_) return;
        if (jobs_.empty()) {
            call_when_due(guard);
            continue;
        }
        const auto next = std::move(jobs_.front());
        jobs_.pop_front();
        guard.unlock();
        if (next.makes) {
            turns_.acquire();
            next.job(*token_);
            turns_.release();
            --making_;
        } else {
            next.job(*token_);
        }
        guard.lock();
    }
}

void Shard::call_when_due(std::unique_lock<std::mutex>& guard) {
    if (!token_->reachable()) {
        due_ = true;
        return;
    }
    // It may have been away and back between two looks.
    const auto counters = token_->counters();
    if (const auto troubles = counters.failures + counters.openings; troubles != troubles_) {
        troubles_ = troubles;
        due_ = true;
    }
    const auto begun = std::chrono::steady_clock::now();
    if (!call_ || begun < next_call_ || (!due_ && begun < hourly_)) return;
    due_ = false;
    const auto call = call_;
    guard.unlock();
    call(*this);
    guard.lock();
    next_call_ = begun + least_rest;
    hourly_ = begun + call_pause;
}

Shards::Shards(std::vector<Opened> opened)
    : turns_(std::max<std::ptrdiff_t>(1, static_cast<std::ptrdiff_t>(std::thread::hardware_concurrency() / 2))) {
    for (auto& each : opened)
        all_.push_back(std::make_unique<Shard>(std::move(each.settings), std::move(each.token), turns_));
}

Shard* Shards::find(unsigned number, std::string_view token) const {
    for (const auto& each : all_) {
        const auto& settings = each->settings();
        if (settings.token == token && (number == 0 || settings.number == number)) return each.get();
    }
    return nullptr;
}

Result<Shard*> Shards::of(unsigned number, std::string_view token) const {
    if (auto* found = find(number, token)) return found;
    std::string said = "a key is recorded in shard " + std::to_string(number) + ", token " + std::string{token} +
                       ", and the configuration has no such shard";
    note(Level::alarm, "no-such-shard", {{"reason", said}});
    return Error{Errc::token_away, std::move(said)};
}

Result<Shard*> Shards::place(const KeyWish& wish) {
    std::vector<ShardLoad> loads;
    loads.reserve(all_.size());
    for (const auto& each : all_) loads.push_back(each->load());
    const auto number = sam::place(loads, wish, last_);
    if (!number) {
        const bool never = std::ranges::none_of(loads, [&](const auto& each) { return suits(each, wish); });
        note(Level::alarm, "no-shard-takes-a-key", {{"profile", std::string{wish.profile}}});
        return Error{Errc::token_away, never ? "no shard is for profile " + std::string{wish.profile}
                                             : "the shards for profile " + std::string{wish.profile} +
                                                   " are away, full or take no new keys"};
    }
    last_ = *number;
    return std::ranges::find(all_, *number, [](const auto& each) { return each->settings().number; })->get();
}

bool Shards::some_usable() const {
    return std::ranges::any_of(all_, [](const auto& each) { return each->usable().has_value(); });
}

}  // namespace qscd::sam
