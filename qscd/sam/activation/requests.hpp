// What the three flows are asked, and what they answer. Parsed and bounded by whoever makes them: 1 to 100 hashes where
// not said otherwise. Thread rules: values; move-only, since they hold secrets.
#pragma once

#include <vector>

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "base/key_kind.hpp"
#include "base/secret.hpp"

namespace qscd::sam {

struct ChallengeRequest {
    ClientId client;
    CredentialId credential;
    std::string factor;         // CSC's authObjectID
    std::vector<DtbsR> hashes;  // may be empty under `trial`
};

struct FactorValue {
    std::string id;
    SecretBytes value;
};
struct AuthoriseRequest {
    ClientId client;
    CredentialId credential;
    std::vector<DtbsR> hashes;
    std::vector<FactorValue> factors;
};
struct AuthorisedSad {
    SecretBytes sad;
    std::chrono::seconds expires_in;
};

struct SignRequest {
    ClientId client;
    CredentialId credential;
    SecretBytes sad;
    std::vector<DtbsR> hashes;
    Scheme scheme;
    std::string idempotency_key;  // empty: none
};
using SignatureList = std::vector<Bytes>;  // in the order of the request's hashes

}  // namespace qscd::sam
