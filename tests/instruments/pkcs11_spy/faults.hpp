// What the spy is told to do wrong. A control file, read anew whenever it changes (write a new one beside it and rename
// it into place: time and size alone may stay the same). A line each, `#` begins a comment; FUNCTION is "C_Sign" and its
// like, numbers are decimal or 0x…:
//
//   FUNCTION N RV         the N-th call from now answers RV and does not reach the module
//   FUNCTION N+ RV        the N-th and every later one
//   FUNCTION N RV after   the call reaches the module, and then answers RV all the same (N+ too)
//   FUNCTION N lose-sessions   before it the module closes all sessions, as after a restart of the HSM; then the call goes on
//   FUNCTION N log-out    before it somebody logs out; then the call goes on
//   delay FUNCTION MS     each call waits before it reaches the module
//   hold FUNCTION PATH    each call waits before it reaches the module until PATH exists
//   corrupt-signature     C_Sign's answer has one bit changed
//   corrupt-signature-of ID   the same for the key with this CKA_ID, in hex
//   permute-handles       C_SignInit takes another key than the one asked for, of those this process signed with
//   drop-attribute TYPE   templates for new objects (C_Generate…, C_CreateObject, C_UnwrapKey) reach the module without it
//   token-info FIELD N    C_GetTokenInfo answers N there: ulMaxSessionCount, ulMaxRwSessionCount, firmwareVersion (0x0203:
//                         2.3); or a word: model, manufacturerID
//   lie-attribute TYPE HEX  C_GetAttributeValue answers these bytes for CKA_… or 0x…, also where the module refuses
//   stuck-random HEX      C_GenerateRandom answers these bytes over and over
//   stuck-random repeat   C_GenerateRandom answers what it answered the last time
//
// FUNCTION may be "*": every call but C_Initialize and C_Finalize, counted together; "* 1+ 0x32" is a device pulled out.
// A line that cannot be read ends the process: a fault that does not happen would be a test that proves nothing.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <p11-kit/pkcs11.h>
#include <set>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "base/bytes.hpp"

namespace qscd::spy {

struct Fault {
    CK_RV rv;
    bool after;
};

// What becomes of a call.
struct Verdict {
    std::optional<Fault> fault = {};
    bool sessions_lost = false, logged_out = false;  // before it
};

class Faults {
public:
    explicit Faults(std::filesystem::path file) : file_(std::move(file)) {}

    // What becomes of this call; counts it.
    Verdict next(std::string_view function);
    void command(std::string_view lines);  // as if the file had been changed to say so
    // Returns when the call may go on.
    void wait(std::string_view function);
    bool corrupts_signature_of(const std::string& id);
    bool permutes_handles();
    std::optional<Bytes> lie(CK_ATTRIBUTE_TYPE type);
    bool drops(CK_ATTRIBUTE_TYPE type);
    void falsify(CK_TOKEN_INFO& info);
    // Fills `out` in place of the module's answer, or remembers that answer.
    void spoil_random(std::span<std::uint8_t> out);

private:
    struct Rule {
        std::string function;
        unsigned long first;
        bool and_later;
        Verdict verdict;
        unsigned long seen = 0;
    };
    using Words = std::vector<std::string>;
    struct Directive;
    static const std::vector<Directive>& directives();
    void refresh();
    void read(std::string_view text);
    void add_rule(Words words, std::string_view line);

    std::filesystem::path file_;
    std::mutex lock_;
    struct ::stat known_{};
    std::vector<Rule> rules_;
    std::map<std::string, std::chrono::milliseconds, std::less<>> delays_;
    std::map<std::string, std::filesystem::path, std::less<>> holds_;
    std::map<CK_ATTRIBUTE_TYPE, Bytes> lies_;
    std::set<CK_ATTRIBUTE_TYPE> dropped_;
    std::set<std::string> corrupt_keys_;
    std::map<std::string, CK_ULONG> token_info_;
    std::map<std::string, std::string> token_words_;
    bool corrupt_ = false, permute_ = false, repeat_random_ = false;
    std::optional<Bytes> stuck_random_;
    Bytes last_random_;
};

}  // namespace qscd::spy
