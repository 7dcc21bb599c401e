// A PKCS#11 module that stands before a real one, for tests: it forwards every function, writes down the calls that
// matter, and does wrong what it is told to. [QSCD-22]
//
//   QSCD_SPY_TARGET   the real module's library
//   QSCD_SPY_LOG      file that gets a line a call (call_log.hpp says how it reads); optional
//   QSCD_SPY_FAULTS   control file (faults.hpp says what it may hold); optional
//
// Thread rules: as good as the module behind it; a line is one write(2) to a file opened with O_APPEND.
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <set>
#include <unistd.h>

#include "base/digest.hpp"
#include "tests/instruments/pkcs11_spy/faults.hpp"
#include "tests/instruments/pkcs11_spy/functions.hpp"

namespace qscd::spy {
namespace {

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : value;
}

[[noreturn]] void give_up(const std::string& reason) {
    (void)std::fprintf(stderr, "pkcs11 spy: %s\n", reason.c_str());
    std::abort();
}

std::string in_hex(CK_ULONG value) {
    std::array<char, 32> out{};
    (void)std::snprintf(out.data(), out.size(), "0x%lx", static_cast<unsigned long>(value));
    return out.data();
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c > ' ' && c < 127 && c != '%') out += c;
        else out += "%" + to_hex(ByteView{reinterpret_cast<const std::uint8_t*>(&c), 1});
    }
    return out;
}

std::string digest_of(const void* data, CK_ULONG size) {
    return sha256(ByteView{static_cast<const std::uint8_t*>(data), size}).hex();
}

// One line of the log, in the making.
struct Line {
    std::string_view function;
    std::string fields = {};
    bool silent = false;
    void add(std::string_view name, std::string_view value) {
        if (!value.empty()) fields += " " + std::string{name} + "=" + std::string{value};
    }
};

struct KnownKey {
    std::string id, label;
};
struct Operation {
    KnownKey key;
    CK_MECHANISM_TYPE mechanism;
};

struct Spy {
    const CK_FUNCTION_LIST* real = nullptr;
    CK_FUNCTION_LIST ours{};
    int log = -1;
    Faults faults{from_environment("QSCD_SPY_FAULTS")};
    std::mutex lock;
    std::map<CK_SESSION_HANDLE, Operation> operations;  // begun by C_SignInit, ended by C_Sign
    std::set<CK_OBJECT_HANDLE> signers;                 // keys that C_SignInit was asked for

