// One token: a pool of logged-in sessions on threads of its own, and the keys in it. [QSCD-01] [QSCD-02] [QSCD-22]
// Thread rules: every function is safe from every thread but the pool's own (a job must not wait for another job) and an
// event loop's: the blocking ones wait for the module.
#pragma once

#include <functional>
#include <thread>

#include "base/secret.hpp"
#include "hsm/key.hpp"
#include "hsm/module.hpp"

namespace qscd::hsm {

class Session;

// What a token must be before anybody works with it, asked of it each time it comes (back). Errc::configuration: it is
// given up, as with a wrong PIN. [hsm/admission.hpp]
using Admission = std::function<Result<void>(Session&)>;

class Token {
public:
    // One session per thread, and one more that keeps the login alive; fewer threads where the token gives fewer sessions.
    // A token that is away for longer than a second is opened as soon as it is there. Errc::configuration for a wrong,
    // expired or locked PIN, which is never tried again, for a token that gives fewer than two sessions, and for one that
    // `admission` refuses.
    static Result<std::unique_ptr<Token>> open(std::shared_ptr<Module> module, std::string label, SecretBytes pin,
                                               unsigned threads, Admission admission = {});
    ~Token();

    const std::string& label() const { return label_; }
    Module& module() const { return *module_; }

    // A private token object: sensitive, never extractable, not modifiable, not copyable, sign only; attributes are read
    // back and compared, and the object destroyed when one differs. Durable on return. Errc::internal for a bad read-back.
    Result<GeneratedKey> generate(KeyKind kind, const CkaId& id, const std::string& label);
    // A 32-byte generic secret for HMAC-SHA-256, of the same strictness.
    Result<std::shared_ptr<KeyObject>> generate_hmac_key(const CkaId& id, const std::string& label);

    // By CKA_ID alone. Errc::key_gone when the token is there and no such key is.
    Result<std::shared_ptr<KeyObject>> find_private(const CkaId& id);
    Result<std::shared_ptr<KeyObject>> find_secret(const CkaId& id);
    // Private or secret; Errc::parameter_invalid when the token is there and there is none, or several.
    Result<std::shared_ptr<KeyObject>> find_by_label(const std::string& label);
    Result<std::vector<CkaId>> private_keys();  // those that stay: no session's own
    // Private and secret keys whose label begins so. Errc::internal when one of them has a CKA_ID that is not ours.
    Result<std::vector<NamedKey>> keys(std::string_view prefix);

    // Private or secret. Confirmed by an empty search while the token is present [QSCD-12], durable on return.
    // Destroying what is not there succeeds.
    Result<void> destroy(const CkaId& id);
    // An empty search while the token is present. Errc::internal when the key is there.
    Result<void> confirm_gone(const CkaId& id);

    // A signature over a digest. ECDSA: DER Ecdsa-Sig-Value; RSA PKCS#1 v1.5 with its DigestInfo; PSS: MGF1 with the same
    // hash, salt as long as the hash. `entered` tells whether C_Sign was reached: from then on the outcome counts as used.
    // A failed C_SignInit is tried once more after renewal; nothing is retried once C_Sign was entered. A key that
    // somebody destroyed while the token is there is Errc::key_gone, found out without a new login.
    struct Outcome {
        Result<Bytes> signature;
        bool entered;
    };
    Outcome sign(KeyObject& key, Scheme scheme, const DtbsR& dtbsr);
    // For a key whose destruction by another process is a fence. A module may finish a C_Sign that was begun before the
    // key was destroyed, so the key is searched for once more afterwards, and the signature is answered only if it is
    // there: what this answers was signed before the destruction. Else Errc::key_gone, with `entered` true.
    // The search costs some 15 us an object in the token on SoftHSM: for tokens with few objects.
    Outcome sign_fenced(KeyObject& key, Scheme scheme, const DtbsR& dtbsr);
    // The same for several hashes on one of the pool's threads; stops at the first failure. `done` runs on that thread.
    void sign_all(std::shared_ptr<KeyObject> key, Scheme scheme, std::vector<DtbsR> hashes,
                  std::function<void(std::vector<Outcome>)> done);
    Result<Bytes> hmac(KeyObject& key, ByteView message);  // HMAC-SHA-256

    // From the module's own generator. For secrets use MixedRandom, which does not trust it alone.
    Result<SecretBytes> random(std::size_t size);

    // An unmodifiable data object: for what must be read from the token and never from the store.
    Result<void> create_data(const std::string& label, ByteView value);
    Result<std::optional<Bytes>> read_data(const std::string& label);

    bool reachable() const;  // as the last call or the keeper saw it; a token that nobody uses is looked at every 2 s
    // The same, waiting for it no longer than so.
    bool wait_until_reachable(std::chrono::milliseconds patience) const;

    // What went wrong since it was opened; misuses() in meaning.hpp counts our own mistakes.
    struct Counters {
        unsigned long failures;         // jobs that failed as if the token were away
        unsigned long renewals;         // jobs that found their session, login or handle out of date
        unsigned long openings;         // of the circuit breaker
        unsigned long module_restarts;  // C_Finalize and C_Initialize asked for by this token
    };
    Counters counters() const;
    unsigned threads() const;

    // For this room's other files: runs `job` on one of the pool's threads, inside the module's gate, with a session that
    // is logged in. Its errors are told to the token's breaker.
    Result<void> on_session(const std::function<Result<void>(Session&)>& job);
    // The same without waiting: `done` runs on that thread, outside the gate, with what `job` answered or why it did not
    // run.
    void post(std::function<Result<void>(Session&)> job, std::function<void(const Result<void>&)> done);

private:
    struct Pool;
    // unproved: as fast as can be; what is stale is found by the call itself. proved: the module is asked first whether
    // the session lives, since the job must not be repeated. twice: the job is repeated once when something was stale.
    enum class Asking { unproved, proved, twice };
    Result<std::shared_ptr<KeyObject>> find(CK_OBJECT_CLASS object_class, const CkaId& id);
    Token(std::shared_ptr<Module> module, std::string label);
    template <class T>
    T run(Asking asking, const std::function<T(Session&)>& job);
    template <class T>
    T answer(Session& session, Asking asking, const std::function<T(Session&)>& job);
    std::shared_ptr<Module> module_;
    std::string label_;
    std::unique_ptr<Pool> pool_;
};

}  // namespace qscd::hsm
