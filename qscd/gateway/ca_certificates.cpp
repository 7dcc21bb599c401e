#include "qscd/gateway/ca_certificates.hpp"

#include "base/file.hpp"

namespace qscd::gateway {
namespace {

bool issued(const X509& issuer, const X509& certificate) {
    auto* subject = const_cast<X509*>(&certificate);
    if (X509_check_issued(const_cast<X509*>(&issuer), subject) != X509_V_OK) return false;
    const bool good = X509_verify(subject, X509_get0_pubkey(&issuer)) == 1;
    if (!good) openssl_reason();
    return good;
}

}  // namespace

Result<CaCertificates> CaCertificates::load(const policy::Deployment& deployment) {
    std::vector<X509Cert> out;
    for (const auto* name : {policy::lcp_certificate, policy::qualified_certificate, policy::root_certificate}) {
        const auto path = deployment.pki(name);
        if (std::error_code failed; !std::filesystem::exists(path, failed)) continue;
        QSCD_TRY(const auto pem, read_file(path));
        QSCD_TRY(auto certificate, certificate_from_pem(pem));
        out.push_back(std::move(certificate));
    }
    return CaCertificates{std::move(out)};
}

const X509* CaCertificates::issuer_of(const X509& certificate) const {
    const auto found = std::ranges::find_if(certificates_,
                                            [&](const auto& each) { return issued(*each, certificate); });
    return found != certificates_.end() ? found->get() : nullptr;
}

std::vector<Bytes> CaCertificates::issuers_of(const X509& certificate) const {
    std::vector<Bytes> out;
    const X509* at = &certificate;
    while (out.size() < certificates_.size()) {
        const X509* issuer = issuer_of(*at);
        if (issuer == nullptr || X509_cmp(issuer, at) == 0) break;
        out.push_back(der_of(*issuer, i2d_X509));
        at = issuer;
    }
    return out;
}

}  // namespace qscd::gateway
