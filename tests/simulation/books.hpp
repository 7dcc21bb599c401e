// The books of whoever audits a run: a model of its own of what was allowed, fed by what disk, token and clients saw, and
// never by what samd believes. Each check has a name; the first that fails ends the run. Thread rules: one thread.
#pragma once

#include <stdexcept>
#include <unordered_map>

#include "base/clock.hpp"
#include "qscd/sam/activation/activation.hpp"
#include "qscd/sam/activation/requests.hpp"
#include "tests/simulation/virtual_disk.hpp"
#include "tests/simulation/virtual_token.hpp"

namespace qscd::sam::simulation {

struct Violation : std::runtime_error {
    using std::runtime_error::runtime_error;
};

enum class Check : std::uint8_t {
    occurrence_signed_once,
    intent_before_signature,
    result_before_release,
    record_before_answer,
    pin_tries,
    code_before_pin,
    code_used_once,
    sad_of_its_client_and_time,
    old_owner_fenced,
    rollback_sealed,
    sealed_for_a_reason,
    anchored_kept,
    cells_agree,
    log_verifies,
};
inline constexpr std::array<std::string_view, 14> check_names{
    "each occurrence of a SAD token is signed at most once",
    "no signature without a durable, anchored intent",
    "no signature leaves without its durable, anchored result",
    "no answer without its durable, anchored record",
    "PIN evaluations between two successes stay within the tries",
    "no PIN evaluation without a right code",
    "no code is accepted twice",
    "a SAD token serves its client, in its time",
    "an older owner signs no head and commits nothing",
    "a store that was rolled back is sealed",
    "what was not touched is not sealed",
    "what was anchored is kept",
    "the cells agree with what was seen",
    "the whole log verifies",
};

// What a signer is, for the books: made with him.
struct Enrolled {
    CredentialId credential;
    std::string pin;
    unsigned tries;
    Bytes totp_secret;   // empty: codes come by SMS
    std::size_t device;  // several credentials may have one
};

// One attempt as its client made it.
struct Attempt {
    CredentialId credential;
    std::string client = {};
    std::vector<DtbsR> hashes = {};
    std::string code = {};
    TimePoint begun = {};
    unsigned owner = 0;
};

class Books {
public:
    Books(const VirtualDisk& disk, const VirtualToken& token) : disk_(disk), token_(token) {}

    void enrolled(const Enrolled& signer);

    // ── What disk and token saw ──
    void committed(unsigned owner, const std::vector<const Bytes*>& records);
    void anchored();
    void fenced_others(unsigned owner) { newest_owner_ = owner; }
    void head_signed(unsigned owner) { require(owner >= newest_owner_, Check::old_owner_fenced, "signed a head"); }
    // `attempt`: whose, or null for none at all.
    void pin_evaluated(ByteView input, const Attempt* attempt);
    void entered_module(const SignRequest& request, TimePoint begun, const Activation& activation, const DtbsR& hash);

    // ── What clients saw ──
    void sent(const ChallengeRequest& request, std::string_view text, TimePoint now, TimePoint expires, unsigned owner);
    void answered(const ChallengeRequest& request, const Result<std::chrono::seconds>& answer);
    void answered(const AuthoriseRequest& request, const Result<AuthorisedSad>& answer, TimePoint expires);
    void answered(const SignRequest& request, const CkaId& key, const Result<SignatureList>& answer);

    // ── Starts ──
    // `touched`: an attacker put an older store in place, and nobody let that go on. `excused`: a clock that ran back, or
    // too many unclean ends.
    void opened(bool touched);
    void refused_to_open(const Error& error, bool touched, bool excused);
    void let_go_on();  // people accepted the store as it is

    // ── The end ──
    struct CellView {
        unsigned tries_left;
        std::int64_t last_step;
        std::vector<std::pair<Sha256Digest, std::vector<std::pair<Bytes, bool>>>> sads;
    };
    void agrees(const CredentialId& credential, const CellView& cell);
    void missing(const CredentialId& credential);  // its cell is not there
    void whole_log_verifies(const std::string& origin);

    std::uint64_t checked() const;
    const std::array<std::uint64_t, check_names.size()>& counts() const { return counts_; }
    bool is_blocked(const CredentialId& credential) const;

private:
    struct Intent {
        std::uint64_t seq;
        std::string hash_set;
        bool entered = false, ended = false;
    };
    struct Message {
        std::string client, code;
        std::vector<DtbsR> hashes;  // sorted
        TimePoint expires;
        unsigned owner;
        std::optional<TimePoint> followed = {};  // by a newer one of the same owner
        bool used = false;
    };
    struct Told {
        std::uint64_t seq;
        std::string result;
    };
    struct Credential {
        Enrolled signer;
        unsigned evaluated = 0;  // PINs, since the last success on record
        std::vector<Intent> intents = {};
        std::vector<Message> messages = {};
        std::vector<Told> told = {};  // records that an answer may rest on
        bool rolled_back = false;
    };
    struct Occurrences {
        DtbsR hash;
        unsigned allowed, entered = 0;
    };
    struct Sad {
        CredentialId credential;
        std::string client;
        TimePoint expires;
        std::vector<Occurrences> hashes;
    };
    void require(bool holds, Check check, std::string_view what) {
        ++counts_[static_cast<std::size_t>(check)];
        if (!holds) [[unlikely]]
            fail(check, what);
    }
    [[noreturn]] static void fail(Check check, std::string_view what);
    std::uint64_t anchored_size() const;
    // `result`: as the record says it; of a success the record's type stands before it.
    void rest_on_record(const CredentialId& credential, std::string_view result);
    static void forget(std::vector<Intent>& intents, std::vector<Intent>::iterator ended);
    void accept_code(Credential& credential, const Attempt& attempt);

    const VirtualDisk& disk_;
    const VirtualToken& token_;
    std::unordered_map<CredentialId, Credential, HashOfFixedBytes> credentials_;
    std::unordered_map<std::size_t, std::vector<std::int64_t>> steps_;  // accepted, by device
    std::unordered_map<Sha256Digest, Sad, HashOfFixedBytes> sads_;
    std::unordered_map<std::string, std::uint64_t> results_;  // seq by the digest of the signatures
    std::vector<const Bytes*> history_;                       // the log as it was made durable, or let go on
    std::uint64_t kept_ = 0;                                  // of it: what was anchored once
    unsigned newest_owner_ = 0, newest_writer_ = 0;
    std::array<std::uint64_t, check_names.size()> counts_{};
};

std::string totp_code(ByteView secret, std::int64_t step);  // RFC 6238, SHA-1, six digits
inline constexpr std::int64_t totp_period = 30, totp_tolerance = 1;

}  // namespace qscd::sam::simulation
