#include "ca/issuing/crl.hpp"

#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

struct Parsed {
    Bytes der;
    X509Revocations crl;
};
Parsed made(const TrialPki& pki, std::uint64_t number, TimePoint now) {
    auto der = sign_crl({*pki.hierarchy.lcp, number, now, now + crl_validity}, *pki.lcp_key).value();
    auto crl = crl_from_der(der).value();
    return {std::move(der), std::move(crl)};
}

TEST(Crl, IsVersion2WithoutAnEmptyList) {
    const TrialPki pki;
    const auto [der, crl] = made(pki, 1, at(2026, 11, 20));
    EXPECT_EQ(X509_CRL_get_version(crl.get()), X509_CRL_VERSION_2);
    EXPECT_EQ(X509_CRL_get_REVOKED(crl.get()), nullptr);
    EXPECT_EQ(X509_CRL_verify(crl.get(), pki.lcp_key.get()), 1);
    EXPECT_EQ(der_of(*X509_CRL_get_issuer(crl.get()), i2d_X509_NAME),
              der_of(*X509_get_subject_name(pki.hierarchy.lcp.get()), i2d_X509_NAME));
}

TEST(Crl, SaysWhenTheNextOneComes) {
    const TrialPki pki;
    const auto [der, crl] = made(pki, 1, at(2049, 12, 31));
    const auto *last = X509_CRL_get0_lastUpdate(crl.get()), *next = X509_CRL_get0_nextUpdate(crl.get());
    EXPECT_EQ(ASN1_STRING_type(last), V_ASN1_UTCTIME);
    EXPECT_EQ(ASN1_STRING_type(next), V_ASN1_GENERALIZEDTIME);
    EXPECT_EQ(time_of(*last).value(), at(2049, 12, 31));
    EXPECT_EQ(time_of(*next).value(), at(2050, 1, 3));
}

TEST(Crl, HasItsIssuersKeyIdentifierAndItsNumber) {
    const TrialPki pki;
    for (const std::uint64_t number : {1ULL, 127ULL, 128ULL, 1ULL << 40, ~0ULL}) {
        const auto [der, crl] = made(pki, number, at(2026, 11, 20));
        ASSERT_EQ(X509_CRL_get_ext_count(crl.get()), 2);
        int critical = -1;
        const std::unique_ptr<ASN1_INTEGER, FreeWith<ASN1_INTEGER_free>> said{
            static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl.get(), NID_crl_number, &critical, nullptr))};
        std::uint64_t value = 0;
        ASSERT_EQ(ASN1_INTEGER_get_uint64(&value, said.get()), 1);
        EXPECT_EQ(value, number);
        EXPECT_EQ(critical, 0);
        const std::unique_ptr<AUTHORITY_KEYID, FreeWith<AUTHORITY_KEYID_free>> authority{static_cast<AUTHORITY_KEYID*>(
            X509_CRL_get_ext_d2i(crl.get(), NID_authority_key_identifier, &critical, nullptr))};
        EXPECT_EQ(ASN1_OCTET_STRING_cmp(authority->keyid, X509_get0_subject_key_id(pki.hierarchy.lcp.get())), 0);
        EXPECT_EQ(authority->issuer, nullptr);
        EXPECT_EQ(authority->serial, nullptr);
        EXPECT_EQ(critical, 0);
    }
}

TEST(Crl, IsNotGivenOutWhenAnotherKeySignedIt) {
    const TrialPki pki;
    EXPECT_FALSE(sign_crl({*pki.hierarchy.lcp, 1, at(2026, 11, 20), at(2026, 11, 21)}, *pki.qualified_key));
}

TEST(Crl, NothingBehindItIsRead) {
    const TrialPki pki;
    auto [der, crl] = made(pki, 1, at(2026, 11, 20));
    der.push_back(0);
    EXPECT_FALSE(crl_from_der(der));
}

}  // namespace
}  // namespace qscd::ca
