// A PKCS#11 module that stands before a real one, for tests: it forwards every function, writes down the calls that
// matter, and does wrong what it is told to. [QSCD-22]
//
//   QSCD_SPY_TARGET   the real module's library
//   QSCD_SPY_LOG      file that gets a line a call (call_log.hpp says how it reads); optional
//   QSCD_SPY_FAULTS   control file (faults.hpp says what it may hold); optional
//
// Thread rules: as good as the module behind it.
#include "tests/instruments/pkcs11_spy/spy_state.hpp"

namespace qscd::spy {
namespace {

// What is done around a call besides forwarding it. `before` may change what the module is given.
template <auto Member>
struct Around {
    static void before(Line& line, auto&...) { line.silent = true; }
    static void after(Line&, CK_RV&, auto&...) {}
};
// A call that is written down with its session, where it has one.
struct Recorded {
    static void before(Line&, auto&...) {}
    static void after(Line&, CK_RV&, auto&...) {}
};
struct RecordedSession {
    static void before(Line& line, CK_SESSION_HANDLE session, auto&...) {
        line.add("session", std::to_string(session));
    }
    static void after(Line&, CK_RV&, auto&...) {}
};
struct RecordedKeyOperation : RecordedSession {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key,
                       auto&...) {
        line.add("session", std::to_string(session));
        describe(line, spy().look_at(session, key));
        if (mechanism != nullptr) line.add("mechanism", in_hex(mechanism->mechanism));
    }
};

#define QSCD_RECORD(function, how)                               \
    template <> /* NOLINTNEXTLINE(bugprone-macro-parentheses) */ \
    struct Around<&CK_FUNCTION_LIST::function> : how {}
QSCD_RECORD(C_Initialize, Recorded);
QSCD_RECORD(C_InitToken, Recorded);
QSCD_RECORD(C_InitPIN, RecordedSession);
QSCD_RECORD(C_SetPIN, RecordedSession);
QSCD_RECORD(C_Login, RecordedSession);
QSCD_RECORD(C_Logout, RecordedSession);
QSCD_RECORD(C_FindObjectsInit, RecordedSession);
QSCD_RECORD(C_SignUpdate, RecordedSession);
QSCD_RECORD(C_SignFinal, RecordedSession);
QSCD_RECORD(C_EncryptInit, RecordedKeyOperation);
QSCD_RECORD(C_DecryptInit, RecordedKeyOperation);
QSCD_RECORD(C_SignRecoverInit, RecordedKeyOperation);
QSCD_RECORD(C_WrapKey, RecordedKeyOperation);
QSCD_RECORD(C_DeriveKey, RecordedKeyOperation);
#undef QSCD_RECORD

template <>
struct Around<&CK_FUNCTION_LIST::C_Finalize> : Recorded {
    static void before(Line&, auto&...) {
        const std::lock_guard guard{spy().lock};
        spy().operations.clear();
        spy().signers.clear();
    }
    static void after(Line&, CK_RV& rv, auto&...) {
        const std::lock_guard guard{spy().lock};
        if (rv == CKR_OK) spy().sessions.clear();
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_CloseSession> : RecordedSession {
    static void after(Line&, CK_RV& rv, CK_SESSION_HANDLE session) {
        const std::lock_guard guard{spy().lock};
        if (rv == CKR_OK) spy().sessions.erase(session);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_CloseAllSessions> : Recorded {
    static void after(Line&, CK_RV& rv, CK_SLOT_ID slot) {
        const std::lock_guard guard{spy().lock};
        if (rv == CKR_OK) std::erase_if(spy().sessions, [&](const auto& each) { return each.second == slot; });
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_GetTokenInfo> {
    static void before(Line& line, auto&...) { line.silent = true; }
    static void after(Line&, CK_RV& rv, CK_SLOT_ID, CK_TOKEN_INFO* info) {
        if (rv == CKR_OK) spy().faults.falsify(*info);
    }
};

// A template as the module gets it. One store for each of a call's templates, until the thread's next call.
template <int Which>
void drop_attributes(CK_ATTRIBUTE_PTR& attributes, CK_ULONG& count) {
    thread_local std::vector<CK_ATTRIBUTE> kept;
    kept.assign(attributes, attributes + count);
    std::erase_if(kept, [](const CK_ATTRIBUTE& each) { return spy().faults.drops(each.type); });
    attributes = kept.data();
    count = kept.size();
}

template <>
struct Around<&CK_FUNCTION_LIST::C_OpenSession> : Recorded {
    static void after(Line& line, CK_RV& rv, CK_SLOT_ID slot, CK_FLAGS, void*, CK_NOTIFY, CK_SESSION_HANDLE* session) {
        if (rv != CKR_OK) return;
        line.add("session", std::to_string(*session));
        const std::lock_guard guard{spy().lock};
        spy().sessions.insert_or_assign(*session, slot);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_GenerateKeyPair> : RecordedSession {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_ATTRIBUTE_PTR& of_public,
                       CK_ULONG& count_of_public, CK_ATTRIBUTE_PTR& of_private, CK_ULONG& count_of_private, auto&...) {
        RecordedSession::before(line, session);
        drop_attributes<0>(of_public, count_of_public);
        drop_attributes<1>(of_private, count_of_private);
    }
    static void after(Line& line, CK_RV&, CK_SESSION_HANDLE, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR, CK_ULONG,
                      CK_ATTRIBUTE_PTR wanted, CK_ULONG count, auto&...) {
        line.add("mechanism", in_hex(mechanism->mechanism));
        describe(line, wanted, count);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_GenerateKey> : RecordedSession {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_ATTRIBUTE_PTR& wanted,
                       CK_ULONG& count, auto&...) {
        RecordedSession::before(line, session);
        drop_attributes<0>(wanted, count);
    }
    static void after(Line& line, CK_RV&, CK_SESSION_HANDLE, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR wanted,
                      CK_ULONG count, auto&...) {
        line.add("mechanism", in_hex(mechanism->mechanism));
        describe(line, wanted, count);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_UnwrapKey> : RecordedKeyOperation {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key,
                       CK_BYTE_PTR, CK_ULONG, CK_ATTRIBUTE_PTR& wanted, CK_ULONG& count, auto&...) {
        RecordedKeyOperation::before(line, session, mechanism, key);
        drop_attributes<0>(wanted, count);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_CreateObject> : RecordedSession {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_ATTRIBUTE_PTR& wanted, CK_ULONG& count, auto&...) {
        RecordedSession::before(line, session);
        drop_attributes<0>(wanted, count);
    }
    static void after(Line& line, CK_RV&, CK_SESSION_HANDLE, CK_ATTRIBUTE_PTR wanted, CK_ULONG count, auto&...) {
        describe(line, wanted, count);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_CopyObject> : RecordedSession {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, auto&...) {
        line.add("session", std::to_string(session));
        describe(line, spy().look_at(session, object));
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_DestroyObject> : RecordedSession {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) {
        line.add("session", std::to_string(session));
        describe(line, spy().look_at(session, object));
    }
    static void after(Line&, CK_RV& rv, CK_SESSION_HANDLE, CK_OBJECT_HANDLE object) {
        const std::lock_guard guard{spy().lock};
        if (rv == CKR_OK) spy().signers.erase(object);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_SetAttributeValue> : RecordedSession {
    static void after(Line& line, CK_RV&, CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE_PTR change,
                      CK_ULONG count) {
        if (count > 0) line.add("in", digest_of(change[0].pValue, change[0].ulValueLen));
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_GetAttributeValue> {
    static void before(Line& line, CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE_PTR wanted, CK_ULONG count) {
        line.silent = true;
        room().clear();
        for (CK_ULONG i = 0; i < count; ++i) room().push_back(wanted[i].ulValueLen);
    }
    static void after(Line&, CK_RV& rv, CK_SESSION_HANDLE, CK_OBJECT_HANDLE, CK_ATTRIBUTE_PTR wanted, CK_ULONG count) {
        for (CK_ULONG i = 0; i < count; ++i) {
            const auto lie = spy().faults.lie(wanted[i].type);
            if (!lie) continue;
            if (count == 1 && (rv == CKR_ATTRIBUTE_SENSITIVE || rv == CKR_ATTRIBUTE_TYPE_INVALID)) rv = CKR_OK;
            if (wanted[i].pValue != nullptr && room()[i] < lie->size()) rv = CKR_BUFFER_TOO_SMALL;
            else if (wanted[i].pValue != nullptr) std::ranges::copy(*lie, static_cast<std::uint8_t*>(wanted[i].pValue));
            wanted[i].ulValueLen = lie->size();
        }
    }

private:
    static std::vector<CK_ULONG>& room() {  // of the caller's buffers, between before and after of one call
        thread_local std::vector<CK_ULONG> one;
        return one;
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_GenerateRandom> : RecordedSession {
    static void after(Line& line, CK_RV& rv, CK_SESSION_HANDLE, CK_BYTE_PTR out, CK_ULONG size) {
        if (rv == CKR_OK) spy().faults.spoil_random({out, size});
        line.add("size", std::to_string(size));
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_SignInit> {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE& key) {
        line.add("session", std::to_string(session));
        if (spy().faults.permutes_handles()) key = another(key);
        else remember(key);
        operation() = {spy().look_at(session, key), mechanism->mechanism};
        describe(line, operation().key);
        line.add("mechanism", in_hex(mechanism->mechanism));
    }
    static void after(Line&, CK_RV& rv, CK_SESSION_HANDLE session, auto&...) {
        const std::lock_guard guard{spy().lock};
        if (rv == CKR_OK) spy().operations.insert_or_assign(session, operation());
    }

private:
    static Operation& operation() {  // between before and after of one call
        thread_local Operation one{};
        return one;
    }
    static void remember(CK_OBJECT_HANDLE key) {
        const std::lock_guard guard{spy().lock};
        spy().signers.insert(key);
    }
    static CK_OBJECT_HANDLE another(CK_OBJECT_HANDLE key) {
        const std::lock_guard guard{spy().lock};
        if (spy().signers.empty()) return key;
        const auto next = spy().signers.upper_bound(key);
        return next != spy().signers.end() ? *next : *spy().signers.begin();
    }
};

// Written down twice: when it is entered, since a process may be killed inside, and when it is left.
template <>
struct Around<&CK_FUNCTION_LIST::C_Sign> {
    static void before(Line& line, CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG size, CK_BYTE_PTR signature,
                       auto&...) {
        if (signature == nullptr) {
            line.silent = true;  // asks for the size
            return;
        }
        line.add("session", std::to_string(session));
        signing_key().clear();
        {
            const std::lock_guard guard{spy().lock};
            if (const auto begun = spy().operations.find(session); begun != spy().operations.end()) {
                describe(line, begun->second.key);
                line.add("mechanism", in_hex(begun->second.mechanism));
                signing_key() = begun->second.key.id;
                spy().operations.erase(begun);
            }
        }
        line.add("in", digest_of(data, size));
        spy().write(line, "C_Sign-entered", nullptr);
    }
    static void after(Line& line, CK_RV& rv, CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR signature,
                      CK_ULONG_PTR size) {
        if (signature == nullptr || rv != CKR_OK) return;
        if (spy().faults.corrupts_signature_of(signing_key())) signature[*size - 1] ^= 1;
        line.add("out", digest_of(signature, *size));
    }

private:
    static std::string& signing_key() {  // between before and after of one call
        thread_local std::string id;
        return id;
    }
};

template <auto Member, std::size_t Index>
struct Forward;
template <class... Args, CK_RV (*CK_FUNCTION_LIST::*Member)(Args...), std::size_t Index>
struct Forward<Member, Index> {
    static CK_RV call(Args... args) {
        Line line{function_names[Index]};
        ++spy().counts[Index];
        const auto verdict = spy().faults.next(line.function);
        const auto& fault = verdict.fault;
        if (verdict.sessions_lost) spy().lose_sessions();
        if (verdict.logged_out) spy().log_out();
        Around<Member>::before(line, args...);
        CK_RV rv = fault ? fault->rv : CKR_OK;
        if (!fault || fault->after) {
            spy().faults.wait(line.function);
            const CK_RV real = (spy().real->*Member)(args...);
            if (!fault) rv = real;
        }
        Around<Member>::after(line, rv, args...);
        spy().write(line, line.function, &rv);
        return rv;
    }
};

CK_RV get_function_list(CK_FUNCTION_LIST** out);

CK_FUNCTION_LIST forwarding() {
    CK_FUNCTION_LIST list{};
    list.version = spy().real->version;
#define QSCD_FORWARD(function) list.function = Forward<&CK_FUNCTION_LIST::function, function_index(#function)>::call;
    QSCD_SPY_FUNCTIONS(QSCD_FORWARD)
#undef QSCD_FORWARD
    list.C_GetFunctionList = get_function_list;
    return list;
}

CK_RV get_function_list(CK_FUNCTION_LIST** out) {
    static CK_FUNCTION_LIST list = forwarding();
    *out = &list;
    return CKR_OK;
}

}  // namespace
}  // namespace qscd::spy

#define QSCD_EXPORT extern "C" __attribute__((visibility("default")))
QSCD_EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) { return qscd::spy::get_function_list(list); }

// For a test in the same process: spy_instance.hpp.
QSCD_EXPORT unsigned long qscd_spy_calls(const char* function) {
    const auto index = qscd::spy::function_index(function);
    if (index >= qscd::spy::function_names.size()) qscd::spy::give_up(std::string{"no such function: "} + function);
    return qscd::spy::spy().counts[index];
}
QSCD_EXPORT unsigned long qscd_spy_open_sessions() {
    const std::lock_guard guard{qscd::spy::spy().lock};
    return qscd::spy::spy().sessions.size();
}
QSCD_EXPORT void qscd_spy_command(const char* lines) { qscd::spy::spy().faults.command(lines); }
