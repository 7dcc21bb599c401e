#include <ctime>
#include <openssl/err.h>

#include "ades/cades.hpp"
#include "ades/cms.hpp"

namespace qscd::ades {
namespace {

using Store = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;

Error refused(std::string why) { return {Errc::paper_refused, std::move(why)}; }

// What a baseline signature must carry once, with one value, and what it must not [EN 319 122-1, 6.3].
struct AttributeRow {
    int nid, type;  // type: ASN.1's of the value
    const char* name;
};
constexpr std::array required_attributes{
    AttributeRow{NID_pkcs9_contentType, V_ASN1_OBJECT, "content-type"},
    AttributeRow{NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING, "message-digest"},
    AttributeRow{NID_id_smime_aa_signingCertificateV2, V_ASN1_SEQUENCE, "signing-certificate-v2"},
    AttributeRow{NID_pkcs9_signingTime, V_ASN1_UNDEF, "signing-time"},
};

Result<void> check_attributes(const CMS_SignerInfo& signer) {
    for (const auto& row : required_attributes) {
        const int at = CMS_signed_get_attr_by_NID(&signer, row.nid, -1);
        if (at < 0) return refused(std::string{"no signed attribute "} + row.name);
        if (CMS_signed_get_attr_by_NID(&signer, row.nid, at) >= 0)
            return refused(std::string{"two signed attributes "} + row.name);
        auto* attribute = CMS_signed_get_attr(&signer, at);
        if (X509_ATTRIBUTE_count(attribute) != 1)
            return refused(std::string{"not one value in the signed attribute "} + row.name);
        const auto type = ASN1_TYPE_get(X509_ATTRIBUTE_get0_type(attribute, 0));
        if (row.type != V_ASN1_UNDEF && type != row.type)
            return refused(std::string{"malformed signed attribute "} + row.name);
    }
    if (CMS_signed_get_attr_by_NID(&signer, NID_id_smime_aa_signingCertificate, -1) >= 0)
        return refused("signing-certificate beside signing-certificate-v2");
    return success();
}

// The value of an attribute that check_attributes() found.
const ASN1_TYPE& value_of(const CMS_SignerInfo& signer, int nid) {
    auto* attribute = CMS_signed_get_attr(&signer, CMS_signed_get_attr_by_NID(&signer, nid, -1));
    return *X509_ATTRIBUTE_get0_type(attribute, 0);
}

Result<TimePoint> signing_time_of(const CMS_SignerInfo& signer) {
    const auto& value = value_of(signer, NID_pkcs9_signingTime);
    std::tm calendar{};
    const int type = ASN1_TYPE_get(&value);
    if ((type != V_ASN1_UTCTIME && type != V_ASN1_GENERALIZEDTIME) ||
        ASN1_TIME_to_tm(value.value.asn1_string, &calendar) != 1)
        return refused("malformed signed attribute signing-time");
    return from_unix(::timegm(&calendar));
}

Result<void> check_form(CMS_ContentInfo& cms, const CMS_SignerInfo& signer) {
    if (CMS_is_detached(&cms) != 1) return refused("the content is inside: not a detached signature");
    if (OBJ_obj2nid(CMS_get0_eContentType(&cms)) != NID_pkcs7_data) return refused("the content is not id-data");
    QSCD_TRY(check_attributes(signer));
    if (OBJ_obj2nid(value_of(signer, NID_pkcs9_contentType).value.object) != NID_pkcs7_data)
        return refused("content-type is not id-data");
    return success();
}

Result<void> check_content(const CMS_SignerInfo& signer, ByteView content_digest) {
    const auto* value = value_of(signer, NID_pkcs9_messageDigest).value.octet_string;
    const ByteView signed_digest{ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))};
    if (!std::ranges::equal(signed_digest, content_digest)) return refused("the content is not what was signed");
    return success();
}

// OpenSSL 3.0 builds chains from the certificates inside the object alone, so the others join them; what is signed does
// not cover them. One that is there already is refused by OpenSSL, which is as good.
Result<void> add_intermediates(CMS_ContentInfo& cms, const std::vector<Bytes>& intermediates) {
    for (const auto& der : intermediates) {
        QSCD_TRY(const auto one, certificate_from_der(der));
        CMS_add1_cert(&cms, one.get());
    }
    ERR_clear_error();
    return success();
}

// Purpose: any, since the certificates of natural persons for signatures are not for e-mail.
Result<Store> store_of(const Trust& trust) {
    Store out{X509_STORE_new()};
    for (const auto& der : trust.anchors) {
        QSCD_TRY(const auto one, certificate_from_der(der));
        X509_STORE_add_cert(out.get(), one.get());
    }
    auto* parameters = X509_STORE_get0_param(out.get());
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_ANY);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
    X509_VERIFY_PARAM_set_time(parameters, unix_seconds(trust.at));
    X509_VERIFY_PARAM_set_auth_level(parameters, 2);
    return out;
}

// Signature, signing-certificate-v2 and chain. The content was compared by its digest, so OpenSSL need not read it; it
// insists on being given some.
Result<void> check_signature(CMS_ContentInfo& cms, const Trust& trust) {
    QSCD_TRY(const auto store, store_of(trust));
    QSCD_TRY(add_intermediates(cms, trust.intermediates));
    const BioPtr nothing{BIO_new_mem_buf("", 0)};
    if (CMS_verify(&cms, nullptr, store.get(), nothing.get(), nullptr,
                   CMS_BINARY | CMS_CADES | CMS_NO_CONTENT_VERIFY) != 1)
        return refused("the signature does not verify: " + reasons());
    return success();
}

Result<X509*> certificate_of(CMS_SignerInfo& signer) {
    X509* certificate = nullptr;
    CMS_SignerInfo_get0_algs(&signer, nullptr, &certificate, nullptr, nullptr);
    if (certificate == nullptr) return refused("no signer's certificate");
    if ((X509_get_key_usage(certificate) & (X509v3_KU_NON_REPUDIATION | X509v3_KU_DIGITAL_SIGNATURE)) == 0)
        return refused("the signer's certificate is not for signatures");
    return certificate;
}

std::string subject_of(const X509& certificate) {
    const BioPtr out{BIO_new(BIO_s_mem())};
    X509_NAME_print_ex(out.get(), X509_get_subject_name(&certificate), 0,
                       XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    char* data = nullptr;
    const long size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

}  // namespace

Result<Verified> verify(ByteView signature, const Content& content, const Trust& trust) {
    QSCD_TRY(const auto cms, cms_from_der(signature));
    QSCD_TRY(auto* const signer, only_signer(*cms));
    QSCD_TRY(const auto hash, hash_of(*signer));
    QSCD_TRY(check_form(*cms, *signer));
    QSCD_TRY(const auto signing_time, signing_time_of(*signer));
    QSCD_TRY(const auto content_digest, content(hash));
    QSCD_TRY(check_content(*signer, content_digest));
    QSCD_TRY(check_signature(*cms, trust));
    QSCD_TRY(auto* const certificate, certificate_of(*signer));
    QSCD_TRY(check_signature_algorithm(*signer, *certificate));
    return Verified{subject_of(*certificate), der_of(*certificate, i2d_X509), signing_time, hash, "CAdES-B-B"};
}

}  // namespace qscd::ades
