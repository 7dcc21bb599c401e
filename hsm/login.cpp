#include "hsm/login.hpp"

#include <utility>

#include "hsm/meaning.hpp"

namespace qscd::hsm {

CK_RV Login::log_in(const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session) {
    const std::lock_guard one{one_};
    if (refused()) return refusal_;
    const CK_RV rv = api.C_Login(session, CKU_USER, const_cast<CK_UTF8CHAR*>(pin_.reveal().data()), pin_.size());
    if (rv == CKR_USER_ALREADY_LOGGED_IN) return CKR_OK;
    if (rv == CKR_OK) ++logins_;
    if (meaning_of(rv) == Meaning::pin) refusal_ = rv;
    return rv;
}

void Login::opened(Opened session) {
    const std::lock_guard guard{sessions_};
    live_.insert(session);
    abandoned_.erase(session);
}

void Login::close(const CK_FUNCTION_LIST& api, Opened session) {
    const CK_RV rv = api.C_CloseSession(session.session);
    const std::lock_guard guard{sessions_};
    live_.erase(session);
    if (rv != CKR_OK && rv != CKR_SESSION_HANDLE_INVALID && rv != CKR_SESSION_CLOSED) abandoned_.insert(session);
}

void Login::close_abandoned(const CK_FUNCTION_LIST& api, std::uint64_t generation) {
    const std::lock_guard guard{sessions_};
    std::erase_if(live_, [&](const Opened& each) { return each.generation != generation; });
    for (const auto& each : std::exchange(abandoned_, {})) {
        if (each.generation != generation) continue;  // C_Finalize closed it
        const CK_RV rv = api.C_CloseSession(each.session);
        if (rv != CKR_OK && rv != CKR_SESSION_HANDLE_INVALID && rv != CKR_SESSION_CLOSED) abandoned_.insert(each);
    }
}

}  // namespace qscd::hsm
