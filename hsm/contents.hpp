// What a token holds, read back from the token, and its emptying: for people who make or undo a token's keys and record
// what they see. [QSCD-02] [QSCD-17] [pkcs11 2.40, 4]
// Thread rules: waits for the module; not on the Token's own pool.
#pragma once

#include "hsm/token.hpp"

namespace qscd::hsm {

// A private, secret or data object.
struct HeldObject {
    std::string kind;         // "private", "secret" or "data"
    std::string label;        // CKA_LABEL; above 32 bytes, as anchors have it, "sha256:" and its digest in hex
    std::string id;           // CKA_ID in hex; empty for data
    std::string mechanism;    // CKA_KEY_GEN_MECHANISM, a number; empty for data, and where the module does not say
    std::string application;  // of a data object: CKA_APPLICATION
    std::string value;        // of a data object: SHA-256 of CKA_VALUE in hex; empty when it has none
    std::vector<std::pair<std::string, std::string>> attributes;  // name, "true" or "false"; what the module knows
};

// Sorted by kind, application, label and id. Errc::token_away: an absent token is no empty one.
Result<std::vector<HeldObject>> contents(Token& token);

// Destroys every object of those kinds and searches again. Answers what was there. Durable on return. Errc::internal when
// something is left.
Result<std::vector<HeldObject>> clear(Token& token);

}  // namespace qscd::hsm
