// The daemons the gateway asks, as it sees them: small enough for a test to stand in. Answers are theirs; their errors
// go up to the catalogue as they are. Requests that carry secrets are left as they were: who made them wipes them.
// Thread rules: safe from every thread.
#pragma once

#include <vector>

#include "base/identifier.hpp"
#include "protocol/ra.pb.h"
#include "protocol/sam.pb.h"

namespace qscd::gateway {

class Sam {
public:
    virtual ~Sam() = default;
    virtual Result<pb::CredentialDescription> describe(const CredentialId& credential) = 0;
    virtual Result<std::vector<CredentialId>> list(const SignerId& signer) = 0;
    virtual Result<void> open_challenge(const pb::OpenChallenge& request) = 0;
    virtual Result<pb::Authorised> authorise(pb::Authorise& request) = 0;
    virtual Result<pb::Signatures> sign(pb::SignHash& request) = 0;
    virtual Result<pb::SamHealthReport> health() = 0;
};

class Registration {
public:
    virtual ~Registration() = default;
    virtual Result<SignerId> find_signer(const std::string& username) = 0;  // Errc::parameter_invalid: no such account
    virtual Result<pb::RaHealthReport> health() = 0;
};

inline std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

}  // namespace qscd::gateway
