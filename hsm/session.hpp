// One open session on one token. Owns the handle: closed when it dies, never copied. Runs one operation at a time, on
// one of its Token's threads, inside the module's gate. Private to the room: others share a Token.
#pragma once

#include <span>

#include "hsm/key.hpp"
#include "hsm/meaning.hpp"
#include "hsm/module.hpp"

namespace qscd::hsm {

// What C_Sign is given: ECDSA the hash, RSA PKCS#1 v1.5 its DigestInfo, RSA PSS the hash with a salt of the same length.
struct SigningInput {
    SigningInput(Scheme scheme, const DtbsR& dtbsr);
    explicit SigningInput(ByteView message);  // for HMAC-SHA-256
    SigningInput(const SigningInput&) = delete;
    CK_MECHANISM mechanism{};
    CK_RSA_PKCS_PSS_PARAMS pss{};
    Bytes data;
};

// PKCS#11 answers r and s at fixed width; everybody else wants DER, Ecdsa-Sig-Value.
Bytes ecdsa_der_of(ByteView raw);

class Session {
public:
    Session(std::shared_ptr<Module> module, std::string label, const SecretBytes& pin)
        : module_(std::move(module)), label_(std::move(label)), pin_(pin) {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    // No C_Logout: login belongs to the token, so that would end it for all of the process's sessions.
    ~Session();

    // A live session, logged in: opens a new one when there is none or the module was re-initialised.
    Result<void> ready();
    Result<void> reopen();
    void drop();  // whatever operation may still be active in it goes too; ready() opens another
    // What a stale answer calls for and no more: while the session is alive and logged in, only the key's handle is out
    // of date, and nobody logs in again to find out that a key is gone.
    Result<void> renew(CK_RV stale);

    // Cached; searched for once after each renewal. Errc::key_gone when the token is there and the key is not.
    Result<CK_OBJECT_HANDLE> locate(KeyObject& key);
    Result<bool> is_there(const KeyObject& key);  // by a search of its own; true or false only while the token is there
    void forget(KeyObject& key) { key.generation_ = 0; }
    CK_RV begin(CK_OBJECT_HANDLE key, SigningInput& input);
    Result<Bytes> finish(const SigningInput& input);

    // Drops the session when it fails: a search left open would fail every later one.
    Result<std::vector<CK_OBJECT_HANDLE>> search(std::span<const CK_ATTRIBUTE> wanted);
    Result<Bytes> read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
    // In one call, for what is known to be short.
    Result<Bytes> read_up_to(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, std::size_t limit);
    Result<bool> token_is_there();

    const CK_FUNCTION_LIST& api() const { return module_->api(); }
    CK_SESSION_HANDLE handle() const { return handle_; }
    std::uint64_t generation() const { return generation_; }

private:
    std::shared_ptr<Module> module_;
    std::string label_;
    const SecretBytes& pin_;
    CK_SLOT_ID slot_ = 0;
    CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
    std::uint64_t generation_ = 0;
};

template <class T>
CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, const T& value) {
    return {type, const_cast<T*>(&value), sizeof value};
}
inline CK_ATTRIBUTE attribute_bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
    return {type, const_cast<std::uint8_t*>(value.data()), value.size()};
}

}  // namespace qscd::hsm
