#include "authn/pin.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace qscd::authn {
namespace {

struct Length {
    const char* digits;
    bool accepted;
};
struct PinLength : ::testing::TestWithParam<Length> {};
INSTANTIATE_TEST_SUITE_P(, PinLength,
                         ::testing::Values(Length{"123", false}, Length{"1234", true}, Length{"12345678", true},
                                           Length{"123456789", false}, Length{"", false}, Length{"12a4", false},
                                           Length{"12 4", false}, Length{"-1234", false}));
TEST_P(PinLength, AUTHN_02_FourToEightDigits) {
    EXPECT_EQ(bool(Pin::from(SecretBytes{GetParam().digits}, 4, 8)), GetParam().accepted);
}

TEST(Pin, AUTHN_03_APolicyMayWantAnExactLength) {
    EXPECT_FALSE(Pin::from(SecretBytes{"1234567"}, 8, 8));
    EXPECT_TRUE(Pin::from(SecretBytes{"12345678"}, 8, 8));
}

TEST(Pin, NoPolicyGoesBelowTheFloor) {
    EXPECT_FALSE(Pin::from(SecretBytes{"123"}, 1, 8));
    EXPECT_FALSE(Pin::from(SecretBytes{"123456789"}, 4, 12));
}

TEST(Pin, ARefusalDoesNotRepeatWhatWasGiven) {
    EXPECT_EQ(Pin::from(SecretBytes{"77a77"}, 4, 8).error().detail.find("77"), std::string::npos);
}

TEST(Pin, AUTHN_05_TheSamePinOnTwoCredentialsGivesDifferentInputs) {
    const auto pin = Pin::from(SecretBytes{"1234"}, 4, 8).value();
    const auto salt = random_fixed<PinSalt>();
    const auto anna = random_fixed<CredentialId>(), boris = random_fixed<CredentialId>();
    const auto policy = sha256(view_of("policy"));
    EXPECT_TRUE(pin.verifier_input(view_of("k"), anna, salt, policy) ==
                pin.verifier_input(view_of("k"), anna, salt, policy));
    EXPECT_FALSE(pin.verifier_input(view_of("k"), anna, salt, policy) ==
                 pin.verifier_input(view_of("k"), boris, salt, policy));
    EXPECT_FALSE(pin.verifier_input(view_of("k"), anna, salt, policy) ==
                 pin.verifier_input(view_of("k"), anna, random_fixed<PinSalt>(), policy));
}

}  // namespace
}  // namespace qscd::authn
