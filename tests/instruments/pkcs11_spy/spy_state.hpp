// What the spy remembers and how it writes it down; one a loaded library. [spy.cpp]
// Thread rules: as good as the module behind it; a line of the log is one write(2) to a file opened with O_APPEND.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "tests/instruments/pkcs11_spy/faults.hpp"
#include "tests/instruments/pkcs11_spy/functions.hpp"

namespace qscd::spy {

[[noreturn]] void give_up(const std::string& reason);
std::string in_hex(CK_ULONG value);
std::string digest_of(const void* data, CK_ULONG size);

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
    int log = -1;
    Faults faults;
    std::mutex lock;
    std::map<CK_SESSION_HANDLE, Operation> operations;  // begun by C_SignInit, ended by C_Sign
    std::set<CK_OBJECT_HANDLE> signers;                 // keys that C_SignInit was asked for
    std::map<CK_SESSION_HANDLE, CK_SLOT_ID> sessions;   // that are open
    std::array<std::atomic<unsigned long>, function_names.size()> counts{};

    Spy();  // loads the real module
    void write(const Line& line, std::string_view function, const CK_RV* rv) const;
    KnownKey look_at(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object) const;
    // Behind the back of whoever opened them.
    void lose_sessions();
    void log_out();
};

Spy& spy();

void describe(Line& line, const KnownKey& key);
// What a template says of the object it makes.
void describe(Line& line, const CK_ATTRIBUTE* attributes, CK_ULONG count);

}  // namespace qscd::spy
