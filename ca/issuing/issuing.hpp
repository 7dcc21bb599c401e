// Papers in, certificate out: Grant and KeyProof are verified, compared with each other and with the policy; the TBS is
// built, linted and stored; then the key signs it, and what it signed is parsed back, compared and verified before it
// is stored and released. A crash in between is finished when the same papers come again, over the same stored bytes.
// [design, section 5] [CA-08 … CA-17] [QSCD-03] [QSCD-08] [QSCD-09] [RA-48]
// Thread rules: safe from every thread; one certificate at a time.
#pragma once

#include <functional>

#include "ca/issuing/ca_certificates.hpp"
#include "ca/issuing/register.hpp"
#include "ca/lint/linted_tbs.hpp"
#include "policy/module_registry.hpp"
#include "policy/policy.hpp"
#include "protocol/papers.hpp"

namespace qscd::ca {

// The certificates of our authorities, as the deployment's owner wrote them.
struct Hierarchy {
    X509Cert root, lcp, qualified;
    const X509& issuing(const Authority& authority) const { return authority.qualified ? *qualified : *lcp; }
};

// The private key of an authority; it may live in a token (hsm::make_evp_pkey), so Errc::token_away is an answer.
using AuthorityKeys = std::function<Result<std::shared_ptr<EVP_PKEY>>(const Authority&)>;

struct IssuedCertificate {
    Bytes certificate;         // DER
    std::vector<Bytes> chain;  // its issuer, then the root
};

class Issuing {
public:
    struct Parts {
        policy::Policy policy;
        policy::ModuleRegistry modules;
        protocol::TrustedKeys trusted;
        const Hierarchy& hierarchy;
        Register& register_of_certificates;
        AuthorityKeys keys;
        const Clock& clock;
        std::function<Bytes()> serials;  // random_serial
    };
    explicit Issuing(Parts parts) : parts_(std::move(parts)) {}

    // Same papers, same certificate. Errors: paper_refused for papers that do not verify, do not agree or do not belong
    // here; access_denied for what they ask against the policy; token_away, store_away: send the same papers again.
    Result<IssuedCertificate> issue(const pb::Paper& grant, const pb::Paper& key_proof);
    // The SAM says that the certificate is active.
    Result<void> record(const pb::Paper& receipt);

private:
    using Grant = protocol::Verified<protocol::Grant>;
    using KeyProof = protocol::Verified<protocol::KeyProof>;
    Result<const policy::Profile*> decide(const Grant& grant, const KeyProof& proof) const;
    Result<void> reserve(const Grant& grant, const KeyProof& proof, Bytes grant_paper, Bytes proof_paper);
    Result<Bytes> sign(const RegisterEntry& entry);
    IssuedCertificate released(const RegisterEntry& entry) const;
    Parts parts_;
    std::mutex one_at_a_time_;
};

}  // namespace qscd::ca
