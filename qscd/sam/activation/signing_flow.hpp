// From a SAD token to signatures: the occurrences are used up and the intent is durable before the module is asked, the
// result before a signature leaves. [SAM-02] [SAM-06] [SAM-15] [AUD-03] [QSCD-22] [QSCD-26] [SIG-20]. Driven as flow.hpp
// says.
#pragma once

#include "qscd/sam/activation/flow.hpp"

namespace qscd::sam {

// Refused with nothing used: Errc::parameter_invalid (credential, SAD, signAlgo, Idempotency-Key), credential_disabled,
// certificate_expired, credential_locked, sad_expired, hash_not_authorised, service_away (the first request with this key
// is under way). After the module was asked: token_away, internal.
class SigningFlow : public FlowOf<Flow::signing, SignRequest, SignatureList> {
public:
    explicit SigningFlow(std::shared_ptr<const SignRequest> request) : FlowOf(std::move(request)) {}
    DecisionType on(Stimulus stimulus, Cells cells, const Given& given);

private:
    DecisionType intend(Cells cells, const Given& given);
    DecisionType enter(const Committed& committed);
    DecisionType record_result(Cells cells);
    DecisionType result_committed(const Committed& committed);
    Result<SignatureList> settle(cell::Credential& cell, Event& event, std::vector<Alarm>& alarms) const;

    std::uint64_t intent_ = 0;  // the number of its record
    std::optional<EnterModule> permission_;
    std::optional<ModuleAnswer> module_;
};

}  // namespace qscd::sam
