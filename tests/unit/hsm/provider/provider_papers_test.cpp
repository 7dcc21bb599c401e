// What OpenSSL's encoders make with the provider's keys: certificates, requests, CRLs, OCSP answers, CMS, time stamps.
// Each is encoded, read back and verified by the default provider.
#include <gtest/gtest.h>
#include <openssl/ocsp.h>
#include <openssl/rsa.h>
#include <openssl/ts.h>

#include "software_key.hpp"

namespace qscd::hsm {
namespace {

using Request = std::unique_ptr<X509_REQ, FreeWith<X509_REQ_free>>;
using OcspBasic = std::unique_ptr<OCSP_BASICRESP, FreeWith<OCSP_BASICRESP_free>>;
using OcspId = std::unique_ptr<OCSP_CERTID, FreeWith<OCSP_CERTID_free>>;
using Time = std::unique_ptr<ASN1_TIME, FreeWith<ASN1_TIME_free>>;
using Store = std::unique_ptr<X509_STORE, FreeWith<X509_STORE_free>>;
using StampContext = std::unique_ptr<TS_RESP_CTX, FreeWith<TS_RESP_CTX_free>>;
using StampResponse = std::unique_ptr<TS_RESP, FreeWith<TS_RESP_free>>;
using StampCheck = std::unique_ptr<TS_VERIFY_CTX, FreeWith<TS_VERIFY_CTX_free>>;

struct Papers : ::testing::TestWithParam<Variant> {
    EvpPkey key = token_key(GetParam().kind), plain = public_key(GetParam().kind);
    bool pss = GetParam().scheme == Scheme::rsa_pss;

    // The context of an X509_…_sign_ctx call, ready to sign.
    EvpMdCtx context(const EVP_MD* hash = EVP_sha256()) {
        EvpMdCtx out{EVP_MD_CTX_new()};
        EVP_PKEY_CTX* parameters = nullptr;
        EXPECT_EQ(EVP_DigestSignInit(out.get(), &parameters, hash, nullptr, key.get()), 1);
        if (pss) {
            EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
            EXPECT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST), 1);
        }
        return out;
    }

    X509Cert unsigned_certificate() {
        X509Cert out{X509_new()};
        X509_set_version(out.get(), X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(out.get()), 7);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>("Anna"), -1, -1, 0);
        X509_set_issuer_name(out.get(), X509_get_subject_name(out.get()));
        X509_gmtime_adj(X509_getm_notBefore(out.get()), -60);
        X509_gmtime_adj(X509_getm_notAfter(out.get()), 3600);
        EXPECT_EQ(X509_set_pubkey(out.get(), key.get()), 1);
        for (const auto& [nid, value] : {std::pair{NID_key_usage, "critical,digitalSignature"},
                                         std::pair{NID_ext_key_usage, "critical,timeStamping"}}) {
            X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
            X509_add_ext(out.get(), extension, -1);
            X509_EXTENSION_free(extension);
        }
        return out;
    }

    X509Cert certificate() {
        auto out = unsigned_certificate();
        const auto signer = context();
        EXPECT_GT(X509_sign_ctx(out.get(), signer.get()), 0);
        return certificate_from_der(der_of(*out, i2d_X509)).value();
    }

    Store trusting(X509& anchor) {
        Store out{X509_STORE_new()};
        X509_STORE_add_cert(out.get(), &anchor);
        return out;
    }
};
// Calls that have no place for PSS parameters; time stamps too, since OpenSSL makes them with PKCS#7.
struct PlainPapers : Papers {};
const std::vector<Variant> plain_variants{variants.begin(), variants.begin() + 3};
INSTANTIATE_TEST_SUITE_P(, PlainPapers, ::testing::ValuesIn(plain_variants),
                         [](const auto& test) { return test.param.name; });
INSTANTIATE_TEST_SUITE_P(, Papers, ::testing::ValuesIn(variants), [](const auto& test) { return test.param.name; });

