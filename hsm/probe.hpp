// What a token can do, found out by trying, so that nothing branches on a vendor's name: unfit tokens are refused loudly
// at start, and a person sees the list by `qscd hsm probe`. [QSCD-29] [pkcs11-and-hsm, section 7]
// Thread rules: pure but for the token; not on the Token's own pool. Makes session objects only, and leaves none.
#pragma once

#include "hsm/token.hpp"

namespace qscd::hsm {

struct Finding {
    std::string_view name;   // stable: "ecdsa-p256", "copy-refused"
    std::string_view means;  // for people
    bool needed;             // the product does not work without it
    bool found;
    std::string detail;  // what the module answered; empty when there is nothing to add
};

struct ProbeReport {
    TokenInfo token;
    std::uint64_t sessions = 0;  // how many the module allows; 0: it names no limit
    std::vector<Finding> findings;
    bool fit() const;  // everything needed was found
};

// Errc::token_away. What the module cannot do is a finding, not an error.
Result<ProbeReport> probe(Token& token);

// A line a finding.
std::string describe(const ProbeReport& report);

}  // namespace qscd::hsm
