// SMS challenges: a code for one frozen multiset of hashes, and the document code that the message shows.
// [threat model 6.5] [AUTHN-11] [AUTHN-12] [AUTHN-14]. Thread rules: ProcessKey is made once; the rest is pure.
#pragma once

#include <vector>

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "base/secret.hpp"
#include "policy/profile.hpp"
#include "qscd/sam/activation/random.hpp"
#include "qscd/sam/cells/cell.pb.h"

namespace qscd::sam {

// A key of this process: what it opened counts only while it lives. [AUTHN-14] [SAM-23]
class ProcessKey {
public:
    explicit ProcessKey(const Random& random);
    const std::string& process() const { return process_; }
    Bytes mac(ByteView nonce, const SecretBytes& code) const;  // HMAC-SHA-256

private:
    std::string process_;
    SecretBytes key_;
};

// Over the hashes sorted, repeats kept: the order does not matter, the count does.
Sha256Digest hash_set_of(const std::vector<DtbsR>& hashes);

// base32(SHA-256("doc/v1" | nonce | hash algorithm (1 byte) | count (4 bytes) | hashes sorted)), first 8 characters,
// Crockford alphabet. Public, so that an app can compute it from the files and the nonce.
std::string document_code(const Nonce& nonce, const std::vector<DtbsR>& hashes);

struct OpenedChallenge {
    SecretBytes text;           // the message, with the code in it
    std::string document_code;  // empty without hashes
};
// Replaces any open challenge of the cell. `hashes` may be empty: then the message says that no documents are named.
OpenedChallenge open_challenge(cell::Credential& cell, const ProcessKey& key, const policy::SmsRules& rules,
                               const ClientId& client, const std::vector<DtbsR>& hashes, TimePoint now,
                               const Random& random);

// Spends a try in the cell; the challenge is gone once it was answered rightly or its tries are used up.
bool spend_challenge(cell::Credential& cell, const ProcessKey& key, const ClientId& client,
                     const std::vector<DtbsR>& hashes, const SecretBytes& code, TimePoint now);

}  // namespace qscd::sam
