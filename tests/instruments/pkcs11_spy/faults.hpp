// What the spy is told to do wrong. A control file, read anew whenever it changes (write a new one beside it and rename
// it into place: time and size alone may stay the same). A line each, `#` begins a comment; FUNCTION is "C_Sign" and its
// like, numbers are decimal or 0x…:
//
//   FUNCTION N RV         the N-th call from now answers RV and does not reach the module
//   FUNCTION N+ RV        the N-th and every later one
//   FUNCTION N RV after   the call reaches the module, and then answers RV all the same (N+ too)
//   delay FUNCTION MS     each call waits before it reaches the module
//   hold FUNCTION PATH    each call waits before it reaches the module until PATH exists
//   corrupt-signature     C_Sign's answer has one bit changed
//   permute-handles       C_SignInit takes another key than the one asked for, of those this process signed with
//   lie-attribute TYPE HEX  C_GetAttributeValue answers these bytes for CKA_… or 0x…, also where the module refuses
//   stuck-random HEX      C_GenerateRandom answers these bytes over and over
//   stuck-random repeat   C_GenerateRandom answers what it answered the last time
//
// A line that cannot be read ends the process: a fault that does not happen would be a test that proves nothing.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <p11-kit/pkcs11.h>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "base/bytes.hpp"

namespace qscd::spy {

struct Fault {
    CK_RV rv;
    bool after;
};

class Faults {
public:
    explicit Faults(std::filesystem::path file) : file_(std::move(file)) {}

    // What becomes of this call; counts it.
    std::optional<Fault> next(std::string_view function);
    // Returns when the call may go on.
    void wait(std::string_view function);
    bool corrupts_signatures();
    bool permutes_handles();
    std::optional<Bytes> lie(CK_ATTRIBUTE_TYPE type);
    // Fills `out` in place of the module's answer, or remembers that answer.
    void spoil_random(std::span<std::uint8_t> out);

private:
    struct Rule {
        std::string function;
        unsigned long first;
        bool and_later;
        Fault fault;
        unsigned long seen = 0;
    };
    void refresh();
    void read(std::string_view text);

    std::filesystem::path file_;
    std::mutex lock_;
    struct ::stat known_{};
    std::vector<Rule> rules_;
    std::map<std::string, std::chrono::milliseconds, std::less<>> delays_;
    std::map<std::string, std::filesystem::path, std::less<>> holds_;
    std::map<CK_ATTRIBUTE_TYPE, Bytes> lies_;
    bool corrupt_ = false, permute_ = false, repeat_random_ = false;
    std::optional<Bytes> stuck_random_;
    Bytes last_random_;
};

}  // namespace qscd::spy
