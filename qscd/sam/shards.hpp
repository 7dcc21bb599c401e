// The tokens that hold signers' keys: which one a key's record means, whether it can be used now, where a new key goes,
// and the one thread of each that writes to it. [QSCD-20] [QSCD-21] [OPS-16]
//
// One writer for each token: samd makes and destroys keys on the shard's own thread, one after the other, so that the
// other sessions go on signing. A second samd with the same SAM token is fenced by its head key (state/takeover.hpp) and
// never gets an intent recorded; one with another SAM token finds the claim: an unmodifiable object in the signers' token
// that names the genesis it belongs to and its shard number. What is claimed by another is not used.
// Thread rules: safe from every thread, but stop() and what is said to be the core's.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <semaphore>
#include <thread>

#include "base/clock.hpp"
#include "hsm/token.hpp"
#include "qscd/sam/cells/cell.pb.h"
#include "qscd/sam/placement.hpp"

namespace qscd::sam {

struct ShardSettings {
    unsigned number;     // as recorded with each key
    std::string token;   // label
    std::string module;  // registry entry, as KeyProofs name it
    bool accepts_new = true;
    bool for_qscd = true;
    std::uint64_t limit = 10'000;
    std::vector<std::string> profiles = {};
    // Adds to a key's attributes where it was made. [hsm/deployed/attested.hpp]
    std::function<void(hsm::GeneratedKey&)> attest = [](hsm::GeneratedKey&) {};
    // Whether keys here may go on standing under QcSSCD. [QSCD-03]
    std::function<bool(TimePoint)> counts_as_qscd = [](TimePoint) { return true; };
};

// Whose a token is, by its claim: not read yet; as before; made just now; another SAM's or another shard's.
enum class Claim { unknown, ours, fresh, another };

class Shard {
public:
    using Job = std::function<void(hsm::Token&)>;
    // `turns` bounds how many shards make keys at once: on a software module that costs the cores that sign.
    Shard(ShardSettings settings, std::unique_ptr<hsm::Token> token, std::counting_semaphore<>& turns);
    ~Shard() { stop(); }

    const ShardSettings& settings() const { return settings_; }
    hsm::Token& token() { return *token_; }

    // Errc::token_away with the reason while its keys cannot be used: the token is away, or another's.
    Result<void> usable() const;
    ShardLoad load() const;

    // Reads the claim, makes it where there is none. Errc::token_away. Waits for the module.
    Result<Claim> check_claim(const Sha256Digest& genesis);
    bool adopted() const { return adopted_; }  // it held keys when it was claimed

    // On the shard's own thread, in order. `dropped` runs instead when the shard ends before.
    void write(Job job, std::function<void()> dropped);
    // The same for making a key, in turn with the other shards.
    void make(Job job, std::function<void()> dropped);

    // `call` runs on the shard's own thread when its keys are to be compared with the records: at once, after its token
    // was away, when somebody calls for it, and each hour.
    void call_with(std::function<void(Shard&)> call);
    void call_again() { due_ = true; }
    void asked_to_sign() { last_signed_ = now(); }
    // What came of a call into the token: an absence and a missing key call for a comparison when the token is back.
    void saw(const Error& error) {
        if (error.code == Errc::token_away || error.code == Errc::key_gone) due_ = true;
    }
    void counted(std::uint64_t keys) { keys_ = keys; }
    void one_more() { ++keys_; }

    void stop();  // joins the thread; what waits is dropped

private:
    using Moment = std::chrono::steady_clock::time_point;
    struct Waiting {
        Job job;
        std::function<void()> dropped;
        bool makes;
    };
    static std::int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }
    void push(Waiting waiting);
    void serve();
    void call_when_due(std::unique_lock<std::mutex>& guard);

    const ShardSettings settings_;
    std::unique_ptr<hsm::Token> token_;
    std::counting_semaphore<>& turns_;
    std::atomic<Claim> claim_ = Claim::unknown;
    std::atomic<bool> adopted_ = false, due_ = true;
    std::atomic<std::uint64_t> keys_ = 0, making_ = 0;
    std::atomic<std::int64_t> last_signed_ = 0;

    std::mutex lock_;
    std::condition_variable arrived_;
    std::deque<Waiting> jobs_;
    std::function<void(Shard&)> call_;
    Moment next_call_{}, hourly_{};
    unsigned long troubles_ = 0;  // of the token, as counted at the last look
    bool stopping_ = false;
    std::thread thread_;
};

class Shards {
public:
    struct Opened {
        ShardSettings settings;
        std::unique_ptr<hsm::Token> token;
    };
    explicit Shards(std::vector<Opened> opened);

    const std::vector<std::unique_ptr<Shard>>& all() const { return all_; }

    // The shard that a key's record means: number and label must both be the configured ones. A record without a number
    // is older than numbers: its label alone decides. of(): Errc::token_away where there is none, with an alarm.
    Shard* find(unsigned number, std::string_view token) const;
    Shard* find(const cell::Credential& cell) const { return find(cell.shard(), cell.token()); }
    Result<Shard*> of(unsigned number, std::string_view token) const;
    Result<Shard*> of(const cell::Credential& cell) const { return of(cell.shard(), cell.token()); }

    // For a new key. Errc::token_away when no shard takes it now. The core's thread.
    Result<Shard*> place(const KeyWish& wish);

    bool some_usable() const;
    void stop() {
        for (const auto& each : all_) each->stop();
    }

private:
    std::counting_semaphore<> turns_;
    std::vector<std::unique_ptr<Shard>> all_;
    unsigned last_ = 0;
};

}  // namespace qscd::sam
