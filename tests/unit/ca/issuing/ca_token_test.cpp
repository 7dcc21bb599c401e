#include "ca/issuing/ca_token.hpp"

#include "tests/unit/ca/trial_token.hpp"

namespace qscd::ca {
namespace {

// The trial CA with the keys of its issuing authorities in a token.
struct CaTokenTest : ::testing::Test {
    TrialToken token{"qscd-ca"};
    TrialCa ca;
    std::unique_ptr<CaToken> keys;

    void SetUp() override {
        const auto made = token.make_keys(KeyKind::p384, {"issuing-lcp", "issuing-qualified"});
        const auto issuing = [&](const Bytes& public_key) {
            const auto der = issuing_certificate({"AT", "Demo Trust", "TEST in a token"}, public_key,
                                                 *ca.pki.hierarchy.root, *ca.pki.root_key, at(2026, 1, 1),
                                                 "http://pki.qscd-test.example");
            return certificate_from_der(der.value()).value();
        };
        ca.pki.hierarchy.lcp = issuing(made[0]);
        ca.pki.hierarchy.qualified = issuing(made[1]);
        keys = std::make_unique<CaToken>(token.open(), ca.pki.hierarchy);
        ca.keys = [this](const Authority& authority) { return keys->key_of(authority); };
    }
};

TEST_F(CaTokenTest, SignsCertificatesWithTheKeysInTheToken) {
    for (const auto* profile : {"qscd", "lcp"}) {
        const auto issued = ca.issue(ca.enrolment(profile));
        ASSERT_TRUE(issued) << describe(issued.error());
        const auto certificate = certificate_from_der(issued.value().certificate).value();
        const auto& issuer = ca.pki.hierarchy.issuing(authority_for(std::string_view{profile} != "lcp"));
        EXPECT_EQ(X509_verify(certificate.get(), X509_get0_pubkey(&issuer)), 1);
    }
    EXPECT_TRUE(keys->reachable());
}

TEST_F(CaTokenTest, ATokenThatGoesAwayComesBackWithoutARestart) {
    const auto papers = ca.enrolment().sign(ca.desk);
    ASSERT_TRUE(keys->key_of(authority_for(true)));
    token.go_away();
    const auto away = ca.issue(papers);
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().code, Errc::token_away) << describe(away.error());
    EXPECT_FALSE(keys->reachable());
    token.come_back();
    EXPECT_TRUE(TrialToken::soon([&] { return keys->reachable() && ca.issue(papers); }));
    EXPECT_EQ(ca.certificates->list(0, 10).value().size(), 1U);
}

TEST_F(CaTokenTest, ATokenThatIsAwayAtTheStartIsOpenedLater) {
    keys.reset();
    token.go_away();
    keys = std::make_unique<CaToken>(token.open(), ca.pki.hierarchy);
    const auto away = keys->key_of(authority_for(false));
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().code, Errc::token_away) << describe(away.error());
    EXPECT_FALSE(keys->reachable());
    token.come_back();
    EXPECT_TRUE(TrialToken::soon([&] { return keys->key_of(authority_for(false)).has_value(); }));
    EXPECT_TRUE(ca.issue(ca.enrolment("lcp")));
}

TEST_F(CaTokenTest, AKeyThatIsNotThereIsAMistakeOfTheDeployment) {
    const Authority stranger{"lcp", "issuing-gold", false};
    const auto refused = keys->key_of(stranger);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::configuration);
}

}  // namespace
}  // namespace qscd::ca
