#include "ca/issuing/register.hpp"

#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

Reservation reservation() {
    return {.issuer = "lcp",
            .serial = random_serial(),
            .enrolment = random_fixed<EnrolmentId>(),
            .credential = random_fixed<CredentialId>(),
            .key_digest = random_fixed<Sha256Digest>(),
            .type = policy::CertificateType::lcp,
            .grant = random_fixed<Sha256Digest>(),
            .proof = random_fixed<Sha256Digest>(),
            .grant_paper = {1},
            .proof_paper = {2},
            .tbs = {3, 4, 5},
            .not_after = at(2031, 1, 1)};
}

struct RegisterTest : ::testing::Test {
    Folder folder;
    std::unique_ptr<Register> open() { return Register::open(instruments::place_of(folder / "cad.sqlite")).value(); }
    std::unique_ptr<Register> certificates = open();
    TimePoint now = at(2026, 11, 20);
};

TEST_F(RegisterTest, KeepsAReservationOverARestart) {
    const auto made = reservation();
    ASSERT_TRUE(certificates->reserve(made, now));
    certificates.reset();
    certificates = open();
    const auto found = certificates->find(made.enrolment).value();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->tbs, made.tbs);
    EXPECT_EQ(found->serial, made.serial);
    EXPECT_EQ(found->state, RegisterState::reserved);
    EXPECT_TRUE(found->certificate.empty());
    EXPECT_TRUE(certificates->has_serial("lcp", made.serial).value());
    EXPECT_FALSE(certificates->has_serial("qualified", made.serial).value());
    EXPECT_FALSE(certificates->find(random_fixed<EnrolmentId>()).value());
}

TEST_F(RegisterTest, QSCD_09_NothingStandsInItTwice) {
    const auto first = reservation();
    ASSERT_TRUE(certificates->reserve(first, now));
    const auto refused = [&](auto change) {
        auto second = reservation();
        change(second);
        const auto verdict = certificates->reserve(second, now);
        return !verdict && verdict.error().code == Errc::paper_refused;
    };
    EXPECT_TRUE(refused([&](auto& r) { r.enrolment = first.enrolment; }));
    EXPECT_TRUE(refused([&](auto& r) { r.credential = first.credential; }));
    EXPECT_TRUE(refused([&](auto& r) { r.key_digest = first.key_digest; }));
    EXPECT_TRUE(refused([&](auto& r) { r.serial = first.serial; }));
    EXPECT_FALSE(refused([&](auto& r) {
        r.serial = first.serial;
        r.issuer = "qualified";  // unique within an issuer
    }));
    EXPECT_EQ(certificates->list(0, 100).value().size(), 2U);
}

TEST_F(RegisterTest, ReservedIssuedActive) {
    const auto made = reservation();
    const Bytes certificate{9, 9};
    EXPECT_FALSE(certificates->store(made.enrolment, certificate, now));
    ASSERT_TRUE(certificates->reserve(made, now));
    EXPECT_FALSE(certificates->activate(made.enrolment, made.credential, sha256(certificate), now));
    ASSERT_TRUE(certificates->store(made.enrolment, certificate, now));
    EXPECT_FALSE(certificates->store(made.enrolment, Bytes{1}, now));  // once
    EXPECT_EQ(certificates->find(made.enrolment).value()->state, RegisterState::issued);
    EXPECT_FALSE(certificates->activate(made.enrolment, random_fixed<CredentialId>(), sha256(certificate), now));
    EXPECT_FALSE(certificates->activate(made.enrolment, made.credential, sha256(Bytes{1}), now));
    EXPECT_TRUE(certificates->activate(made.enrolment, made.credential, sha256(certificate), now));
    EXPECT_TRUE(certificates->activate(made.enrolment, made.credential, sha256(certificate), now));
    EXPECT_EQ(certificates->find(made.enrolment).value()->state, RegisterState::active);
}

TEST_F(RegisterTest, ListsInOrderAndInPortions) {
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(certificates->reserve(reservation(), now));
    EXPECT_EQ(certificates->list(0, 2).value().back().number, 2U);
    EXPECT_EQ(certificates->list(2, 100).value().size(), 3U);
    EXPECT_TRUE(certificates->list(5, 100).value().empty());
}

TEST_F(RegisterTest, CrlNumbersOnlyGrowEachIssuerForItself) {
    EXPECT_EQ(certificates->next_crl_number("lcp").value(), 1U);
    EXPECT_EQ(certificates->next_crl_number("lcp").value(), 2U);
    EXPECT_EQ(certificates->next_crl_number("qualified").value(), 1U);
    certificates.reset();
    certificates = open();
    EXPECT_EQ(certificates->next_crl_number("lcp").value(), 3U);
}

}  // namespace
}  // namespace qscd::ca
