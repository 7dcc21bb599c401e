// A wrapped key made and opened: the only places where a signer's key is an object of a session. Private to the room; the
// caller is on one of the token's threads, inside the module's gate. [QSCD-30] [pkcs11-and-hsm, sections 3 and 5]
#pragma once

#include "hsm/session.hpp"
#include "hsm/signing_key.hpp"
#include "hsm/wrapping/wrapped_key.hpp"

namespace qscd::hsm {

// An object that must not outlive what it was made for: destroyed in every path; where that fails, the session is closed,
// and the object goes with it. The session may be dropped meanwhile, and is not opened anew before this is gone.
class PassingObject {
public:
    PassingObject(Session& session, CK_OBJECT_HANDLE handle)
        : session_(&session), handle_(handle), home_(session.handle()) {}
    PassingObject(PassingObject&& other) noexcept
        : session_(std::exchange(other.session_, nullptr)), handle_(other.handle_), home_(other.home_) {}
    PassingObject& operator=(PassingObject&&) = delete;
    ~PassingObject() { (void)destroy(); }

    CK_OBJECT_HANDLE handle() const { return handle_; }
    bool destroy();  // now; false when the session had to be closed for it

private:
    Session* session_;
    CK_OBJECT_HANDLE handle_;
    CK_SESSION_HANDLE home_;  // the session it was made in: when that is dropped, it is gone already
};

struct WrappingKeys {
    KeyObject& kek;
    KeyObject& binding;  // HMAC-SHA-256
};

// Makes the key, wraps it, destroys it, binds the blob to `owner`. It is extractable for the one call of C_WrapKey.
Result<WrappedKey> make_wrapped_key(Session& session, const WrappingKeys& keys, CK_MECHANISM_TYPE mechanism,
                                    KeyKind kind, const CkaId& id, const KeyOwner& owner);

// Errc::internal when the blob is altered or another owner's.
Result<void> verify_binding(Session& session, KeyObject& binding, const WrappedKey& key, const KeyOwner& owner);

// The binding first, then C_UnwrapKey. Errc::key_gone when the key-encryption key is destroyed; Errc::internal for what
// the module refuses to open, with an alarm: not transient, the record is to be looked at by people.
Result<PassingObject> open_wrapped_key(Session& session, const WrappingKeys& keys, const WrappedKey& key,
                                       const KeyOwner& owner);

// Opens once for all hashes of one authorised request, and checks the first signature with the public key. What a failed
// C_SignInit or C_UnwrapKey answers is tried once more after renewal; nothing is, once C_Sign was entered.
std::vector<Token::Outcome> sign_opened(Session& session, const WrappingKeys& keys, const WrappedKey& key,
                                        const KeyOwner& owner, Scheme scheme, std::span<const DtbsR> hashes);

}  // namespace qscd::hsm
