// The one place where a CK_RV gets a meaning [pkcs11 2.40, 11.1] [QSCD-22]. What follows from a meaning, in short: before
// C_Sign was entered a stale answer is renewed and asked once more; whatever C_Sign itself answers counts as used.
// Thread rules: pure functions, and one counter that every thread may read.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <p11-kit/pkcs11.h>
#include <string_view>

#include "base/result.hpp"

namespace qscd::hsm {

enum class Meaning {
    fine,
    stale,    // our session, login or handle is out of date: renew, then try once more if C_Sign was not entered
    away,     // the module or its token does not answer: 503 now, the keeper brings it back
    pin,      // from C_Login: the PIN is wrong or locked; the token is given up, nobody tries again
    damaged,  // what was to be opened is damaged or foreign: never transient
    bug,      // we asked for something wrong, or the module refuses by policy: never transient
};

// A row of the table. `ours` are those that only a mistake of ours can bring: they are counted.
struct ReturnValue {
    CK_RV rv;
    std::string_view name;
    Meaning meaning;
    bool ours;
    std::string_view why;
};
inline constexpr bool our_fault = true, no_fault = false;
inline constexpr std::array return_values{
    ReturnValue{CKR_OK, "CKR_OK", Meaning::fine, no_fault, "done"},
    ReturnValue{CKR_CANCEL, "CKR_CANCEL", Meaning::away, no_fault, "the module gave the call up"},
    ReturnValue{CKR_HOST_MEMORY, "CKR_HOST_MEMORY", Meaning::stale, no_fault, "NSS says this after a logout"},
    ReturnValue{CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", Meaning::away, no_fault, "slots were numbered anew"},
    ReturnValue{CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", Meaning::away, no_fault,
                "network HSM or daemon gone; SoftHSM without its folder"},
    ReturnValue{CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", Meaning::away, no_fault, "network HSM or daemon gone"},
    ReturnValue{CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD", Meaning::bug, our_fault, "we asked wrongly"},
    ReturnValue{CKR_NO_EVENT, "CKR_NO_EVENT", Meaning::bug, no_fault, "C_WaitForSlotEvent alone, which is not used"},
    ReturnValue{CKR_NEED_TO_CREATE_THREADS, "CKR_NEED_TO_CREATE_THREADS", Meaning::bug, no_fault,
                "the module wants what we do not give"},
    ReturnValue{CKR_CANT_LOCK, "CKR_CANT_LOCK", Meaning::bug, no_fault, "the module cannot be used by several threads"},
    ReturnValue{CKR_ATTRIBUTE_READ_ONLY, "CKR_ATTRIBUTE_READ_ONLY", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_ATTRIBUTE_SENSITIVE, "CKR_ATTRIBUTE_SENSITIVE", Meaning::bug, no_fault, "refused, as it should"},
    ReturnValue{CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID", Meaning::bug, no_fault,
                "the module does not know it: generation asks without"},
    ReturnValue{CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_ACTION_PROHIBITED, "CKR_ACTION_PROHIBITED", Meaning::bug, no_fault, "refused, as it should"},
    ReturnValue{CKR_DATA_INVALID, "CKR_DATA_INVALID", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_DATA_LEN_RANGE, "CKR_DATA_LEN_RANGE", Meaning::bug, no_fault,
                "refused: some take no hash longer than the curve"},
    ReturnValue{CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", Meaning::away, no_fault, "network HSM gone"},
    ReturnValue{CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY", Meaning::away, no_fault, "the device is full for now"},
    ReturnValue{CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", Meaning::away, no_fault, "pulled out"},
    ReturnValue{CKR_ENCRYPTED_DATA_INVALID, "CKR_ENCRYPTED_DATA_INVALID", Meaning::damaged, no_fault,
                "what was to be opened is not whole"},
    ReturnValue{CKR_ENCRYPTED_DATA_LEN_RANGE, "CKR_ENCRYPTED_DATA_LEN_RANGE", Meaning::damaged, no_fault, "the same"},
    ReturnValue{0x42, "CKR_AEAD_DECRYPT_FAILED", Meaning::damaged, no_fault, "3.0: what was to be opened is not whole"},
    ReturnValue{CKR_FUNCTION_CANCELED, "CKR_FUNCTION_CANCELED", Meaning::away, no_fault, "the module gave the call up"},
    ReturnValue{CKR_FUNCTION_NOT_PARALLEL, "CKR_FUNCTION_NOT_PARALLEL", Meaning::bug, our_fault,
                "for functions that nobody calls"},
    ReturnValue{CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", Meaning::bug, no_fault, "the module cannot"},
    ReturnValue{CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", Meaning::stale, no_fault,
                "handle of before a login; also: logged out"},
    ReturnValue{CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_KEY_TYPE_INCONSISTENT, "CKR_KEY_TYPE_INCONSISTENT", Meaning::bug, no_fault,
                "refused: this key does not do that"},
    ReturnValue{CKR_KEY_NOT_NEEDED, "CKR_KEY_NOT_NEEDED", Meaning::bug, our_fault, "we asked wrongly"},
    ReturnValue{CKR_KEY_CHANGED, "CKR_KEY_CHANGED", Meaning::bug, no_fault, "of saved states, which are not used"},
    ReturnValue{CKR_KEY_NEEDED, "CKR_KEY_NEEDED", Meaning::bug, our_fault, "we asked wrongly"},
    ReturnValue{CKR_KEY_INDIGESTIBLE, "CKR_KEY_INDIGESTIBLE", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", Meaning::bug, no_fault,
                "refused, as it should"},
    ReturnValue{CKR_KEY_NOT_WRAPPABLE, "CKR_KEY_NOT_WRAPPABLE", Meaning::bug, no_fault, "refused, as it should"},
    ReturnValue{CKR_KEY_UNEXTRACTABLE, "CKR_KEY_UNEXTRACTABLE", Meaning::bug, no_fault, "refused, as it should"},
    ReturnValue{CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", Meaning::bug, no_fault,
                "the module or the key does not do that"},
    ReturnValue{CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", Meaning::stale, no_fault,
                "handle of before a login; also: logged out, destroyed, or SoftHSM without its folder"},
    ReturnValue{CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE", Meaning::stale, our_fault,
                "an operation was left unfinished: another session, and it is our fault"},
    ReturnValue{CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED", Meaning::stale, our_fault,
                "the session lost its operation"},
    ReturnValue{CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", Meaning::pin, no_fault, "tokens lock: never tried again"},
    ReturnValue{CKR_PIN_INVALID, "CKR_PIN_INVALID", Meaning::pin, no_fault, "characters that no PIN of this token has"},
    ReturnValue{CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", Meaning::pin, no_fault,
                "a length that no PIN of this token has"},
    ReturnValue{CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", Meaning::pin, no_fault, "a person must set another"},
    ReturnValue{CKR_PIN_LOCKED, "CKR_PIN_LOCKED", Meaning::pin, no_fault, "a person must unlock it"},
    ReturnValue{CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", Meaning::stale, no_fault, "closed behind our back"},
    ReturnValue{CKR_SESSION_COUNT, "CKR_SESSION_COUNT", Meaning::away, no_fault,
                "no session is free: ours are closed when the module begins anew"},
    ReturnValue{CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", Meaning::stale, no_fault,
                "closed behind our back, or the module was finalised"},
    ReturnValue{CKR_SESSION_PARALLEL_NOT_SUPPORTED, "CKR_SESSION_PARALLEL_NOT_SUPPORTED", Meaning::bug, our_fault,
                "we asked wrongly"},
    ReturnValue{CKR_SESSION_READ_ONLY, "CKR_SESSION_READ_ONLY", Meaning::bug, our_fault, "ours are all read-write"},
    ReturnValue{CKR_SESSION_EXISTS, "CKR_SESSION_EXISTS", Meaning::bug, no_fault, "a token in use is not initialised"},
    ReturnValue{CKR_SESSION_READ_ONLY_EXISTS, "CKR_SESSION_READ_ONLY_EXISTS", Meaning::bug, no_fault,
                "somebody else's login of the security officer"},
    ReturnValue{CKR_SESSION_READ_WRITE_SO_EXISTS, "CKR_SESSION_READ_WRITE_SO_EXISTS", Meaning::bug, no_fault,
                "the security officer is logged in"},
    ReturnValue{CKR_SIGNATURE_INVALID, "CKR_SIGNATURE_INVALID", Meaning::bug, no_fault,
                "of C_Verify, which is not used"},
    ReturnValue{CKR_SIGNATURE_LEN_RANGE, "CKR_SIGNATURE_LEN_RANGE", Meaning::bug, no_fault,
                "of C_Verify, which is not used"},
    ReturnValue{CKR_TEMPLATE_INCOMPLETE, "CKR_TEMPLATE_INCOMPLETE", Meaning::bug, no_fault,
                "refused: the module wants more"},
    ReturnValue{CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", Meaning::bug, no_fault,
                "refused; on unwrapping as it should: CKA_UNWRAP_TEMPLATE"},
    ReturnValue{CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", Meaning::away, no_fault,
                "pulled out; SoftHSM while another process writes"},
    ReturnValue{CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", Meaning::away, no_fault,
                "pulled out, or another one put in"},
    ReturnValue{CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_UNWRAPPING_KEY_HANDLE_INVALID, "CKR_UNWRAPPING_KEY_HANDLE_INVALID", Meaning::stale, no_fault,
                "handle of before a login"},
    ReturnValue{CKR_UNWRAPPING_KEY_SIZE_RANGE, "CKR_UNWRAPPING_KEY_SIZE_RANGE", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, "CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", Meaning::bug, no_fault,
                "refused"},
    ReturnValue{CKR_USER_ALREADY_LOGGED_IN, "CKR_USER_ALREADY_LOGGED_IN", Meaning::bug, no_fault,
                "C_Login takes it for success; nobody else is told so"},
    ReturnValue{CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", Meaning::stale, no_fault,
                "the HSM began anew, or somebody logged out"},
    ReturnValue{CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", Meaning::pin, no_fault,
                "a person must set it"},
    ReturnValue{CKR_USER_TYPE_INVALID, "CKR_USER_TYPE_INVALID", Meaning::bug, our_fault, "we asked wrongly"},
    ReturnValue{CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", Meaning::bug, no_fault,
                "the security officer is logged in"},
    ReturnValue{CKR_USER_TOO_MANY_TYPES, "CKR_USER_TOO_MANY_TYPES", Meaning::bug, no_fault,
                "the security officer is logged in"},
    ReturnValue{CKR_WRAPPED_KEY_INVALID, "CKR_WRAPPED_KEY_INVALID", Meaning::damaged, no_fault,
                "a damaged or foreign blob"},
    ReturnValue{CKR_WRAPPED_KEY_LEN_RANGE, "CKR_WRAPPED_KEY_LEN_RANGE", Meaning::damaged, no_fault,
                "a damaged or foreign blob"},
    ReturnValue{CKR_WRAPPING_KEY_HANDLE_INVALID, "CKR_WRAPPING_KEY_HANDLE_INVALID", Meaning::stale, no_fault,
                "handle of before a login"},
    ReturnValue{CKR_WRAPPING_KEY_SIZE_RANGE, "CKR_WRAPPING_KEY_SIZE_RANGE", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_WRAPPING_KEY_TYPE_INCONSISTENT, "CKR_WRAPPING_KEY_TYPE_INCONSISTENT", Meaning::bug, no_fault,
                "refused"},
    ReturnValue{CKR_RANDOM_SEED_NOT_SUPPORTED, "CKR_RANDOM_SEED_NOT_SUPPORTED", Meaning::bug, no_fault,
                "the module cannot"},
    ReturnValue{CKR_RANDOM_NO_RNG, "CKR_RANDOM_NO_RNG", Meaning::bug, no_fault, "the module cannot"},
    ReturnValue{CKR_DOMAIN_PARAMS_INVALID, "CKR_DOMAIN_PARAMS_INVALID", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_CURVE_NOT_SUPPORTED, "CKR_CURVE_NOT_SUPPORTED", Meaning::bug, no_fault, "the module cannot"},
    ReturnValue{CKR_BUFFER_TOO_SMALL, "CKR_BUFFER_TOO_SMALL", Meaning::bug, our_fault,
                "we always have room enough; C_Sign leaves its operation active"},
    ReturnValue{CKR_SAVED_STATE_INVALID, "CKR_SAVED_STATE_INVALID", Meaning::bug, no_fault,
                "of saved states, which are not used"},
    ReturnValue{CKR_INFORMATION_SENSITIVE, "CKR_INFORMATION_SENSITIVE", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_STATE_UNSAVEABLE, "CKR_STATE_UNSAVEABLE", Meaning::bug, no_fault,
                "of saved states, which are not used"},
    ReturnValue{CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", Meaning::away, no_fault,
                "finalised behind our back, or after a fork: C_Initialize again"},
    ReturnValue{CKR_CRYPTOKI_ALREADY_INITIALIZED, "CKR_CRYPTOKI_ALREADY_INITIALIZED", Meaning::bug, no_fault,
                "C_Initialize takes it for success; nobody else is told so"},
    ReturnValue{CKR_MUTEX_BAD, "CKR_MUTEX_BAD", Meaning::bug, no_fault, "of the module's own locks"},
    ReturnValue{CKR_MUTEX_NOT_LOCKED, "CKR_MUTEX_NOT_LOCKED", Meaning::bug, no_fault, "of the module's own locks"},
    ReturnValue{CKR_NEW_PIN_MODE, "CKR_NEW_PIN_MODE", Meaning::pin, no_fault, "a person must set another"},
    ReturnValue{CKR_NEXT_OTP, "CKR_NEXT_OTP", Meaning::pin, no_fault, "a person must go on"},
    ReturnValue{CKR_EXCEEDED_MAX_ITERATIONS, "CKR_EXCEEDED_MAX_ITERATIONS", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_FIPS_SELF_TEST_FAILED, "CKR_FIPS_SELF_TEST_FAILED", Meaning::away, no_fault,
                "the module stopped itself; it tests itself anew when it is initialised"},
    ReturnValue{CKR_LIBRARY_LOAD_FAILED, "CKR_LIBRARY_LOAD_FAILED", Meaning::away, no_fault,
                "what the module needs is not there now"},
    ReturnValue{CKR_PIN_TOO_WEAK, "CKR_PIN_TOO_WEAK", Meaning::bug, no_fault, "of C_InitPIN and C_SetPIN"},
    ReturnValue{CKR_PUBLIC_KEY_INVALID, "CKR_PUBLIC_KEY_INVALID", Meaning::bug, no_fault, "refused"},
    ReturnValue{CKR_FUNCTION_REJECTED, "CKR_FUNCTION_REJECTED", Meaning::bug, no_fault,
                "somebody at the device said no"},
    ReturnValue{0x201, "CKR_TOKEN_RESOURCE_EXCEEDED", Meaning::away, no_fault, "3.0: the device is full for now"},
    ReturnValue{0x202, "CKR_OPERATION_CANCEL_FAILED", Meaning::stale, our_fault, "3.0: another session"},
    ReturnValue{0x203, "CKR_KEY_EXHAUSTED", Meaning::bug, no_fault, "3.0: refused"},
};
static_assert(std::ranges::is_sorted(return_values, std::ranges::less_equal{}, &ReturnValue::rv));

// Nothing for a value of a vendor's own or of a later version.
constexpr const ReturnValue* listed(CK_RV rv) {
    const auto found = std::ranges::lower_bound(return_values, rv, {}, &ReturnValue::rv);
    return found != return_values.end() && found->rv == rv ? &*found : nullptr;
}

// A vendor's own value (from CKR_VENDOR_DEFINED on) is `away`: vendors have their own words for a device that is out of
// reach, and the keeper finds out by asking. Other unknown values are `bug`: nothing is repeated that we do not understand.
constexpr Meaning meaning_of(CK_RV rv) {
    const auto* const row = listed(rv);
    return row != nullptr ? row->meaning : (rv & CKR_VENDOR_DEFINED) != 0 ? Meaning::away : Meaning::bug;
}
// From C_UnwrapKey, where SoftHSM says CKR_GENERAL_ERROR of a blob that is damaged or foreign: it does not get better.
constexpr Meaning meaning_at_unwrap(CK_RV rv) { return rv == CKR_GENERAL_ERROR ? Meaning::damaged : meaning_of(rv); }

// stale and away become Errc::token_away, the others Errc::internal; the detail names the call, the code and its name.
// Counts what is ours.
Error error_of(CK_RV rv, std::string_view call);

// How many answers said so far, in this process, that we called wrongly. Each is noted as well (`pkcs11-misuse`).
std::uint64_t misuses();

}  // namespace qscd::hsm
