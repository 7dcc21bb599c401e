// From activation data to a SAD token: the order of checks that costs an attacker most and tells him least.
// [design 6.4] [threat model 6.2] [AUTHN-01] [AUTHN-08] [AUTHN-09] [AUTHN-16] [SAM-07]
// Thread rules: called inside a step of the core.
#pragma once

#include <deque>
#include <map>

#include "qscd/sam/sam.hpp"

namespace qscd::sam {

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

struct ChallengeRequest {
    ClientId client;
    CredentialId credential;
    std::string factor;
    std::vector<DtbsR> hashes;  // may be empty under `trial`
};

class Authorisation {
public:
    explicit Authorisation(const Sam& sam) : sam_(sam) {}
    void open_challenge(Ledger& ledger, std::shared_ptr<ChallengeRequest> request, Reply<std::chrono::seconds> reply);
    void authorise(Ledger& ledger, std::shared_ptr<AuthoriseRequest> request, Reply<AuthorisedSad> reply);

private:
    struct Attempt;
    void spend(Ledger& ledger, std::shared_ptr<Attempt> attempt);
    void compare(Ledger& ledger, const std::shared_ptr<Attempt>& attempt);
    void finish(Ledger& ledger, const std::shared_ptr<Attempt>& attempt, const Result<AuthorisedSad>& result);
    bool held_factor_is_right(Ledger& ledger, cell::Credential& cell, const AuthoriseRequest& request,
                              const policy::Profile& profile, const FactorValue& value);

    const Sam& sam_;
    // One attempt at a time for each credential; the others wait their turn.
    std::map<CredentialId, std::deque<std::shared_ptr<Attempt>>> strands_;
};

}  // namespace qscd::sam