TEST_P(Papers, CertificateWithEachHash) {
    for (const auto* hash : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
        auto made = unsigned_certificate();
        const auto signer = context(hash);
        ASSERT_GT(X509_sign_ctx(made.get(), signer.get()), 0);
        const auto read = certificate_from_der(der_of(*made, i2d_X509)).value();
        EXPECT_EQ(X509_verify(read.get(), plain.get()), 1);
        EXPECT_EQ(X509_check_private_key(read.get(), key.get()), 1);
        int hash_nid = 0, key_nid = 0, bits = 0;
        EXPECT_EQ(X509_get_signature_info(read.get(), &hash_nid, &key_nid, &bits, nullptr), 1);
        EXPECT_EQ(hash_nid, EVP_MD_get_type(hash));
    }
}

TEST_P(Papers, AlgorithmIdentifierIsThatOfOpenssl) {
    auto ours = unsigned_certificate(), theirs = unsigned_certificate();
    const auto signer = context(EVP_sha384());
    ASSERT_GT(X509_sign_ctx(ours.get(), signer.get()), 0);
    const EvpMdCtx other{EVP_MD_CTX_new()};
    EVP_PKEY_CTX* parameters = nullptr;
    EVP_DigestSignInit(other.get(), &parameters, EVP_sha384(), nullptr, &software_key(GetParam().kind));
    if (pss) {
        EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
    }
    ASSERT_GT(X509_sign_ctx(theirs.get(), other.get()), 0);
    EXPECT_EQ(to_hex(der_of(*X509_get0_tbs_sigalg(ours.get()), i2d_X509_ALGOR)),
              to_hex(der_of(*X509_get0_tbs_sigalg(theirs.get()), i2d_X509_ALGOR)));
}

TEST_P(PlainPapers, CertificateByThePlainCall) {
    for (const auto* hash : {EVP_sha256(), static_cast<const EVP_MD*>(nullptr)}) {  // nullptr: the key's default
        auto made = unsigned_certificate();
        ASSERT_GT(X509_sign(made.get(), key.get(), hash), 0);
        EXPECT_EQ(X509_verify(certificate_from_der(der_of(*made, i2d_X509)).value().get(), plain.get()), 1);
    }
}

TEST_P(Papers, CertificateRequest) {
    Request made{X509_REQ_new()};
    X509_REQ_set_pubkey(made.get(), key.get());
    const auto signer = context();
    ASSERT_GT(pss ? X509_REQ_sign_ctx(made.get(), signer.get()) : X509_REQ_sign(made.get(), key.get(), EVP_sha256()),
              0);
    const auto der = der_of(*made, i2d_X509_REQ);
    const auto* at = der.data();
    const Request read{d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size()))};
    EXPECT_EQ(X509_REQ_verify(read.get(), plain.get()), 1);
}

TEST_P(Papers, RevocationList) {
    const auto issuer = certificate();
    X509Revocations made{X509_CRL_new()};
    X509_CRL_set_version(made.get(), X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(made.get(), X509_get_subject_name(issuer.get()));
    const Time now{X509_gmtime_adj(nullptr, 0)};
    X509_CRL_set1_lastUpdate(made.get(), now.get());
    X509_CRL_set1_nextUpdate(made.get(), now.get());
    const auto signer = context();
    ASSERT_GT(pss ? X509_CRL_sign_ctx(made.get(), signer.get()) : X509_CRL_sign(made.get(), key.get(), EVP_sha256()),
              0);
    const auto der = der_of(*made, i2d_X509_CRL);
    const auto* at = der.data();
    const X509Revocations read{d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size()))};
    EXPECT_EQ(X509_CRL_verify(read.get(), plain.get()), 1);
}

