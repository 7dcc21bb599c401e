// The one place where a CK_RV gets a meaning [pkcs11 2.40, 11.1]. Thread rules: pure functions.
#pragma once

#include <p11-kit/pkcs11.h>
#include <string_view>

#include "base/result.hpp"

namespace qscd::hsm {

enum class Meaning {
    fine,
    stale,  // our session, login or handle is out of date: renew, then try once more if C_Sign was not entered
    away,   // the module or its token does not answer: 503 now, the keeper brings it back
    bug,    // we asked for something wrong, or the module refuses by policy
};

constexpr Meaning meaning_of(CK_RV rv) {
    switch (rv) {
        case CKR_OK: return Meaning::fine;
        case CKR_SESSION_HANDLE_INVALID:
        case CKR_SESSION_CLOSED:
        case CKR_USER_NOT_LOGGED_IN:
        case CKR_OBJECT_HANDLE_INVALID:
        case CKR_KEY_HANDLE_INVALID:
        case CKR_OPERATION_ACTIVE:
        case CKR_HOST_MEMORY:  // NSS after a logout
            return Meaning::stale;
        case CKR_TOKEN_NOT_PRESENT:
        case CKR_TOKEN_NOT_RECOGNIZED:
        case CKR_SLOT_ID_INVALID:
        case CKR_DEVICE_REMOVED:
        case CKR_DEVICE_ERROR:
        case CKR_DEVICE_MEMORY:
        case CKR_FUNCTION_FAILED:
        case CKR_GENERAL_ERROR:
        case CKR_CRYPTOKI_NOT_INITIALIZED: return Meaning::away;
        default: return Meaning::bug;
    }
}

// stale and away become Errc::token_away, a bug Errc::internal; the detail names the call and the code in hex.
Error error_of(CK_RV rv, std::string_view call);

}  // namespace qscd::hsm
