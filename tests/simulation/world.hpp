// One run from one seed: signers and portals, attackers and faults, the disk, the token and the clock, and one owner of the
// state after the other. Thread rules: one thread.
#pragma once

#include <memory>
#include <queue>

#include "tests/simulation/events.hpp"
#include "tests/simulation/owner.hpp"

namespace qscd::sam::simulation {

class World : Fate {
public:
    World(std::uint64_t seed, Plant plant, bool trace);
    ~World() override;
    // Throws Violation.
    void run(std::uint64_t steps);  // at most so many; then nothing that comes later is checked

    std::uint64_t activations() const { return activations_; }
    std::uint64_t step() const { return step_; }
    const Events& events() const { return events_; }
    const Books& books() const { return books_; }

private:
    // ── Signers and what they, or others in their name, are about to do (errands.cpp) ──
    enum class Plan : std::uint8_t {
        plain,      // authorise, sign
        in_parts,   // sign one after the other
        with_key,   // with an Idempotency-Key, asked again
        wrong_pin,  // right code: the phone is in other hands
        wrong_code,
        wrong_both,
        old_code,      // one that was used
        same_code,     // two authorise at once with one code
        replayed_sad,  // after it was used
        burst,         // the same signature asked for many times at once
        more_hashes,   // one hash, twice
        other_hash,
        other_portal,
        other_credential,
        late_sad,
        unknown_credential,
        missing_factor,
        hoarded_sad,
        other_documents,  // than the message's code was asked for
        stolen_sad,       // some old one
    };
    struct Signer {
        Enrolled enrolled;
        cell::Credential cell;  // as enrolled
        cell::Device device;
        std::string last_code;  // used, or in the newest message
        bool live = false, gone = false, vouching = false;
    };
    struct Errand {
        Plan plan;
        std::size_t signer;
        ClientId client;
        std::vector<DtbsR> hashes;
        std::string pin, code, key;
        Bytes sad;
        unsigned again = 2;
        enum class At : std::uint8_t { nowhere, challenge, authorise, sign } at = At::nowhere;
        unsigned owner = 0;
        std::vector<DtbsR> signing = {};
    };
    using ErrandPtr = std::shared_ptr<Errand>;
    void populate();
    std::size_t make_signer();
    void enrol(std::size_t signer);
    void begin_errand();
    void challenge(const ErrandPtr& errand);
    void authorise(const ErrandPtr& errand);
    void sign(const ErrandPtr& errand, std::vector<DtbsR> hashes, std::string key = {});
    void authorised(const ErrandPtr& errand, const Result<AuthorisedSad>& answer);
    void use_sad(const ErrandPtr& errand);
    void signature_came(const ErrandPtr& errand, const Result<SignatureList>& answer);
    void owner_died(const ErrandPtr& errand);
    void message_came(const std::string& phone, const std::string& text);
    void vouch(std::size_t signer);
    void replay_loot();
    DtbsR some_hash() { return DtbsR::from(HashAlgorithm::sha256, dice_.fixed<Sha256Digest>().bytes()).value(); }
    std::string current_code(const Signer& signer) const;

    // ── Owners, faults, attackers (world.cpp) ──
    enum class Doom : std::uint8_t { kill, power_cut, twin, fail };
    struct Armed {
        Doom doom;
        unsigned owner, countdown;
    };
    struct Life {
        explicit Life(unsigned number, Surroundings& around) : owner(number, around) {}
        Owner owner;
        bool dead = false, busy = false, doomed = false;
        unsigned history = 0;  // which one it was born in
        std::vector<ErrandPtr> waiting;
    };
    using LifePtr = std::shared_ptr<Life>;
    bool fails_at(unsigned owner, Point point) override;
    void happened(Kind kind, std::uint64_t what = 0, std::uint64_t more = 0);
    void in(std::int64_t milliseconds, std::function<void()> event);
    void live_on(std::uint64_t events);
    bool next();
    void set_clock();
    Life* route();
    LifePtr make_life();
    void round_of(const LifePtr& life);
    void guard(const LifePtr& life, const std::function<void()>& action);
    void bury(const LifePtr& life, Kind how);
    void start(std::optional<Unseal> unseal);
    bool takes_over(const LifePtr& life, const std::optional<Unseal>& unseal);
    void judge_refusal(const Error& error);
    void sealed(const Error& error);
    void module_signs(const LifePtr& life, const std::shared_ptr<Owner::ModuleJob>& job);
    void trouble();
    void arm(Doom doom);
    void restore_older();
    void put_back();
    void finish();

    struct Due {
        std::int64_t at;
        std::uint64_t number;
        std::function<void()> what;
        bool operator<(const Due& other) const { return std::pair{at, number} > std::pair{other.at, other.number}; }
    };

    Dice dice_;
    Plant plant_;
    Events events_;
    FixedClock clock_;
    VirtualToken token_;
    VirtualDisk disk_;
    Books books_;
    Surroundings around_;

    std::priority_queue<Due> queue_;
    std::int64_t now_ = 0;                             // milliseconds
    std::chrono::milliseconds skipped_{0}, wrong_{0};  // nights; what an attacker did to the clock
    std::uint64_t step_ = 0, numbered_ = 0, activations_ = 0;
    unsigned depth_ = 0;
    bool ending_ = false;

    std::vector<LifePtr> lives_;
    std::vector<LifePtr> by_number_;
    LifePtr current_;
    bool starting_ = false;
    std::optional<Armed> armed_;
    unsigned calling_ = 0;
    std::vector<TimePoint> unclean_;
    TimePoint newest_time_{};  // that the clock ever showed
    std::vector<Tables> snapshots_;
    std::optional<Tables> truth_;  // put aside by an attacker
    bool word_given_ = false;      // that the older store may go on, and no start came to its end since
    unsigned histories_ = 0;       // that people let go on

    // Of this world.
    std::vector<Signer> signers_;
    std::map<std::string, std::size_t> by_phone_;
    std::map<std::size_t, std::vector<ErrandPtr>> expecting_;  // a message
    std::vector<ClientId> portals_;
    std::vector<ErrandPtr> loot_;
    std::vector<std::size_t> victims_;
    std::int64_t round_ = 1000, pause_ = 100;  // of an owner; between arrivals
    double hostile_ = 0.2, failing_module_ = 0.01;
    std::int64_t trouble_ = 30'000, patience_until_ = 0;
    std::uint64_t wanted_ = 0;
};

}  // namespace qscd::sam::simulation