TEST_P(Papers, OcspAnswer) {
    const auto issuer = certificate();
    const OcspId id{OCSP_cert_to_id(EVP_sha1(), issuer.get(), issuer.get())};
    const Time now{X509_gmtime_adj(nullptr, 0)};
    OcspBasic made{OCSP_BASICRESP_new()};
    OCSP_basic_add1_status(made.get(), id.get(), V_OCSP_CERTSTATUS_GOOD, 0, nullptr, now.get(), nullptr);
    const auto signer = context();
    ASSERT_EQ(pss ? OCSP_basic_sign_ctx(made.get(), issuer.get(), signer.get(), nullptr, 0)
                  : OCSP_basic_sign(made.get(), issuer.get(), key.get(), EVP_sha256(), nullptr, 0),
              1);
    const auto der = der_of(*made, i2d_OCSP_BASICRESP);
    const auto* at = der.data();
    const OcspBasic read{d2i_OCSP_BASICRESP(nullptr, &at, static_cast<long>(der.size()))};
    const auto store = trusting(*issuer);
    EXPECT_EQ(OCSP_basic_verify(read.get(), nullptr, store.get(), OCSP_TRUSTOTHER), 1) << openssl_reason();
}

TEST_P(Papers, CmsWithCadesAttributes) {
    const auto signer = certificate();
    const std::string content = "a contract";
    const BioPtr input{BIO_new_mem_buf(content.data(), static_cast<int>(content.size()))};
    constexpr unsigned flags = CMS_BINARY | CMS_CADES | CMS_DETACHED;
    CmsContentInfo made{CMS_sign(nullptr, nullptr, nullptr, input.get(), flags | CMS_PARTIAL)};
    CMS_SignerInfo* info = CMS_add1_signer(made.get(), signer.get(), key.get(), EVP_sha256(),
                                           flags | CMS_PARTIAL | (pss ? CMS_KEY_PARAM : 0U));
    ASSERT_NE(info, nullptr) << openssl_reason();
    if (pss) {
        auto* parameters = CMS_SignerInfo_get0_pkey_ctx(info);
        ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
    }
    ASSERT_EQ(CMS_final(made.get(), input.get(), nullptr, flags), 1) << openssl_reason();

    // Read back: an object that still holds our key would verify with it.
    const auto der = der_of(*made, i2d_CMS_ContentInfo);
    const auto* at = der.data();
    const CmsContentInfo read{d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size()))};
    const auto store = trusting(*signer);
    X509_STORE_set_purpose(store.get(), X509_PURPOSE_ANY);
    const BioPtr again{BIO_new_mem_buf(content.data(), static_cast<int>(content.size()))};
    EXPECT_EQ(CMS_verify(read.get(), nullptr, store.get(), again.get(), nullptr, CMS_BINARY | CMS_CADES), 1)
        << openssl_reason();
}

TEST_P(PlainPapers, CmsByTheOneCall) {
    const auto signer = certificate();
    const BioPtr input{BIO_new_mem_buf("x", 1)};
    const CmsContentInfo made{CMS_sign(signer.get(), key.get(), nullptr, input.get(), CMS_BINARY)};
    ASSERT_TRUE(made) << openssl_reason();
    const auto der = der_of(*made, i2d_CMS_ContentInfo);
    const auto* at = der.data();
    const CmsContentInfo read{d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size()))};
    EXPECT_EQ(CMS_verify(read.get(), nullptr, nullptr, nullptr, nullptr, CMS_NO_SIGNER_CERT_VERIFY), 1)
        << openssl_reason();
}

ASN1_INTEGER* serial_of_the_stamp(TS_RESP_CTX*, void*) {
    ASN1_INTEGER* out = ASN1_INTEGER_new();
    ASN1_INTEGER_set(out, 1);
    return out;
}

Bytes stamp_request() {
    const std::unique_ptr<TS_REQ, FreeWith<TS_REQ_free>> request{TS_REQ_new()};
    const std::unique_ptr<TS_MSG_IMPRINT, FreeWith<TS_MSG_IMPRINT_free>> imprint{TS_MSG_IMPRINT_new()};
    const std::unique_ptr<X509_ALGOR, FreeWith<X509_ALGOR_free>> hash{X509_ALGOR_new()};
    X509_ALGOR_set_md(hash.get(), EVP_sha256());
    auto bytes = digest(HashAlgorithm::sha256, view_of("a contract"));
    TS_REQ_set_version(request.get(), 1);
    TS_MSG_IMPRINT_set_algo(imprint.get(), hash.get());
    TS_MSG_IMPRINT_set_msg(imprint.get(), bytes.data(), static_cast<int>(bytes.size()));
    TS_REQ_set_msg_imprint(request.get(), imprint.get());
    TS_REQ_set_cert_req(request.get(), 1);
    return der_of(*request, i2d_TS_REQ);
}

