// The proof that a TBSCertificate passed every rule: only lint() makes one, and only from it is a certificate signed.
// [CA-16] [EN 319 412-1, -2, -5] [RFC 5280] Thread rules: values.
#pragma once

#include "base/openssl.hpp"
#include "policy/certificate_type.hpp"

namespace qscd::ca {

class LintedTbs {
public:
    LintedTbs(LintedTbs&&) = default;
    LintedTbs& operator=(LintedTbs&&) = default;
    ByteView bytes() const { return bytes_; }

private:
    friend Result<LintedTbs> lint(Bytes tbs, policy::CertificateType type, const X509& issuer);
    explicit LintedTbs(Bytes bytes) : bytes_(std::move(bytes)) {}
    Bytes bytes_;
};

// Parses the bytes as they stand and runs every rule of ca/lint/end_entity.hpp. Errc::internal names the first rule
// that fails: whatever it is, it is our own builder's fault and an alarm.
Result<LintedTbs> lint(Bytes tbs, policy::CertificateType type, const X509& issuer);

}  // namespace qscd::ca
