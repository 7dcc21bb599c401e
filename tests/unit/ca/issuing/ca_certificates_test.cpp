#include "ca/issuing/ca_certificates.hpp"

#include <cstdlib>
#include <openssl/pem.h>

#include "base/file.hpp"
#include "ca/issuing/crl.hpp"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

std::string text_in(const ASN1_STRING* text) {
    return std::string{text_of({ASN1_STRING_get0_data(text), static_cast<std::size_t>(ASN1_STRING_length(text))})};
}

std::string extension_value(const X509& certificate, int nid, bool critical) {
    const int index = X509_get_ext_by_NID(&certificate, nid, -1);
    if (index < 0) return "absent";
    auto* each = X509_get_ext(&certificate, index);
    if ((X509_EXTENSION_get_critical(each) != 0) != critical) return "wrong criticality";
    const auto* value = X509_EXTENSION_get_data(each);
    return to_hex({ASN1_STRING_get0_data(value), static_cast<std::size_t>(ASN1_STRING_length(value))});
}

TEST(RootCertificate, HasWhatTheProfileSays) {
    const TrialPki pki;
    auto& root = *pki.hierarchy.root;
    EXPECT_EQ(X509_get_ext_count(&root), 3);
    EXPECT_EQ(extension_value(root, NID_basic_constraints, true), "30030101ff");
    EXPECT_EQ(extension_value(root, NID_key_usage, true), "03020106");
    EXPECT_EQ(extension_value(root, NID_subject_key_identifier, false).size(), 44U);
    EXPECT_EQ(X509_verify(&root, pki.root_key.get()), 1);
    // 25 years cross 2050: UTCTime and GeneralizedTime in one SEQUENCE [RFC 5280, 4.1.2.5].
    EXPECT_EQ(ASN1_STRING_type(X509_get0_notBefore(&root)), V_ASN1_UTCTIME);
    EXPECT_EQ(text_in(X509_get0_notBefore(&root)), "260101120000Z");
    EXPECT_EQ(ASN1_STRING_type(X509_get0_notAfter(&root)), V_ASN1_GENERALIZEDTIME);
    EXPECT_EQ(text_in(X509_get0_notAfter(&root)), "20510101115959Z");
}

TEST(RootCertificate, UsesUtcTimeForTheLastSecondOf2049) {
    const auto key = software_key(KeyKind::p384);
    const auto end = [&](TimePoint born) {
        const auto der = root_certificate({"AT", "Demo", "TEST"}, spki_of(*key), *key, born).value();
        const auto certificate = certificate_from_der(der).value();
        return text_in(X509_get0_notAfter(certificate.get()));
    };
    EXPECT_EQ(end(at(2025, 1, 1, 0)), "491231235959Z");
    EXPECT_EQ(end(at(2025, 1, 1, 0) + std::chrono::seconds{1}), "20500101000000Z");
}

TEST(IssuingCertificate, HasWhatTheProfileSays) {
    const TrialPki pki;
    auto& issuing = *pki.hierarchy.qualified;
    EXPECT_EQ(X509_get_ext_count(&issuing), 7);
    EXPECT_EQ(extension_value(issuing, NID_basic_constraints, true), "30060101ff020100");
    EXPECT_EQ(extension_value(issuing, NID_key_usage, true), "03020106");
    EXPECT_EQ(extension_value(issuing, NID_certificate_policies, false), "300830060604551d2000");
    EXPECT_NE(extension_value(issuing, NID_crl_distribution_points, false)
                  .find(to_hex(view_of("http://pki.qscd-test.example/crl/root.crl"))),
              std::string::npos);
    EXPECT_NE(extension_value(issuing, NID_info_access, false)
                  .find(to_hex(view_of("http://pki.qscd-test.example/aia/root.cer"))),
              std::string::npos);
    EXPECT_EQ(extension_value(issuing, NID_authority_key_identifier, false).substr(8),
              extension_value(*pki.hierarchy.root, NID_subject_key_identifier, false).substr(4));
    EXPECT_EQ(text_in(X509_get0_notAfter(&issuing)), "380101115959Z");
    EXPECT_EQ(X509_verify(&issuing, pki.root_key.get()), 1);
}

