#include "ca/registration/rule_key.hpp"

#include "tests/unit/ca/trial_token.hpp"

namespace qscd::ca {
namespace {

struct RuleKeyTest : ::testing::Test {
    TrialToken token{"qscd-ra"};
    std::unique_ptr<RuleKey> rule;
    EvpPkey public_key;

    void SetUp() override {
        public_key = public_key_from_der(token.make_keys(KeyKind::p256, {rule_key_label}).front()).value();
        rule = std::make_unique<RuleKey>(token.open(), protocol::key_id_of(*public_key));
    }
};

TEST_F(RuleKeyTest, SignsWhatItsPublicKeyVerifies) {
    const auto message = view_of("a Grant");
    const auto signed_by_rule = rule->sign(message);
    ASSERT_TRUE(signed_by_rule) << describe(signed_by_rule.error());
    EXPECT_TRUE(verify_message(*public_key, message, signed_by_rule.value().signature));
    EXPECT_EQ(signed_by_rule.value().key_id, protocol::key_id_of(*public_key));
}

TEST_F(RuleKeyTest, ComesBackWithItsToken) {
    token.go_away();
    const auto away = rule->sign(view_of("a Grant"));
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().code, Errc::token_away) << describe(away.error());
    EXPECT_FALSE(rule->reachable());
    token.come_back();
    EXPECT_TRUE(TrialToken::soon([&] { return rule->sign(view_of("a Grant")).has_value(); }));
}

}  // namespace
}  // namespace qscd::ca
