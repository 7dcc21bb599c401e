// Wrapped placement: signers' keys outside the module, under key-encryption keys of which there are many, so that
// destroying one is real. A key is extractable only from its generation to its wrapping, in one call to us; it is opened
// for one authorised request and destroyed in every path. There is no re-wrap: rotation is a new key. [QSCD-30] [QSCD-20]
// Thread rules: as Token, which must outlive it and the keys it gives.
#pragma once

#include <map>
#include <mutex>

#include "hsm/probe/probe.hpp"
#include "hsm/signing_key.hpp"
#include "hsm/wrapping/wrapped_key.hpp"

namespace qscd::hsm {

// A module whose start-up probe says that it keeps what wrapped placement rests on. Only may_wrap makes one.
class WrapPermit {
public:
    bool allows(KeyKind kind) const { return row_of(kind).elliptic ? elliptic_ : rsa_; }
    CK_MECHANISM_TYPE mechanism() const { return mechanism_; }

private:
    friend Result<WrapPermit> may_wrap(const ProbeReport& report);
    WrapPermit(CK_MECHANISM_TYPE mechanism, bool elliptic, bool rsa)
        : mechanism_(mechanism), elliptic_(elliptic), rsa_(rsa) {}
    CK_MECHANISM_TYPE mechanism_;
    bool elliptic_, rsa_;
};

// Errc::not_supported, naming the findings that are missing; what was not tried is missing too.
Result<WrapPermit> may_wrap(const ProbeReport& report);

struct KeyEncryptionKey {
    CkaId id;
    std::vector<std::pair<std::string, std::string>> attributes;  // read back, its unwrap template among them
};

class Wrapping {
public:
    // `binding` is an HMAC key of the same token, made for this alone.
    Wrapping(Token& token, const WrapPermit& permit, std::shared_ptr<KeyObject> binding);

    // A token object: AES-256, wraps and unwraps by the permit's mechanism and nothing else, and opens nothing but private
    // keys that sign and are sensitive, not extractable, not copyable and of the session. Durable on return.
    Result<KeyEncryptionKey> make_kek(const CkaId& id, const std::string& label);
    // With it go all keys under it, wherever their blobs lie. Confirmed by an empty search while the token is present
    // [QSCD-12], durable on return. Destroying what is not there succeeds.
    Result<void> destroy_kek(const CkaId& id);

    // Errc::not_supported for a kind the module does not wrap; Errc::key_gone when there is no such key-encryption key.
    Result<WrappedKey> generate(KeyKind kind, const CkaId& kek, const CkaId& id, const KeyOwner& owner);

    // Whether the blob is whole and this owner's, without opening it. Errc::internal when it is not.
    Result<void> verify(const WrappedKey& key, const KeyOwner& owner);

    // Opens it anew for each request: Errc::key_gone when its key-encryption key is destroyed, Errc::internal, with an
    // alarm, for what does not verify or does not open. None of these reaches C_Sign.
    std::shared_ptr<SigningKey> signing_key(WrappedKey key, const KeyOwner& owner);

private:
    friend class WrappedSigningKey;
    struct Shared {  // with the jobs that are still to run
        std::shared_ptr<KeyObject> binding;
        std::mutex lock;
        std::map<CkaId, std::shared_ptr<KeyObject>> keks;  // their handles; nothing is searched for per signature
        std::shared_ptr<KeyObject> kek(const CkaId& id);
    };
    Token& token_;
    WrapPermit permit_;
    std::shared_ptr<Shared> shared_;
};

}  // namespace qscd::hsm
