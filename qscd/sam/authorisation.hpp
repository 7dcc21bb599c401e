// Drives the flows that end in a challenge sent or a SAD token: decisions into the ledger, HMACs from the module, messages
// to the messenger. What is decided stands in activation/. Thread rules: called inside a step of the core.
#pragma once

#include <deque>
#include <map>

#include "qscd/sam/activation/authorisation_flow.hpp"
#include "qscd/sam/activation/challenge_flow.hpp"
#include "qscd/sam/sam.hpp"

namespace qscd::sam {

class Authorisation {
public:
    explicit Authorisation(const Sam& sam) : sam_(sam) {}
    void open_challenge(Ledger& ledger, std::shared_ptr<ChallengeRequest> request, Reply<std::chrono::seconds> reply);
    void authorise(Ledger& ledger, std::shared_ptr<AuthoriseRequest> request, Reply<AuthorisedSad> reply);

    Limits& limits() { return limits_; }  // of this process
    // What the log says of the minute that is going on: a restart gives nothing of it back [AUTHN-29]. Before the first
    // request.
    Result<void> recall(Ledger& ledger);

private:
    struct Opening {
        ChallengeFlow flow;
        Reply<std::chrono::seconds> reply;
        std::optional<RequestId> request = current_request();
    };
    struct Attempt {
        AuthorisationFlow flow;
        Reply<AuthorisedSad> reply;
        std::optional<RequestId> request = current_request();
    };
    void drive(Ledger& ledger, const std::shared_ptr<Opening>& opening, Stimulus stimulus);
    void drive(Ledger& ledger, const std::shared_ptr<Attempt>& attempt, Stimulus stimulus);
    GivenForFactors given(Ledger& ledger);

    const Sam& sam_;
    Limits limits_;
    bool recalled_ = false;
    // One attempt at a time for each credential; the others wait their turn.
    std::map<CredentialId, std::deque<std::shared_ptr<Attempt>>> strands_;
};

}  // namespace qscd::sam
