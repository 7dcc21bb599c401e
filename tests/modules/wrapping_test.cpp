// Wrapped placement on every module: it works, or the probe's findings say why it may not be. [QSCD-30]
#include "hsm/wrapping/wrapping.hpp"

#include <future>

#include "tests/modules/suite.hpp"

namespace qscd::modules {
namespace {

struct WrappedKeys : ModuleSuite {};
INSTANTIATE_TEST_SUITE_P(, WrappedKeys, ::testing::ValuesIn(instruments::chosen_modules()),
                         [](const auto& test) { return name_of(test.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(WrappedKeys);

const hsm::KeyOwner anna{std::array<std::uint8_t, 16>{'a', 'n', 'n', 'a'}};

hsm::Token::Outcome sign(hsm::SigningKey& key, Scheme scheme) {
    std::promise<hsm::Token::Outcome> promise;
    auto future = promise.get_future();
    key.sign_all(scheme, {hash_of("a contract")},
                 [&](std::vector<hsm::Token::Outcome> outcomes) { promise.set_value(std::move(outcomes.front())); });
    return future.get();
}

TEST_P(WrappedKeys, QSCD_30_MaySignWhereTheTemplateIsKeptAndAlteredBlobsAreRefused) {
    const auto permit = hsm::may_wrap(report());
    EXPECT_EQ(bool{permit}, GetParam().name == "softhsm2") << "of those the suite knows";
    if (!permit) {
        EXPECT_EQ(permit.error().code, Errc::not_supported);
        GTEST_SKIP() << permit.error().detail;
    }
    const auto binding = token().generate_hmac_key(random_fixed<CkaId>(), "binding").value();
    hsm::Wrapping wrapping{token(), permit.value(), binding};
    const auto kek = wrapping.make_kek(random_fixed<CkaId>(), "kek");
    ASSERT_TRUE(kek) << describe(kek.error());
    for (const auto kind : {KeyKind::p256, KeyKind::p384, KeyKind::rsa3072}) {
        if (!permit.value().allows(kind)) continue;
        const auto key = wrapping.generate(kind, kek.value().id, random_fixed<CkaId>(), anna);
        ASSERT_TRUE(key) << describe(key.error());
        const auto outcome = sign(*wrapping.signing_key(key.value(), anna), scheme_of(kind));
        ASSERT_TRUE(outcome.signature) << describe(outcome.signature.error());
        EXPECT_TRUE(
            verifies(key.value().public_key, scheme_of(kind), hash_of("a contract"), outcome.signature.value()));
    }
    EXPECT_TRUE(wrapping.destroy_kek(kek.value().id));
    EXPECT_TRUE(token().destroy(binding->id()));
}

}  // namespace
}  // namespace qscd::modules
