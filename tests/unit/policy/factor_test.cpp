#include "policy/factor.hpp"

#include <gtest/gtest.h>

namespace qscd::policy {
namespace {

TEST(FactorExpression, AUTHN_01_IsAPinAndOneHeldFactor) {
    EXPECT_EQ(FactorExpression::pin_and(Factor::totp)->text(), "PIN AND TOTP");
    EXPECT_EQ(FactorExpression::pin_and(Factor::sms)->text(), "PIN AND SMS");
    EXPECT_EQ(FactorExpression::pin_and(Factor::sms)->factors(), (std::array{Factor::pin, Factor::sms}));
}

TEST(FactorExpression, AUTHN_01_CannotBeTheSameFactorTwice) { EXPECT_FALSE(FactorExpression::pin_and(Factor::pin)); }

TEST(FactorExpression, ReadsBackWhatItWrites) {
    for (const auto held : {Factor::totp, Factor::sms}) {
        const auto expression = FactorExpression::pin_and(held);
        EXPECT_EQ(FactorExpression::parse(expression->text()), expression);
    }
}

TEST(FactorExpression, AUTHN_01_RefusesEveryOtherText) {
    for (const auto* text : {"", "PIN", "TOTP", "SMS", "PIN OR TOTP", "PIN AND PIN", "PIN AND", "TOTP AND PIN",
                             "PIN AND TOTP AND SMS", "pin and totp", "PIN  AND TOTP", "PIN AND TOTP "})
        EXPECT_FALSE(FactorExpression::parse(text)) << text;
}

TEST(Factors, AreFoundByName) {
    EXPECT_EQ(factor_named("PIN"), Factor::pin);
    EXPECT_EQ(factor_named("TOTP"), Factor::totp);
    EXPECT_EQ(factor_named("SMS"), Factor::sms);
    EXPECT_FALSE(factor_named("totp"));
    for (const auto& row : factor_rows) EXPECT_EQ(row_of(row.factor).name, row.name);
}

}  // namespace
}  // namespace qscd::policy
