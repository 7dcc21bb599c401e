// Opening an SMS challenge: freeze the hashes, draw a code, make that durable, and only then let the code leave.
// [threat model 6.5] [AUTHN-11] [AUTHN-12] [AUTHN-14] [AUTHN-29] [AUTHN-38]. Driven as flow.hpp says.
#pragma once

#include "qscd/sam/activation/flow.hpp"

namespace qscd::sam {

// Answers with the life of the challenge, once the message went out. Refusals: Errc::parameter_invalid (no such credential;
// a factor that it does not have), credential_disabled, certificate_expired, access_denied, hashes_empty,
// too_many_signatures, hash_wrong_length, too_many_requests, internal. A locked credential's opens like any other: that it
// is locked hears who has the code [AUTHN-30]. After it was opened:
// service_away, or why the batch was not committed.
class ChallengeFlow : public FlowOf<Flow::challenge, ChallengeRequest, std::chrono::seconds> {
public:
    explicit ChallengeFlow(std::shared_ptr<const ChallengeRequest> request) : FlowOf(std::move(request)) {}
    DecisionType on(Stimulus stimulus, Cells cells, const GivenForFactors& given);

private:
    DecisionType open(Cells cells, const GivenForFactors& given);
    DecisionType send(const Committed& committed);
    Result<void> admissible(const cell::Credential& cell, const policy::Profile& profile, TimePoint now) const;

    std::chrono::seconds life_{};
    std::optional<SendCode> message_;
};

}  // namespace qscd::sam
