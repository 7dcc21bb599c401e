// The login of a process on one token: who may try the PIN, whether handles found before still mean anything, and which
// sessions are still to be closed.
// [QSCD-22] Thread rules: safe from every thread. Private to the room.
#pragma once

#include <atomic>
#include <mutex>
#include <p11-kit/pkcs11.h>
#include <set>

#include "base/secret.hpp"

namespace qscd::hsm {

class Login {
public:
    explicit Login(SecretBytes pin) : pin_(std::move(pin)) {}

    // C_Login, by one thread at a time; CKR_OK also when another was first. Once the module refused the PIN, tokens lock
    // when it is tried again: from then on this answers what it answered then, and does not ask.
    CK_RV log_in(const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session);
    bool refused() const { return refusal_ != CKR_OK; }

    // How often this process logged in. A login may number all handles anew, so those of before it are void.
    std::uint32_t logins() const { return logins_; }
    // Sessions opened before are to be replaced when they are next used.
    std::uint64_t turn() const { return turn_; }
    void replace_sessions() { ++turn_; }

    // A session of ours and the module's generation it was opened in. Where a device was away when a session was to be
    // closed, it may hold it open for ever, and tokens give few: it is closed when the device is back. A number that
    // another of our sessions got meanwhile is left alone.
    struct Opened {
        CK_SESSION_HANDLE session;
        std::uint64_t generation;
        auto operator<=>(const Opened&) const = default;
    };
    void opened(Opened session);
    void close(const CK_FUNCTION_LIST& api, Opened session);
    void close_abandoned(const CK_FUNCTION_LIST& api, std::uint64_t generation);

private:
    SecretBytes pin_;
    std::mutex sessions_;
    std::set<Opened> live_, abandoned_;
    std::mutex one_;
    std::atomic<CK_RV> refusal_ = CKR_OK;
    std::atomic<std::uint32_t> logins_ = 0;
    std::atomic<std::uint64_t> turn_ = 0;
};

}  // namespace qscd::hsm
