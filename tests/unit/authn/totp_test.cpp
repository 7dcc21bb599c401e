#include "authn/totp.hpp"

#include <gtest/gtest.h>

namespace qscd::authn {
namespace {

// RFC 6238, appendix B: SHA-1, 8 digits, 30 s.
const SecretBytes rfc_secret{"12345678901234567890"};
const TotpRules rfc_rules{std::chrono::seconds{30}, 8, 0};

struct Vector {
    std::int64_t time;
    const char* code;
};
struct Rfc6238 : ::testing::TestWithParam<Vector> {};
INSTANTIATE_TEST_SUITE_P(AppendixB, Rfc6238,
                         ::testing::Values(Vector{59, "94287082"}, Vector{1111111109, "07081804"},
                                           Vector{1111111111, "14050471"}, Vector{1234567890, "89005924"},
                                           Vector{2000000000, "69279037"}, Vector{20000000000, "65353130"}));
TEST_P(Rfc6238, AUTHN_15_CodeIsAccepted) {
    const auto [time, code] = GetParam();
    EXPECT_EQ(matching_step(rfc_secret, SecretBytes{code}, rfc_rules, from_unix(time), -1), time / 30);
    EXPECT_FALSE(matching_step(rfc_secret, SecretBytes{"00000000"}, rfc_rules, from_unix(time), -1));
}

TEST(Totp, AUTHN_16_AStepIsAcceptedOnlyAboveTheLastOne) {
    EXPECT_FALSE(matching_step(rfc_secret, SecretBytes{"94287082"}, rfc_rules, from_unix(59), 1));
    EXPECT_FALSE(matching_step(rfc_secret, SecretBytes{"94287082"}, rfc_rules, from_unix(59), 2));
    EXPECT_TRUE(matching_step(rfc_secret, SecretBytes{"94287082"}, rfc_rules, from_unix(59), 0));
}

TEST(Totp, AUTHN_23_DriftIsBoundedOnBothSides) {
    TotpRules rules = rfc_rules;
    rules.tolerance_steps = 1;
    const std::int64_t step_begins = 1111111080;  // of the code 07081804
    for (const auto [offset, accepted] :
         {std::pair{-31, false}, {-30, true}, {0, true}, {29, true}, {59, true}, {60, false}})
        EXPECT_EQ(bool(matching_step(rfc_secret, SecretBytes{"07081804"}, rules, from_unix(step_begins + offset), -1)),
                  accepted)
            << offset;
}

TEST(Totp, AUTHN_16_ACodeOfSixtySecondsLivesOneStepAndItsTolerance) {
    // The step number alone goes into a code: the RFC's code for step 1 is right from second 60 of a 60 s period on.
    const TotpRules minute{std::chrono::seconds{60}, 8, 0};
    for (const auto& [second, accepted] : {std::pair{59, false}, {60, true}, {119, true}, {120, false}})
        EXPECT_EQ(matching_step(rfc_secret, SecretBytes{"94287082"}, minute, from_unix(second), -1).has_value(),
                  accepted)
            << second;
    const TotpRules tolerant{std::chrono::seconds{60}, 8, 1};
    for (const auto& [second, accepted] : {std::pair{0, true}, {179, true}, {180, false}})
        EXPECT_EQ(matching_step(rfc_secret, SecretBytes{"94287082"}, tolerant, from_unix(second), -1).has_value(),
                  accepted)
            << second;
}

TEST(Totp, CodesOfTheWrongLengthNeverMatch) {
    for (const auto* code : {"", "9", "9428708", "942870820"})
        EXPECT_FALSE(matching_step(rfc_secret, SecretBytes{code}, rfc_rules, from_unix(59), -1)) << code;
}

}  // namespace
}  // namespace qscd::authn
