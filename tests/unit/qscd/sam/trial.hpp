// A SAM on a SoftHSM2 token and a SQLite file of its own, wired as the daemon is: papers come from software keys, requests
// over socket pairs, and a notifier keeps the SMS it is given. Each test builds the good case and changes one thing.
#pragma once

#include <condition_variable>
#include <gtest/gtest.h>
#include <set>

#include "base/random.hpp"
#include "policy/policy.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"
#include "qscd/sam/service.hpp"
#include "qscd/sam/state/module_keys.hpp"
#include "qscd/sam/state/sql_state_store.hpp"
#include "tests/instruments/cluster/place.hpp"

namespace qscd::sam {

using namespace std::chrono_literals;

inline const TimePoint noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h;

// A folder of this test's own, gone afterwards, with a SoftHSM2 module whose tokens live in it.
struct TrialModule {
    TrialModule();
    ~TrialModule();
    std::unique_ptr<hsm::Token> open(const std::string& label, unsigned threads = 1);  // made at the first time
    std::unique_ptr<hsm::Token> open_sam(const Sha256Digest& policy_version, bool trial = true);  // with its genesis
    void take_away();  // the tokens, as if pulled out
    void bring_back();
    void load();  // the module; again after module.reset()
    store::Location store() const { return instruments::place_of(folder / "samd.sqlite"); }
    std::filesystem::path folder;
    std::shared_ptr<hsm::Module> module;
    unsigned flows_a_seed = Secrets::flows_a_seed;  // of the next start
    std::set<std::string> seen;                     // labels; a token that is not there for a moment is not made twice
};
void wait_until_reachable(const hsm::Token& token);

DtbsR hash_of(std::string_view document);
std::string totp(ByteView secret, TimePoint at, unsigned period = 30);
std::string wrong(std::string code);  // another one of the same form

// A person with a phone and an authenticator app.
struct Person {
    protocol::Subject subject;
    std::string phone;
    SignerId signer = random_fixed<SignerId>();
    DeviceId phone_device = random_fixed<DeviceId>(), app_device = random_fixed<DeviceId>();
};
Person anna();
Person boris();

// Issuing keys and papers.
struct Desk {
    EvpPkey officer = generate_p256(), rule = generate_p256(), stranger = generate_p256(), root = generate_p256(),
            ca = generate_p256();
    X509Cert root_certificate, ca_certificate;
    explicit Desk(TimePoint now);
    protocol::TrustedKeys paper_keys() const;
    pb::Paper sign(const protocol::Unsigned& paper, EVP_PKEY& key) const;
    pb::Paper sign(const protocol::Grant& grant) const { return sign(protocol::to_paper(grant), *officer); }
};

// What a certificate says; the good one is for the key and the subject it is made with.
struct CertificateText {
    Bytes public_key;
    protocol::Subject subject;
    TimePoint not_before, not_after;
    std::string organisation = {};  // an attribute that no Grant has
};
Bytes certificate(const CertificateText& text, X509& issuer, EVP_PKEY& issuer_key);

policy::Policy trial_policy();

inline const ShardSettings one_shard{.number = 1, .token = "qscd-signers-1", .module = "softhsm2"};

// The running part, in the order of the daemon.
struct Running {
    Running(TrialModule& tokens, const policy::Policy& rules, const Desk& desk, const Clock& clock,
            const std::vector<ShardSettings>& shards = {one_shard});
    ~Running();                       // a clean stop
    void crash() { crashed = true; }  // the end leaves no record of a stop
    Result<std::unique_ptr<Ledger>> open_ledger(const Opening& opening);

