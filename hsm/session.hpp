// One open session on one token. Owns the handle: closed when it dies, never copied. Runs one operation at a time, on
// one of its Token's threads, inside the module's gate. Private to the room: others share a Token.
#pragma once

#include <span>

#include "hsm/key.hpp"
#include "hsm/login.hpp"
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
    // `login` must outlive this.
    Session(std::shared_ptr<Module> module, std::string label, Login& login)
        : module_(std::move(module)), label_(std::move(label)), login_(login) {}
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    // No C_Logout: login belongs to the token, so that would end it for all of the process's sessions.
    ~Session();

    // A live session, logged in: opens a new one when there is none, the module was re-initialised or all are to be
    // replaced. Errc::configuration when the PIN is refused.
    Result<void> ready();
    bool current() const;  // ready() would open no other
    Result<void> reopen();
    // Asks the module whether this session lives and is logged in, and opens a new one if not: before what must not be
    // asked twice.
    Result<void> prove();
    bool alive() const;
    // How many sessions the token gives one process; 0: it names no limit.
    Result<CK_ULONG> session_limit();

    // The error of a call of this session that failed, remembered until clear().
    Error fail(CK_RV rv, std::string_view call);
    CK_RV last() const { return last_; }
    bool went_stale() const { return meaning_of(last_) == Meaning::stale; }
    void clear() { last_ = CKR_OK; }
    void drop();  // whatever operation may still be active in it goes too; ready() opens another
    // What a stale answer calls for and no more: while the session is alive and logged in, only the key's handle is out
    // of date, and nobody logs in again to find out that a key is gone.
    Result<void> renew(CK_RV stale);

    // Cached; searched for once after each renewal. Errc::key_gone when the token is there and the key is not.
    Result<CK_OBJECT_HANDLE> locate(KeyObject& key);
    Result<bool> is_there(const KeyObject& key);  // by a search of its own; true or false only while the token is there
    void forget(KeyObject& key) const { remember(key, CK_INVALID_HANDLE, 0); }
    void remember(KeyObject& key, CK_OBJECT_HANDLE handle) const {  // of a key just made: nobody searches for it
        remember(key, handle, generation());
    }
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
    // Handles found under another generation are void: the module was initialised, or we logged in, since then.
    std::uint64_t generation() const { return (module_->generation() << 32) | login_.logins(); }

private:
    static void remember(KeyObject& key, CK_OBJECT_HANDLE handle, std::uint64_t generation);

    std::shared_ptr<Module> module_;
    std::string label_;
    Login& login_;
    CK_SLOT_ID slot_ = 0;
    CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
    std::uint64_t opened_in_ = 0, opened_at_ = 0;  // the module's generation and the login's turn, when it was opened
    CK_RV last_ = CKR_OK;
};

template <class T>
CK_ATTRIBUTE attribute(CK_ATTRIBUTE_TYPE type, const T& value) {
    return {type, const_cast<T*>(&value), sizeof value};
}
inline CK_ATTRIBUTE attribute_bytes(CK_ATTRIBUTE_TYPE type, ByteView value) {
    return {type, const_cast<std::uint8_t*>(value.data()), value.size()};
}

}  // namespace qscd::hsm
