// The clients' view: what they asked, and what they were told. A question without an answer may have been carried out.
// Thread rules: values; whoever shares them locks.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "tests/integration/evidence.hpp"

namespace qscd::crash {

enum class Fate { unknown, done, refused };

// One credentials/authorize.
struct Approval {
    std::string credential;
    std::vector<Bytes> hashes;
    bool right_pin = true;
    Fate fate = Fate::unknown;  // done: a SAD token, or the plain words that the factors are wrong
    std::string error = {};
};

// One signatures/signHash, and its repetitions under the same key.
struct Signing {
    std::string credential;
    std::vector<Bytes> hashes;
    Fate fate = Fate::unknown;
    std::vector<Bytes> signatures = {};  // those that were handed out
    std::string error = {};
};

// One enrolment, as far as somebody was told that it went.
struct Enrolled {
    std::string enrolment, credential;  // hex
    bool reserved = false, factors = false, receipt = false;
    Bytes public_key, certificate = {};  // of the KeyProof; of the CA
};

struct History {
    std::deque<Approval> approvals;
    std::deque<Signing> signings;
    std::deque<Enrolled> enrolments;
};

}  // namespace qscd::crash
