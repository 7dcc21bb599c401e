// The certificates of our CAs, from pki/, to complete a signer's chain. Thread rules: immutable.
#pragma once

#include <vector>

#include "base/openssl.hpp"
#include "policy/deployment.hpp"

namespace qscd::gateway {

class CaCertificates {
public:
    explicit CaCertificates(std::vector<X509Cert> certificates) : certificates_(std::move(certificates)) {}
    // Those of the deployment that exist; the error of one that cannot be read.
    static Result<CaCertificates> load(const policy::Deployment& deployment);

    // DER of the issuers, from the certificate's own to the root; as far as they are known.
    std::vector<Bytes> issuers_of(const X509& certificate) const;

private:
    const X509* issuer_of(const X509& certificate) const;
    std::vector<X509Cert> certificates_;
};

}  // namespace qscd::gateway
