#include "ca/lint/linted_tbs.hpp"

#include "base/der.hpp"
#include "ca/issuing/certificate_builder.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/signed_object.hpp"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

using policy::CertificateType;

// A good TBS under the qualified authority, which each test spoils by replacing bytes.
struct Candidate {
    TrialPki pki;
    policy::Policy policy = trial_policy();
    Bytes tbs = build("qscd");

    Bytes build(const std::string& profile) const {
        return to_be_signed({.profile = *policy.find(profile),
                             .subject = anna,
                             .public_key = spki_of(*software_key(KeyKind::p256)),
                             .issuer = *pki.hierarchy.qualified,
                             .issuer_name = "qualified",
                             .serial = random_serial(),
                             .not_before = at(2026, 11, 20),
                             .public_base = "http://pki.qscd-test.example"})
            .value();
    }
    std::string refusal(CertificateType type = CertificateType::qcp_n_qscd) const {
        const auto verdict = lint(tbs, type, *pki.hierarchy.qualified);
        return verdict ? "" : verdict.error().detail;
    }
    void replace(const std::string& hex, const std::string& by) {
        ASSERT_EQ(hex.size(), by.size());
        auto text = to_hex(tbs);
        const auto found = text.rfind(hex);
        ASSERT_NE(found, std::string::npos);
        text.replace(found, hex.size(), by);
        tbs = *from_hex(text);
    }
};

TEST(Lint, PassesWhatTheBuilderMakes) {
    Candidate good;
    EXPECT_EQ(good.refusal(), "");
    good.tbs = good.build("qcp-n");
    EXPECT_EQ(good.refusal(CertificateType::qcp_n), "");
    good.tbs = good.build("lcp");
    EXPECT_EQ(good.refusal(CertificateType::lcp), "");
}

TEST(Lint, KeepsTheBytesAsTheyWere) {
    Candidate good;
    EXPECT_TRUE(std::ranges::equal(
        lint(good.tbs, CertificateType::qcp_n_qscd, *good.pki.hierarchy.qualified).value().bytes(), good.tbs));
}

TEST(Lint, CA_16_RefusesACertificateOfAnotherType) {
    Candidate candidate;
    for (const auto type : {CertificateType::lcp, CertificateType::qcp_n, CertificateType::qcp_l_qscd})
        EXPECT_NE(candidate.refusal(type), "");
}

TEST(Lint, RefusesAnotherIssuer) {
    Candidate candidate;
    EXPECT_FALSE(lint(candidate.tbs, CertificateType::qcp_n_qscd, *candidate.pki.hierarchy.lcp));
}

struct Spoiled {
    const char *name, *rule, *from, *to;
};
struct SpoiledTbs : ::testing::TestWithParam<Spoiled> {};
INSTANTIATE_TEST_SUITE_P(
    , SpoiledTbs,
    ::testing::Values(Spoiled{"Version1", "version", "a003020102", "a003020100"},
                      Spoiled{"MoreThanFiveYears", "lifetime", "170d333131313230", "170d333231313230"},
                      Spoiled{"EndsBeforeItBegins", "within-issuer", "170d333131313230", "170d323531313230"},
                      Spoiled{"OutlivesItsIssuer", "within-issuer", "170d333131313230", "170d343131313230"},
                      Spoiled{"CountryAsUtf8", "subject", "06035504061302415431", "06035504060c02415431"},
                      Spoiled{"UsageNotCritical", "extensions", "0603551d0f0101ff04040302", "0603551d0f01010004040302"},
                      Spoiled{"UsageDigitalSignature", "key-usage", "040403020640", "040403020780"},
                      Spoiled{"PolicyOfAnotherType", "policies", "060704008bec400102", "060704008bec400100"},
                      Spoiled{"WithoutSscd", "statements", "3008060604008e460104", "3008060604008e460199"},
                      Spoiled{"TypeEseal", "statements", "060704008e46010601", "060704008e46010602"},
                      Spoiled{"WithoutSemantics", "statements", "06082b06010505070b02", "06082b06010505070b01"},
                      Spoiled{"UnknownExtension", "extensions", "0603551d1f", "0603551d2e"},
                      Spoiled{"ExtensionTwice", "extensions", "0603551d20", "0603551d0e"},
                      Spoiled{"HttpsPointer", "pointers", "862e687474703a2f2f706b69", "862e68747470733a2f2f706b"},
                      Spoiled{"ResponderInsteadOfIssuer", "pointers", "06082b06010505073002", "06082b06010505073001"}),
    [](const auto& test) { return test.param.name; });
TEST_P(SpoiledTbs, CA_16_IsNotSigned) {
    Candidate candidate;
    candidate.replace(GetParam().from, GetParam().to);
    EXPECT_EQ(candidate.refusal().find("lint: " + std::string{GetParam().rule}), 0U) << candidate.refusal();
}

TEST(Lint, RefusesWhatCannotBeParsed) {
    Candidate candidate;
    candidate.tbs.pop_back();
    EXPECT_EQ(candidate.refusal(), "lint: the TBS cannot be parsed");
    candidate.tbs.clear();
    EXPECT_NE(candidate.refusal(), "");
}

}  // namespace
}  // namespace qscd::ca
