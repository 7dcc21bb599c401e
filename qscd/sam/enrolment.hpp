// The SAM's side of enrolment: Grant → code to the phone in the Grant → PIN and code → key in the slot → KeyProof →
// certificate → active. Each step is idempotent by enrolment. [design 5] [QSCD-08] [QSCD-11] [AUTHN-05] [AUTHN-06]
// Thread rules: called inside a step of the core; keys are made on their shard's own thread.
#pragma once

#include <set>

#include "qscd/sam/sam.hpp"

namespace qscd::sam {

struct EnrolmentStatus {
    CredentialId credential;
    std::string state;
};
struct FactorsRequest {
    EnrolmentId enrolment;
    SecretBytes pin, code;
    Sha256Digest acceptance;
};
// The secret of the authenticator app, shown once; empty when the signer's app is known already or there is none.
struct FactorsAnswer {
    SecretBytes totp_secret;
    unsigned period, digits;
};
struct CertificateRequest {
    EnrolmentId enrolment;
    Bytes certificate;
};

class Enrolment {
public:
    explicit Enrolment(const Sam& sam) : sam_(sam) {}

    void begin(Ledger& ledger, const pb::Paper& paper, Reply<EnrolmentStatus> reply);
    void set_factors(Ledger& ledger, std::shared_ptr<FactorsRequest> request, Reply<FactorsAnswer> reply);
    void create_key(Ledger& ledger, const EnrolmentId& enrolment, Reply<pb::Paper> reply);
    void activate(Ledger& ledger, const CertificateRequest& request, Reply<pb::Paper> reply);

    // At start: keys that were intended and never recorded are destroyed, and their enrolments go back one step.
    Result<void> sweep(Ledger& ledger);

private:
    void record_key(Ledger& ledger, const CredentialId& id, Result<hsm::GeneratedKey> key,
                    const Reply<pb::Paper>& reply);
    Result<Shard*> place(const cell::Credential& cell);
    Result<protocol::Grant> grant_of(const cell::Credential& cell) const;

    const Sam& sam_;
    std::set<CredentialId> making_;  // whose keys are under way
    std::set<Sha256Digest> made_;    // public keys that this process saw made
};

}  // namespace qscd::sam
