// An enrolment taken step by step, as `qscd signer enrol` and `activate` take it, so that a test can stop between any
// two of them, or carry papers where they do not belong. Thread rules: one thread.
#pragma once

#include "protocol/ca.pb.h"
#include "protocol/papers.pb.h"
#include "protocol/ra.pb.h"
#include "tests/integration/signer.hpp"

namespace qscd::integration {

class EnrolmentSteps {
public:
    static constexpr unsigned count = 9, typed_by_enrol = 4;  // the first four are `enrol`, the rest `activate`

    // Like Signer::begin() and finish() for this profile and kind of key.
    EnrolmentSteps(RunningDeployment& deployment, Signer& signer, std::string profile, std::string key = "P-256");

    // request, acceptance, Grant, reservation | factors, key, certificate, activation, receipt
    void take(unsigned step);  // 0 to count - 1, each after the one before
    void take_up_to(unsigned steps);

    const std::string& enrolment() const { return created_.enrolment(); }  // 16 bytes
    std::string enrolment_hex() const { return to_hex(view_of(enrolment())); }
    const pb::RequestCreated& created() const { return created_; }
    const pb::Paper& grant() const { return grant_; }
    const pb::Paper& key_proof() const { return key_proof_; }
    const pb::Paper& receipt() const { return receipt_; }
    const std::string& certificate() const { return certificate_; }  // DER

    // The officer's signature over a Grant's body.
    static pb::ApproveRequest approval(const RunningDeployment& deployment, const pb::RequestCreated& created);

private:
    RunningDeployment& deployment_;
    Signer& signer_;
    std::string profile_, key_;
    pb::RequestCreated created_;
    pb::Paper grant_, key_proof_, receipt_;
    std::string certificate_;
};

// The whole register of certificates.
pb::RegisterEntries certificates_of(const RunningDeployment& deployment);
// Private keys in the signers' token, counted by pkcs11-tool.
std::size_t keys_in_token(const RunningDeployment& deployment);

}  // namespace qscd::integration
