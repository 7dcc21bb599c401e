#include "ades/cades.hpp"

#include <openssl/ess.h>

#include "ades/cms.hpp"
#include "ades/hash_identifier.hpp"
#include "base/algorithm_identifier.hpp"
#include "base/der.hpp"

namespace qscd::ades {
namespace {

using Time = std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>>;
using SigningCertificate = std::unique_ptr<ESS_SIGNING_CERT_V2, FreeWith<ESS_SIGNING_CERT_V2_free>>;

Bytes attribute(int nid, Bytes value) {
    return der::sequence({der::object_identifier(nid), der::set_of({std::move(value)})});
}

// UTCTime to 2049, GeneralizedTime after [RFC 5652, 11.3].
Bytes time_in_der(TimePoint at) {
    const Time out{ASN1_TIME_set(nullptr, unix_seconds(at))};
    return out ? der_of(*out, i2d_ASN1_TIME) : Bytes{};
}

// OpenSSL leaves hashAlgorithm out when it is the default, SHA-256 [RFC 5035, 4].
Bytes certificate_in_ess(X509& certificate, HashAlgorithm hash) {
    const SigningCertificate out{
        OSSL_ESS_signing_cert_v2_new_init(EVP_get_digestbynid(nid_of(hash)), &certificate, nullptr, 0)};
    return out ? der_of(*out, i2d_ESS_SIGNING_CERT_V2) : Bytes{};
}

Bytes issuer_and_serial(X509& certificate) {
    return der::sequence({der_of(*X509_get_issuer_name(&certificate), i2d_X509_NAME),
                          der_of(*X509_get0_serialNumber(&certificate), i2d_ASN1_INTEGER)});
}

// What a signing service answers is believed only once it verifies with the certified key.
Result<void> check_signature(ByteView content_info, X509& certificate) {
    QSCD_TRY(const auto cms, cms_from_der(content_info));
    QSCD_TRY(auto* const signer, only_signer(*cms));
    CMS_SignerInfo_set1_signer_cert(signer, &certificate);
    QSCD_TRY(check_signature_algorithm(*signer, certificate));
    if (CMS_SignerInfo_verify(signer) != 1)
        return Error{Errc::paper_refused, "the signature value does not verify: " + reasons()};
    return success();
}

}  // namespace

Result<SignedAttributes> make_signed_attributes(ByteView content_digest, ByteView certificate, TimePoint signing_time,
                                                HashAlgorithm hash) {
    QSCD_TRY(DtbsR::from(hash, content_digest));
    QSCD_TRY(const auto signer, certificate_from_der(certificate));
    auto time = time_in_der(signing_time);
    auto reference = certificate_in_ess(*signer, hash);
    if (time.empty() || reference.empty()) return Error{Errc::internal, "signed attributes: " + openssl_reason()};
    auto content = der::joined_set({
        attribute(NID_pkcs9_contentType, der::object_identifier(NID_pkcs7_data)),
        attribute(NID_pkcs9_messageDigest, der::value(der::octet_string_tag, {content_digest})),
        attribute(NID_pkcs9_signingTime, std::move(time)),
        attribute(NID_id_smime_aa_signingCertificateV2, std::move(reference)),
    });
    auto der = der::value(der::set_tag, {content});
    QSCD_TRY(const auto to_be_signed, DtbsR::from(hash, digest(hash, der)));
    return SignedAttributes{std::move(der), std::move(content), {certificate.begin(), certificate.end()}, to_be_signed};
}

Result<Bytes> assemble(const SignedAttributes& attributes, ByteView signature, Scheme scheme,
                       const std::vector<Bytes>& chain) {
    if (chain.empty() || chain.front() != attributes.certificate_)
        return Error{Errc::paper_refused, "the chain does not begin with the certificate that is to sign"};
    for (const auto& one : chain) {
        QSCD_TRY(certificate_from_der(one));
    }
    QSCD_TRY(const auto signer, certificate_from_der(chain.front()));
    const auto hash = attributes.to_be_signed_.algorithm();
    const auto signer_info = der::sequence({
        der::unsigned_integer(1U),  // the signer is named by issuer and serial number [RFC 5652, 5.3]
        issuer_and_serial(*signer),
        hash_identifier(hash),
        der::value(der::context_constructed(0), {attributes.content_}),
        algorithm_identifier(scheme, hash),
        der::value(der::octet_string_tag, {signature}),
    });
    const auto signed_data = der::sequence({
        der::unsigned_integer(1U),  // id-data, plain certificates, signers of version 1 [RFC 5652, 5.1]
        der::set_of({hash_identifier(hash)}),
        der::sequence({der::object_identifier(NID_pkcs7_data)}),
        der::value(der::context_constructed(0), {der::joined_set(chain)}),
        der::set_of({signer_info}),
    });
    auto out = der::sequence(
        {der::object_identifier(NID_pkcs7_signed), der::value(der::context_constructed(0), {signed_data})});
    QSCD_TRY(check_signature(out, *signer));
    return out;
}

}  // namespace qscd::ades
