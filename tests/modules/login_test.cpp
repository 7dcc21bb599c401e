// A module is loaded, its tokens are made, found, entered and taken up again after a re-initialisation.
#include "tests/modules/suite.hpp"

namespace qscd::modules {
namespace {

using hsm::Module;
using hsm::Token;
using instruments::ModulePlace;

struct Login : ModuleSuite {};
INSTANTIATE_TEST_SUITE_P(, Login, ::testing::ValuesIn(instruments::chosen_modules()),
                         [](const auto& test) { return name_of(test.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Login);

TEST_P(Login, QSCD_29_TheTokenIsFoundByItsLabelAndIsWhatTheRegistrySays) {
    const auto entry = instruments::entry_of(GetParam()).value();
    const auto info = module().find(ground_->place->label());
    ASSERT_TRUE(info) << describe(info.error());
    EXPECT_EQ(info.value().model, entry.model);
    EXPECT_EQ(info.value().manufacturer, entry.manufacturer);
    EXPECT_FALSE(info.value().serial.empty());
    EXPECT_THAT(module().tokens().value(),
                ::testing::Contains(::testing::Field(&hsm::TokenInfo::label, ground_->place->label())));
}

TEST_P(Login, AnUnknownLabelIsATokenThatIsAway) {
    const auto none = module().find("no such token");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::token_away);
}

TEST_P(Login, ALabelThatIsTakenIsNotInitialisedAgain) {
    const auto again = module().initialise_token(ground_->place->label(), ModulePlace::so_pin(), ModulePlace::pin());
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::configuration);
    EXPECT_TRUE(token().random(16)) << "and the token is as it was";
}

TEST_P(Login, ASecondTokenIsMadeWhereThereIsAnEmptySlot) {
    const auto made = module().initialise_token("qscd-second", ModulePlace::so_pin(), ModulePlace::pin());
    if (!made && made.error().code == Errc::configuration) GTEST_SKIP() << "this module has no empty slot";
    ASSERT_TRUE(made) << describe(made.error());
    const auto second = Token::open(ground_->module, "qscd-second", ModulePlace::pin(), 1);
    ASSERT_TRUE(second) << describe(second.error());
    EXPECT_TRUE(second.value()->reachable());
    EXPECT_TRUE(second.value()->private_keys().value().empty());
    EXPECT_TRUE(token().random(16)) << "the first one stays open beside it";
}

TEST_P(Login, AWrongPinIsRefusedOnceAndNotTriedAgain) {
    ground_->token.reset();  // while somebody is logged in a module does not look at the PIN
    const auto wrong = Token::open(ground_->module, ground_->place->label(), SecretBytes{"097531"}, 2);
    const auto again = ground_->open();
    ASSERT_TRUE(again) << describe(again.error());
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::configuration);
    EXPECT_EQ(wrong.error().detail.find("097531"), std::string::npos);
    EXPECT_TRUE(token().random(16)) << "the right one opens it";
}

TEST_P(Login, QSCD_22_AReinitialisedModuleTakesUpItsTokenAndKeys) {
    const auto id = random_fixed<CkaId>();
    const auto made = make_some_pair(id, "kept over a re-initialisation");
    ASSERT_TRUE(made) << describe(made.error());
    const auto before = module().generation();
    const auto done = module().reinitialise();
    ASSERT_TRUE(done) << describe(done.error());
    EXPECT_GT(module().generation(), before);
    const auto scheme = scheme_of(some_kind());
    const auto outcome = token().sign(*made.value().key, scheme, hash_of("afterwards"));
    ASSERT_TRUE(outcome.signature) << describe(outcome.signature.error());
    EXPECT_TRUE(verifies(made.value().public_key, scheme, hash_of("afterwards"), outcome.signature.value()));
    EXPECT_TRUE(token().destroy(id));
}

}  // namespace
}  // namespace qscd::modules