    Spy();
    void write(const Line& line, std::string_view function, const CK_RV* rv) const {
        if (log < 0 || line.silent) return;
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        std::string text = "time=" + std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()) +
                           " pid=" + std::to_string(::getpid()) + " call=" + std::string{function} + line.fields;
        if (rv != nullptr) text += " rv=" + in_hex(*rv);
        text += "\n";
        if (::write(log, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            give_up("cannot write the log");
    }
    KnownKey look_at(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) const {
        std::array<std::uint8_t, 256> id{}, label{};
        std::array wanted{CK_ATTRIBUTE{CKA_ID, id.data(), id.size()},
                          CK_ATTRIBUTE{CKA_LABEL, label.data(), label.size()}};
        real->C_GetAttributeValue(session, object, wanted.data(), wanted.size());
        const auto value = [](const CK_ATTRIBUTE& attribute) {
            return attribute.ulValueLen > 256
                       ? ByteView{}  // also CK_UNAVAILABLE_INFORMATION
                       : ByteView{static_cast<const std::uint8_t*>(attribute.pValue), attribute.ulValueLen};
        };
        return {to_hex(value(wanted[0])), escaped(text_of(value(wanted[1])))};
    }
};

Spy& spy() {
    static Spy one;
    return one;
}

void describe(Line& line, const KnownKey& key) {
    line.add("id", key.id);
    line.add("label", key.label);
}

// What a template says of the object it makes.
void describe(Line& line, const CK_ATTRIBUTE* attributes, CK_ULONG count) {
    for (CK_ULONG i = 0; i < count; ++i) {
        const auto& each = attributes[i];
        if (each.pValue == nullptr) continue;
        const ByteView value{static_cast<const std::uint8_t*>(each.pValue), each.ulValueLen};
        if (each.type == CKA_ID) line.add("id", to_hex(value));
        if (each.type == CKA_LABEL && value.size() <= 64) line.add("label", escaped(text_of(value)));
        if (each.type == CKA_APPLICATION) line.add("application", escaped(text_of(value)));
        if (each.type == CKA_CLASS && value.size() == sizeof(CK_ULONG))
            line.add("class", in_hex(*static_cast<const CK_ULONG*>(each.pValue)));
    }
}

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
QSCD_RECORD(C_CloseSession, RecordedSession);
QSCD_RECORD(C_Login, RecordedSession);
QSCD_RECORD(C_Logout, RecordedSession);
QSCD_RECORD(C_FindObjectsInit, RecordedSession);
QSCD_RECORD(C_SignUpdate, RecordedSession);
QSCD_RECORD(C_SignFinal, RecordedSession);
QSCD_RECORD(C_EncryptInit, RecordedKeyOperation);
QSCD_RECORD(C_DecryptInit, RecordedKeyOperation);
QSCD_RECORD(C_SignRecoverInit, RecordedKeyOperation);
QSCD_RECORD(C_WrapKey, RecordedKeyOperation);
QSCD_RECORD(C_UnwrapKey, RecordedKeyOperation);
QSCD_RECORD(C_DeriveKey, RecordedKeyOperation);
#undef QSCD_RECORD

template <>
struct Around<&CK_FUNCTION_LIST::C_Finalize> : Recorded {
    static void before(Line&, auto&...) {
        const std::lock_guard guard{spy().lock};
        spy().operations.clear();
        spy().signers.clear();
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_OpenSession> : Recorded {
    static void after(Line& line, CK_RV& rv, CK_SLOT_ID, CK_FLAGS, void*, CK_NOTIFY, CK_SESSION_HANDLE* session) {
        if (rv == CKR_OK) line.add("session", std::to_string(*session));
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_GenerateKeyPair> : RecordedSession {
    static void after(Line& line, CK_RV&, CK_SESSION_HANDLE, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR, CK_ULONG,
                      CK_ATTRIBUTE_PTR wanted, CK_ULONG count, auto&...) {
        line.add("mechanism", in_hex(mechanism->mechanism));
        describe(line, wanted, count);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_GenerateKey> : RecordedSession {
    static void after(Line& line, CK_RV&, CK_SESSION_HANDLE, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR wanted,
                      CK_ULONG count, auto&...) {
        line.add("mechanism", in_hex(mechanism->mechanism));
        describe(line, wanted, count);
    }
};

template <>
struct Around<&CK_FUNCTION_LIST::C_CreateObject> : RecordedSession {
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
        {
            const std::lock_guard guard{spy().lock};
            if (const auto begun = spy().operations.find(session); begun != spy().operations.end()) {
                describe(line, begun->second.key);
                line.add("mechanism", in_hex(begun->second.mechanism));
                spy().operations.erase(begun);
            }
        }
        line.add("in", digest_of(data, size));
        spy().write(line, "C_Sign-entered", nullptr);
    }
    static void after(Line& line, CK_RV& rv, CK_SESSION_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR signature,
                      CK_ULONG_PTR size) {
        if (signature == nullptr || rv != CKR_OK) return;
        if (spy().faults.corrupts_signatures()) signature[*size - 1] ^= 1;
        line.add("out", digest_of(signature, *size));
    }
};

template <auto Member, std::size_t Index>
struct Forward;
template <class... Args, CK_RV (*CK_FUNCTION_LIST::*Member)(Args...), std::size_t Index>
struct Forward<Member, Index> {
    static CK_RV call(Args... args) {
        Line line{function_names[Index]};
        const auto fault = spy().faults.next(line.function);
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

CK_RV get_function_list(CK_FUNCTION_LIST** out) {
    *out = &spy().ours;
    return CKR_OK;
}

Spy::Spy() {
    const auto target = from_environment("QSCD_SPY_TARGET");
    void* library = ::dlopen(target.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) give_up("cannot load QSCD_SPY_TARGET=" + target);
    const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
    CK_FUNCTION_LIST* found = nullptr;
    if (list == nullptr || list(&found) != CKR_OK) give_up(target + " is no PKCS#11 module");
    real = found;
    ours.version = real->version;
#define QSCD_FORWARD(function) ours.function = Forward<&CK_FUNCTION_LIST::function, function_index(#function)>::call;
    QSCD_SPY_FUNCTIONS(QSCD_FORWARD)
#undef QSCD_FORWARD
    ours.C_GetFunctionList = get_function_list;
    if (const auto file = from_environment("QSCD_SPY_LOG"); !file.empty()) {
        log = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log < 0) give_up("cannot open QSCD_SPY_LOG=" + file);
    }
}

}  // namespace
}  // namespace qscd::spy

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
    return qscd::spy::get_function_list(list);
}