TEST_P(PlainPapers, TimeStamp) {
    const auto signer = certificate();
    const StampContext stamps{TS_RESP_CTX_new()};
    const std::unique_ptr<ASN1_OBJECT, FreeWith<ASN1_OBJECT_free>> policy{OBJ_txt2obj("0.4.0.2023.1.1", 1)};
    TS_RESP_CTX_set_serial_cb(stamps.get(), serial_of_the_stamp, nullptr);
    ASSERT_EQ(TS_RESP_CTX_set_signer_cert(stamps.get(), signer.get()), 1) << openssl_reason();
    ASSERT_EQ(TS_RESP_CTX_set_signer_key(stamps.get(), key.get()), 1);
    TS_RESP_CTX_set_signer_digest(stamps.get(), EVP_sha256());
    TS_RESP_CTX_set_ess_cert_id_digest(stamps.get(), EVP_sha256());
    TS_RESP_CTX_set_def_policy(stamps.get(), policy.get());
    TS_RESP_CTX_add_md(stamps.get(), EVP_sha256());
    const auto request = stamp_request();
    const BioPtr input{BIO_new_mem_buf(request.data(), static_cast<int>(request.size()))};
    const StampResponse made{TS_RESP_create_response(stamps.get(), input.get())};
    ASSERT_TRUE(made) << openssl_reason();
    ASSERT_NE(TS_RESP_get_token(made.get()), nullptr) << openssl_reason();

    const auto der = der_of(*made, i2d_TS_RESP);
    const auto* at = der.data();
    const StampResponse read{d2i_TS_RESP(nullptr, &at, static_cast<long>(der.size()))};
    const StampCheck check{TS_VERIFY_CTX_new()};
    TS_VERIFY_CTX_set_flags(check.get(), TS_VFY_SIGNATURE | TS_VFY_VERSION | TS_VFY_DATA);
    TS_VERIFY_CTX_set_store(check.get(), trusting(*signer).release());
    TS_VERIFY_CTX_set_data(check.get(), BIO_new_mem_buf("a contract", 10));
    EXPECT_EQ(TS_RESP_verify_response(check.get(), read.get()), 1) << openssl_reason();
}

TEST_P(Papers, NoneWhileTheTokenIsAway) {
    const auto signer = certificate();
    key = token_key_that_fails_with(GetParam().kind, {Errc::token_away, "C_Sign"});
    const auto try_it = [](std::string_view call, const std::function<bool()>& run) {
        const auto outcome = signing(call, run);
        EXPECT_FALSE(outcome) << call;
        if (!outcome) EXPECT_EQ(outcome.error().code, Errc::token_away) << call;
    };
    try_it("X509_sign_ctx", [&] {
        const auto made = unsigned_certificate();
        return X509_sign_ctx(made.get(), context().get()) > 0;
    });
    try_it("X509_CRL_sign_ctx", [&] {
        const X509Revocations made{X509_CRL_new()};
        X509_CRL_set_issuer_name(made.get(), X509_get_subject_name(signer.get()));
        const Time now{X509_gmtime_adj(nullptr, 0)};
        X509_CRL_set1_lastUpdate(made.get(), now.get());
        return X509_CRL_sign_ctx(made.get(), context().get()) > 0;
    });
    try_it("CMS_sign", [&] {
        const BioPtr input{BIO_new_mem_buf("x", 1)};
        return CmsContentInfo{CMS_sign(signer.get(), key.get(), nullptr, input.get(), CMS_BINARY)} != nullptr;
    });
}

}  // namespace
}  // namespace qscd::hsm
