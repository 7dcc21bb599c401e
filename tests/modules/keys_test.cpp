// Keys on every module: made, read back, found, used, destroyed.
#include <latch>
#include <thread>

#include "tests/instruments/modules/program.hpp"
#include "tests/modules/suite.hpp"

namespace qscd::modules {
namespace {

using ::testing::Contains;
using ::testing::Pair;

struct Keys : ModuleSuite {};
INSTANTIATE_TEST_SUITE_P(, Keys, ::testing::ValuesIn(instruments::chosen_modules()),
                         [](const auto& test) { return name_of(test.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Keys);

struct EveryKind : OnEveryModule, ::testing::WithParamInterface<std::tuple<instruments::TestModule, KeyKind>> {
    const instruments::TestModule& tested() const override { return std::get<0>(GetParam()); }
    KeyKind kind() const { return std::get<1>(GetParam()); }
    // What the module lacks for the kind; empty when nothing.
    std::string lacking() const {
        const auto& row = row_of(kind());
        for (const auto* needed : row.elliptic ? elliptic_needs : rsa_needs)
            if (auto words = lacks(report(), needed); !words.empty()) return words;
        CK_MECHANISM_INFO info{};
        const auto inside = module().enter();
        module().api().C_GetMechanismInfo(report().token.slot,
                                          row.elliptic ? CKM_EC_KEY_PAIR_GEN : CKM_RSA_PKCS_KEY_PAIR_GEN, &info);
        if (info.ulMaxKeySize != 0 && info.ulMaxKeySize < row.bits)
            return "this module's keys of the kind end at " + std::to_string(info.ulMaxKeySize) + " bits";
        return {};
    }
    static constexpr std::array elliptic_needs{"ec-key-pairs", "ecdsa"}, rsa_needs{"rsa-key-pairs", "rsa-pkcs1"};
};
INSTANTIATE_TEST_SUITE_P(, EveryKind,
                         ::testing::Combine(::testing::ValuesIn(instruments::chosen_modules()),
                                            ::testing::Values(KeyKind::p256, KeyKind::p384, KeyKind::rsa3072,
                                                              KeyKind::rsa4096)),
                         [](const auto& test) {
                             std::string kind{row_of(std::get<1>(test.param)).name};
                             std::erase(kind, '-');
                             return name_of(std::get<0>(test.param)) + "_" + kind;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(EveryKind);

TEST_P(EveryKind, QSCD_01_IsMadeInsideAndReadBackAsAskedFor) {
    if (const auto words = lacking(); !words.empty()) GTEST_SKIP() << words;
    const auto id = random_fixed<CkaId>();
    const auto made = token().generate(kind(), id, "opaque");
    if (!made) {
        EXPECT_FALSE(found(made_finding(kind()))) << "the probe made one: " << describe(made.error());
        // One module answers "general error" to an attribute that it does not know: its token counts as away for a moment.
        ASSERT_TRUE(instruments::eventually([&] { return token().reachable(); }));
        EXPECT_TRUE(token().confirm_gone(id)) << "and none is left";
        return;
    }
    ASSERT_TRUE(made) << describe(made.error());
    const auto& evidence = made.value().attributes;
    for (const auto* name : {"CKA_TOKEN", "CKA_PRIVATE", "CKA_SENSITIVE", "CKA_ALWAYS_SENSITIVE",
                             "CKA_NEVER_EXTRACTABLE", "CKA_LOCAL", "CKA_SIGN"})
        EXPECT_THAT(evidence, Contains(Pair(name, "true")));
    for (const auto* name : {"CKA_EXTRACTABLE", "CKA_MODIFIABLE", "CKA_DECRYPT", "CKA_UNWRAP", "CKA_DERIVE"})
        EXPECT_THAT(evidence, Contains(Pair(name, "false")));
    EXPECT_TRUE(token().destroy(id));
}

TEST_P(EveryKind, SignsUnderEachSchemeAndOpenSslVerifiesIt) {
    if (const auto words = lacking(); !words.empty()) GTEST_SKIP() << words;
    const auto id = random_fixed<CkaId>();
    const auto made = make_pair(kind(), id, "signs");
    ASSERT_TRUE(made) << describe(made.error());
    unsigned signatures = 0;
    for (const auto& [scheme, finding] : {std::pair{Scheme::ecdsa, "ecdsa"}, std::pair{Scheme::rsa_pkcs1, "rsa-pkcs1"},
                                          std::pair{Scheme::rsa_pss, "rsa-pss"}}) {
        if (!fits(scheme, kind()) || !found(finding)) continue;
        for (const auto algorithm : {HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512}) {
            const auto hash = hash_of("a contract", algorithm);
            const auto outcome = token().sign(*made.value().key, scheme, hash);
            ASSERT_TRUE(outcome.signature)
                << describe(outcome.signature.error()) << " " << finding << " " << row_of(algorithm).name;
            EXPECT_TRUE(outcome.entered);
            EXPECT_TRUE(verifies(made.value().public_key, scheme, hash, outcome.signature.value()))
                << finding << " " << row_of(algorithm).name;
            EXPECT_FALSE(
                verifies(made.value().public_key, scheme, hash_of("another", algorithm), outcome.signature.value()));
            ++signatures;
        }
    }
    EXPECT_GT(signatures, 0u);
    EXPECT_TRUE(token().destroy(id));
}

TEST_P(Keys, AnHmacKeyGivesTheSameMacForTheSameMessage) {
    QSCD_NEEDS("secret-keys");
    QSCD_NEEDS("hmac");
    const auto id = random_fixed<CkaId>();
    const auto made = make_hmac_key(id, "mac");
    ASSERT_TRUE(made) << describe(made.error());
    const auto key = token().find_secret(id);
    ASSERT_TRUE(key) << describe(key.error());
    const auto first = token().hmac(*key.value(), view_of("1234"));
    ASSERT_TRUE(first) << describe(first.error());
    EXPECT_EQ(first.value().size(), 32u);
    EXPECT_EQ(first.value(), token().hmac(*key.value(), view_of("1234")).value());
    EXPECT_NE(first.value(), token().hmac(*key.value(), view_of("1235")).value());
    EXPECT_TRUE(token().destroy(id));
    EXPECT_TRUE(token().confirm_gone(id));
}

TEST_P(Keys, AreFoundByIdAndByLabelAndListed) {
    const auto id = random_fixed<CkaId>();
    const auto made = make_some_pair(id, "the one and only");
    ASSERT_TRUE(made) << describe(made.error());
    EXPECT_TRUE(token().find_private(id));
    const auto labelled = token().find_by_label("the one and only");
    ASSERT_TRUE(labelled) << describe(labelled.error());
    EXPECT_EQ(labelled.value()->id(), id);
    EXPECT_EQ(labelled.value()->object_class(), CK_OBJECT_CLASS{CKO_PRIVATE_KEY});
    EXPECT_THAT(token().private_keys().value(), Contains(id));
    const auto listed = token().keys("the one");
    ASSERT_TRUE(listed) << describe(listed.error());
    ASSERT_EQ(listed.value().size(), 1u);
    EXPECT_EQ(listed.value()[0].label, "the one and only");
    EXPECT_TRUE(token().destroy(id));
}

TEST_P(Keys, WhatIsNotThereIsToldApartFromATokenThatIsAway) {
    const auto nobody = random_fixed<CkaId>();
    const auto by_id = token().find_private(nobody);
    ASSERT_FALSE(by_id);
    EXPECT_EQ(by_id.error().code, Errc::key_gone) << describe(by_id.error());
    const auto by_label = token().find_by_label("nobody");
    ASSERT_FALSE(by_label);
    EXPECT_EQ(by_label.error().code, Errc::parameter_invalid) << describe(by_label.error());
    EXPECT_TRUE(token().confirm_gone(nobody));
    EXPECT_TRUE(token().reachable());
}

TEST_P(Keys, QSCD_12_DestructionIsConfirmedAndEndsSigning) {
    const auto id = random_fixed<CkaId>();
    const auto made = make_some_pair(id, "to be destroyed");
    ASSERT_TRUE(made) << describe(made.error());
    const auto early = token().confirm_gone(id);
    ASSERT_FALSE(early) << "it is there";
    EXPECT_EQ(early.error().code, Errc::internal);
    const auto scheme = scheme_of(some_kind());
    ASSERT_TRUE(token().sign(*made.value().key, scheme, hash_of("before")).signature);
    const auto destroyed = token().destroy(id);
    ASSERT_TRUE(destroyed) << describe(destroyed.error());
    EXPECT_TRUE(token().confirm_gone(id));
    const auto outcome = token().sign(*made.value().key, scheme, hash_of("after"));
    ASSERT_FALSE(outcome.signature);
    EXPECT_EQ(outcome.signature.error().code, Errc::key_gone) << describe(outcome.signature.error());
    EXPECT_FALSE(outcome.entered);
    EXPECT_TRUE(token().reachable());
    EXPECT_TRUE(token().destroy(id)) << "destroying what is not there succeeds";
}

TEST_P(Keys, SeveralThreadsSignAtOnceWithOneKey) {
    constexpr int askers = 4, each = 6;
    const auto id = random_fixed<CkaId>();
    const auto made = make_some_pair(id, "shared");
    ASSERT_TRUE(made) << describe(made.error());
    const auto scheme = scheme_of(some_kind());
    std::atomic<int> good = 0;
    std::latch done{askers};
    std::vector<std::jthread> threads;
    for (int asker = 0; asker < askers; ++asker)
        threads.emplace_back([&, asker] {
            for (int i = 0; i < each; ++i) {
                const auto hash = hash_of(std::to_string(asker * each + i));
                const auto outcome = token().sign(*made.value().key, scheme, hash);
                if (outcome.signature && verifies(made.value().public_key, scheme, hash, outcome.signature.value()))
                    ++good;
            }
            done.count_down();
        });
    done.wait();
    EXPECT_EQ(good, askers * each);
    EXPECT_TRUE(token().destroy(id));
}

}  // namespace
}  // namespace qscd::modules
