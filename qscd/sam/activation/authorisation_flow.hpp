// From activation data to a SAD token: the order of checks that costs an attacker most and tells him least. Both factors
// each time, nothing is remembered from the last. [threat model 6.2] [AUTHN-01] [AUTHN-07] [AUTHN-08] [AUTHN-09] [AUTHN-16]
// [AUTHN-40] [SAM-07]. Driven as flow.hpp says.
#pragma once

#include "qscd/sam/activation/flow.hpp"

namespace qscd::sam {

// Refused before anything is spent: Errc::credential_disabled, certificate_expired, access_denied, hashes_empty,
// too_many_signatures, hash_wrong_length, too_many_requests, factors_wrong (not a PIN and a held factor, once each),
// internal. After the code was spent: factors_wrong, whichever it was, and for a credential that is not there;
// credential_locked, to whoever had the right code; token_away. All after the same work [AUTHN-09] [AUTHN-30].
class AuthorisationFlow : public FlowOf<Flow::authorisation, AuthoriseRequest, AuthorisedSad> {
public:
    explicit AuthorisationFlow(std::shared_ptr<const AuthoriseRequest> request) : FlowOf(std::move(request)) {}
    DecisionType on(Stimulus stimulus, Cells cells, const GivenForFactors& given);

private:
    DecisionType spend(Cells cells, const GivenForFactors& given);
    DecisionType ask_module(const Committed& committed, Cells cells, const GivenForFactors& given);
    DecisionType conclude(const PinEvaluated& evaluated, Cells cells, const GivenForFactors& given);
    DecisionType spend_nothing(const GivenForFactors& given);
    DecisionType factors_spent(DecisionType decision, const GivenForFactors& given);
    DecisionType factors_wrong(bool blocks, std::string_view which);
    Result<void> admissible(const cell::Credential& cell, const GivenForFactors& given) const;
    Result<void> well_formed() const;
    bool may_evaluate_pin() const { return code_right_ && !locked_; }
    const SecretBytes* value_of(policy::Factor factor) const;

    const policy::Profile* profile_ = nullptr;
    bool unknown_ = false;  // there is no such credential
    bool locked_ = false;
    bool code_right_ = false;
    bool pin_evaluated_ = false;  // else the module computes over nothing
};

}  // namespace qscd::sam
