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

class Token {
public:
    // One session per thread, and one more that keeps the login alive. A token that is away now is opened as soon as it is
    // there. Errc::configuration for a wrong PIN, which is never tried again.
    static Result<std::unique_ptr<Token>> open(std::shared_ptr<Module> module, std::string label, SecretBytes pin,
                                               unsigned threads);
    ~Token();

    const std::string& label() const { return label_; }
    Module& module() const { return *module_; }

    // A private token object: sensitive, never extractable, not modifiable, not copyable, sign only; attributes are read
    // back and compared, and the object destroyed when one differs. Durable on return. Errc::internal for a bad read-back.
    Result<GeneratedKey> generate(KeyKind kind, const CkaId& id, const std::string& label);
    // A 32-byte generic secret for HMAC-SHA-256, of the same strictness.
    Result<std::shared_ptr<KeyObject>> generate_hmac_key(const CkaId& id, const std::string& label);

    // Errc::parameter_invalid when the token is there and no such key is.
    Result<std::shared_ptr<KeyObject>> find_private(const CkaId& id);
    Result<std::shared_ptr<KeyObject>> find_by_label(const std::string& label);  // private or secret
    Result<std::vector<CkaId>> private_keys();
    // Confirmed by an empty search while the token is present [QSCD-12]. Destroying what is not there succeeds.
    Result<void> destroy(const CkaId& id);

    // A signature over a digest. ECDSA: DER Ecdsa-Sig-Value; RSA PKCS#1 v1.5 with its DigestInfo; PSS: MGF1 with the same
    // hash, salt as long as the hash. `entered` tells whether C_Sign was reached: from then on the outcome counts as used.
    // A failed C_SignInit is tried once more after renewal; nothing is retried once C_Sign was entered.
    struct Outcome {
        Result<Bytes> signature;
        bool entered;
    };
    Outcome sign(KeyObject& key, Scheme scheme, const DtbsR& dtbsr);
    // The same for several hashes on one of the pool's threads; stops at the first failure. `done` runs on that thread.
    void sign_all(std::shared_ptr<KeyObject> key, Scheme scheme, std::vector<DtbsR> hashes,
                  std::function<void(std::vector<Outcome>)> done);
    Result<Bytes> hmac(KeyObject& key, ByteView message);  // HMAC-SHA-256

    // An unmodifiable data object: for what must be read from the token and never from the store.
    Result<void> create_data(const std::string& label, ByteView value);
    Result<std::optional<Bytes>> read_data(const std::string& label);

    bool reachable() const;  // as the last call or the keeper saw it

private:
    struct Pool;
    Token(std::shared_ptr<Module> module, std::string label);
    template <class T>
    T run(std::function<T(Session&)> job);
    std::shared_ptr<Module> module_;
    std::string label_;
    std::unique_ptr<Pool> pool_;
};

}  // namespace qscd::hsm
