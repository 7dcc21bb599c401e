#include "tests/instruments/pkcs11_spy/spy_state.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/digest.hpp"

namespace qscd::spy {
namespace {

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string{} : value;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c > ' ' && c < 127 && c != '%') out += c;
        else out += "%" + to_hex(ByteView{reinterpret_cast<const std::uint8_t*>(&c), 1});
    }
    return out;
}

}  // namespace

void give_up(const std::string& reason) {
    (void)std::fprintf(stderr, "pkcs11 spy: %s\n", reason.c_str());
    std::abort();
}

std::string in_hex(CK_ULONG value) {
    std::array<char, 32> out{};
    (void)std::snprintf(out.data(), out.size(), "0x%lx", static_cast<unsigned long>(value));
    return out.data();
}

std::string digest_of(const void* data, CK_ULONG size) {
    return sha256(ByteView{static_cast<const std::uint8_t*>(data), size}).hex();
}

Spy::Spy() : faults(from_environment("QSCD_SPY_FAULTS")) {
    const auto target = from_environment("QSCD_SPY_TARGET");
    void* library = ::dlopen(target.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) give_up("cannot load QSCD_SPY_TARGET=" + target);
    const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
    CK_FUNCTION_LIST* found = nullptr;
    if (list == nullptr || list(&found) != CKR_OK) give_up(target + " is no PKCS#11 module");
    real = found;
    if (const auto file = from_environment("QSCD_SPY_LOG"); !file.empty()) {
        log = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (log < 0) give_up("cannot open QSCD_SPY_LOG=" + file);
    }
}

void Spy::write(const Line& line, std::string_view function, const CK_RV* rv) const {
    if (log < 0 || line.silent) return;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    std::string text = "time=" + std::to_string(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()) +
                       " pid=" + std::to_string(::getpid()) + " call=" + std::string{function} + line.fields;
    if (rv != nullptr) text += " rv=" + in_hex(*rv);
    text += "\n";
    if (::write(log, text.data(), text.size()) != static_cast<ssize_t>(text.size())) give_up("cannot write the log");
}

void Spy::lose_sessions() {
    const std::lock_guard guard{lock};
    for (const auto& [session, slot] : sessions) real->C_CloseAllSessions(slot);
    sessions.clear();
    operations.clear();
}

void Spy::log_out() {
    const std::lock_guard guard{lock};
    for (const auto& [session, slot] : sessions) real->C_Logout(session);
}

KnownKey Spy::look_at(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) const {
    std::array<std::uint8_t, 256> id{}, label{};
    std::array wanted{CK_ATTRIBUTE{CKA_ID, id.data(), id.size()}, CK_ATTRIBUTE{CKA_LABEL, label.data(), label.size()}};
    real->C_GetAttributeValue(session, object, wanted.data(), wanted.size());
    const auto value = [](const CK_ATTRIBUTE& attribute) {
        return attribute.ulValueLen > 256
                   ? ByteView{}  // also CK_UNAVAILABLE_INFORMATION
                   : ByteView{static_cast<const std::uint8_t*>(attribute.pValue), attribute.ulValueLen};
    };
    return {to_hex(value(wanted[0])), escaped(text_of(value(wanted[1])))};
}

Spy& spy() {
    static Spy one;
    return one;
}

void describe(Line& line, const KnownKey& key) {
    line.add("id", key.id);
    line.add("label", key.label);
}

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

}  // namespace qscd::spy