TEST(IssuingCertificate, NeverOutlivesItsRoot) {
    const TrialPki pki;
    const auto refused = issuing_certificate({"AT", "Demo", "TEST"}, spki_of(*pki.lcp_key), *pki.hierarchy.root,
                                             *pki.root_key, at(2040, 1, 1), "http://a.example");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::access_denied);
}

TEST(AuthorityNames, MustBeWhole) {
    const auto key = software_key(KeyKind::p384);
    for (const auto& name :
         {AuthorityName{"at", "Demo", "TEST"}, AuthorityName{"AT", "", "TEST"}, AuthorityName{"AT", "Demo", ""},
          AuthorityName{"AUT", "Demo", "TEST"}, AuthorityName{"AT", "Demo", std::string(65, 'x')}}) {
        const auto refused = root_certificate(name, spki_of(*key), *key, at(2026, 1, 1));
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::parameter_invalid);
    }
}

TEST(RootCertificate, IsNotGivenOutWhenAnotherKeySignedIt) {
    const auto key = software_key(KeyKind::p384), other = software_key(KeyKind::p384);
    const auto refused = root_certificate({"AT", "Demo", "TEST"}, spki_of(*key), *other, at(2026, 1, 1));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::internal);
}

// Another program's opinion: `openssl verify`, strict, with CRLs of the whole chain.
struct OpensslVerify : ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, OpensslVerify, ::testing::Values("qscd", "qcp-n", "lcp"), [](const auto& test) {
    std::string name = test.param;
    std::erase(name, '-');
    return name;
});
TEST_P(OpensslVerify, AcceptsTheChainAndItsRevocationLists) {
    TrialCa ca;
    const std::string profile = GetParam();
    const auto issued = ca.issue(ca.enrolment(profile)).value();
    const auto& authority = authority_for(profile != "lcp");
    const auto write = [&](const char* name, std::string_view text) {
        ASSERT_TRUE(write_file(ca.folder / name, text));
    };
    const auto pem_of_crl = [&](const X509& issuer, EVP_PKEY& key) {
        const auto der = sign_crl({issuer, 1, ca.clock.now(), ca.clock.now() + crl_validity}, key).value();
        const auto crl = crl_from_der(der).value();
        const BioPtr bio{BIO_new(BIO_s_mem())};
        PEM_write_bio_X509_CRL(bio.get(), crl.get());
        char* text = nullptr;
        const auto size = BIO_get_mem_data(bio.get(), &text);
        return std::string(text, static_cast<std::size_t>(size));
    };
    write("root.pem", pem_of(*ca.pki.hierarchy.root));
    write("issuing.pem", pem_of(ca.pki.hierarchy.issuing(authority)));
    write("anna.pem", pem_of(*certificate_from_der(issued.certificate).value()));
    write("crls.pem", pem_of_crl(*ca.pki.hierarchy.root, *ca.pki.root_key) +
                          pem_of_crl(ca.pki.hierarchy.issuing(authority), *ca.pki.key_of(authority)));
    const auto in = [&](const char* name) { return "'" + (ca.folder / name).string() + "'"; };
    const auto command = "openssl verify -x509_strict -check_ss_sig -crl_check_all -attime " +
                         std::to_string(unix_seconds(ca.clock.now()) + 60) + " -CAfile " + in("root.pem") +
                         " -untrusted " + in("issuing.pem") + " -CRLfile " + in("crls.pem") + " " + in("anna.pem") +
                         " > " + in("out") + " 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_file(ca.folder / "out").value();
}

}  // namespace
}  // namespace qscd::ca