    const Clock& clock;
    protocol::TrustedKeys paper_keys;
    IssuingCas issuers;
    std::atomic<bool> lost = false, fenced = false, crashed = false;
    std::unique_ptr<Core> core;
    std::unique_ptr<hsm::Token> sam_token;
    Shards shards;
    hsm::Token* signer_token;  // the first shard's
    std::unique_ptr<store::Database> database;
    SqlStateStore state;
    std::unique_ptr<ModuleKeys> keys;
    std::atomic<bool> dead_generator = false;  // the module's: zeros
    Secrets secrets;
    ProcessKey process_key{fill_random};
    std::mutex outbox_lock;
    std::vector<std::pair<std::string, std::string>> outbox;  // number, text
    std::atomic<bool> notifier_refuses = false;
    protocol::Server notifier;
    protocol::Client to_notifier{"notifierd"};
    Messenger messenger{to_notifier};
    Sam sam;
    Service service;
    protocol::Server server;
    protocol::Client gateway{"samd"}, bootstrap{"samd"}, stranger{"samd"};
};

struct Credential {
    CredentialId id;
    EnrolmentId enrolment;
    Bytes public_key, totp_secret, certificate;
    std::string phone;
};

struct TrialSam : ::testing::Test {
    TrialModule tokens;
    FixedClock clock{noon};
    policy::Policy rules = trial_policy();
    Desk desk{noon};
    std::vector<ShardSettings> shards{one_shard};
    std::unique_ptr<Running> running;

    TrialSam() : TrialSam({one_shard}) {}
    explicit TrialSam(std::vector<ShardSettings> shards);
    void stop() { running.reset(); }
    void crash() {
        running->crash();
        stop();
    }
    void start() { running = std::make_unique<Running>(tokens, rules, desk, clock, shards); }
    // The store as samd leaves it: between stop() and start().
    void in_store(const std::function<void(Ledger&)>& change);

    // Enrolment, step by step or at once.
    protocol::Grant grant_for(const Person& person, const std::string& profile = "totp") const;
    Result<pb::EnrolmentState> begin(const pb::Paper& grant);
    Result<pb::FactorsSet> set_factors(const EnrolmentId& enrolment, const std::string& pin, const std::string& code);
    Result<pb::SignedPaper> create_key(const EnrolmentId& enrolment);
    Result<pb::SignedPaper> activate(const EnrolmentId& enrolment, const Bytes& certificate);
    Bytes certificate_for(const protocol::Grant& grant, const Bytes& public_key) const;
    Credential enrol(const Person& person, const std::string& profile = "totp", const std::string& pin = "48151623");
    std::string last_sms(const std::string& phone);
    std::string last_code(const std::string& phone);  // the six digits at its end
    std::size_t sms_count();

    // Signing. Hashes are of documents named here.
    struct Ask {
        std::string pin = "48151623", code = {};
        std::vector<std::string> documents{"contract"};
        std::string client = "portal", held = "TOTP";
        std::vector<std::pair<std::string, std::string>> factors = {};  // when set: instead of pin and code
    };
    Result<pb::Authorised> authorise(const Credential& credential, const Ask& ask);
    Result<pb::ChallengeOpened> challenge(const Credential& credential, const std::vector<std::string>& documents,
                                          const std::string& client = "portal", const std::string& factor = "SMS");
    Result<pb::Signatures> sign(const Credential& credential, const std::string& sad,
                                const std::vector<std::string>& documents = {"contract"}, const std::string& key = "",
                                Scheme scheme = Scheme::ecdsa, const std::string& client = "portal");
    Result<pb::Done> destroy(const Credential& credential);
    Result<pb::Done> set_disabled(const Credential& credential, bool disabled);
    std::string approved(const Credential& credential,
                         const std::vector<std::string>& documents = {"contract"});  // a SAD token
    std::string code(const Credential& credential) const { return totp(credential.totp_secret, clock.now()); }
    void next_step() { clock.advance(30s); }

    Result<pb::Done> unseal(const std::string& reason);
    Result<pb::Done> rotate_keys(const std::string& reason);
    std::vector<pb::LogRecord> records();
    std::vector<pb::LogRecord> records(std::string_view type);
};
std::string field(const pb::LogRecord& record, std::string_view name);
bool verifies(const Credential& credential, std::string_view document, const std::string& signature);

}  // namespace qscd::sam
