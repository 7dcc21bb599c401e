// What is in a token and what the records say: destroyed keys, copies of tokens, orphans, other owners. [QSCD-12] [QSCD-14]
// [QSCD-16] [QSCD-20] [OPS-16]
#include <gmock/gmock.h>

#include "tests/unit/qscd/sam/shards_trial.hpp"

namespace qscd::sam {
namespace {

using RollCallTest = ShardsTest;

TEST_F(RollCallTest, OPS_16_ATokenOfAnotherSamIsNotUsed) {
    const auto credential = enrol(anna());
    ASSERT_EQ(shard_of(credential), 1U);
    stop();
    // Another SAM, with a token and a store of its own, that was pointed at our signers' token.
    fs::rename(folder_of("qscd-sam"), tokens.folder / "our-sam");
    for (const auto* end : {"", "-wal", "-shm"})
        if (fs::exists(tokens.folder / (std::string{"samd.sqlite"} + end)))
            fs::rename(tokens.folder / (std::string{"samd.sqlite"} + end), tokens.folder / (std::string{"ours"} + end));
    tokens.seen.erase("qscd-sam");
    tokens.module.reset();
    tokens.load();
    tokens.open_sam(rules.version());
    start();
    EXPECT_TRUE(eventually([&] { return findings("belongs to another SAM") == 2; }));
    const auto report = health();
    EXPECT_FALSE(report.tokens());
    const auto grant = grant_for(boris());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "48151623", last_code(boris().phone)));
    EXPECT_EQ(create_key(grant.enrolment).error().code, Errc::token_away);
    EXPECT_EQ(keys_in(1).size(), 1U) << "it neither made nor destroyed a key";
}

TEST_F(RollCallTest, QSCD_12_ADestroyedKeyIsGoneAndItsCredentialIsForGood) {
    const auto credential = enrol(anna());
    const auto sad = approved(credential);
    const auto key = key_of(credential);
    ASSERT_TRUE(destroy(credential));
    EXPECT_FALSE(holds(1, key));
    EXPECT_TRUE(token(1).confirm_gone(key));
    EXPECT_EQ(records("destruction-intended").size(), 1U);
    EXPECT_EQ(records("key-destroyed").size(), 1U);
    EXPECT_EQ(sign(credential, sad).error().code, Errc::credential_disabled);
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::credential_disabled);
    EXPECT_EQ(set_disabled(credential, false).error().code, Errc::out_of_order);
    EXPECT_TRUE(destroy(credential)) << "a repeat";
    EXPECT_EQ(records("key-destroyed").size(), 1U);
}

TEST_F(RollCallTest, QSCD_12_WithItsTokenAwayAKeyIsNotCalledDestroyedAndGoesWhenItIsBack) {
    const auto credential = enrol(anna());
    const auto sad = approved(credential);
    const auto key = key_of(credential);
    const auto folder = folder_of(1), hidden = tokens.folder / "hidden";
    fs::rename(folder, hidden);
    EXPECT_EQ(destroy(credential).error().code, Errc::token_away);
    EXPECT_TRUE(records("key-destroyed").empty());
    fs::rename(hidden, folder);
    wait_until_reachable(token(1));
    EXPECT_EQ(sign(credential, sad).error().code, Errc::credential_disabled);
    EXPECT_TRUE(eventually([&] { return records("key-destroyed").size() == 1; }));
    EXPECT_FALSE(holds(1, key));
}

TEST_F(RollCallTest, QSCD_12_ADestructionThatACrashInterruptedIsFinishedAtStart) {
    const auto credential = enrol(anna());
    const auto key = key_of(credential);
    stop();
    change_cell(credential, [](auto& cell) { cell.set_state(cell::Credential::DESTROYING); });
    start();
    EXPECT_TRUE(eventually([&] { return records("key-destroyed").size() == 1; }));
    EXPECT_FALSE(holds(1, key));
    EXPECT_TRUE(destroy(credential));
}

TEST_F(RollCallTest, QSCD_14_ADestroyedKeyThatComesBackWithAnOldCopyIsDestroyedAgain) {
    const auto credential = enrol(anna()), other = enrol(anna());
    ASSERT_EQ(shard_of(credential), 1U);
    const auto key = key_of(credential);
    stop();
    const auto copy = copy_of(1);
    start();
    ASSERT_TRUE(destroy(credential));
    stop();
    tokens.module.reset();
    restore(1, copy);
    tokens.load();
    ASSERT_TRUE(std::ranges::count(tokens.open("qscd-signers-1")->private_keys().value(), key) == 1);
    start();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::credential_disabled);
    EXPECT_TRUE(eventually([&] { return records("key-destroyed").size() == 2; }));
    EXPECT_EQ(field(records("key-destroyed").back(), "reason"), "it was in the token again");
    EXPECT_FALSE(holds(1, key));
    EXPECT_TRUE(signs(other));
}

TEST_F(RollCallTest, QSCD_14_AlsoWhileTheServiceRuns) {
    const auto credential = enrol(anna()), other = enrol(boris());
    ASSERT_EQ(shard_of(credential), 1U);
    const auto key = key_of(credential);
    const auto copy = copy_of(1);
    ASSERT_TRUE(destroy(credential));
    const auto folder = folder_of(1);
    fs::remove_all(folder);
    EXPECT_TRUE(eventually([&] {
        (void)token(1).confirm_gone(key);  // somebody uses it, and finds it away
        return !token(1).reachable();
    }));
    fs::copy(copy, folder, fs::copy_options::recursive);
    wait_until_reachable(token(1));
    EXPECT_TRUE(eventually([&] { return records("key-destroyed").size() == 2; }));
    EXPECT_FALSE(holds(1, key));
    EXPECT_TRUE(signs(other));
}

TEST_F(RollCallTest, QSCD_14_KeysThatAnOldCopyLacksAreTold) {
    enrol(anna());
    stop();
    const auto copy = copy_of(1);
    start();
    Credential newer = enrol(boris());
    if (shard_of(newer) != 1) newer = enrol(boris());
    ASSERT_EQ(shard_of(newer), 1U);
    const auto key = key_of(newer);
    stop();
    tokens.module.reset();
    restore(1, copy);
    tokens.load();
    start();
    EXPECT_TRUE(eventually([&] { return findings("key not there", &key) == 1; }));
    EXPECT_EQ(refusal_of_signing(newer), Errc::internal);
}

TEST_F(RollCallTest, QSCD_16_AKeyWithoutARecordIsAnOrphanAndDestroyed) {
    const auto credential = enrol(anna());
    stop();
    const auto orphan = random_fixed<CkaId>();
    ASSERT_TRUE(tokens.open("qscd-signers-1")->generate(KeyKind::p256, orphan, orphan.hex()));
    start();
    EXPECT_TRUE(eventually([&] { return findings("orphan destroyed", &orphan) == 1; }));
    EXPECT_FALSE(holds(1, orphan));
    EXPECT_TRUE(signs(credential));
}

TEST_F(RollCallTest, QSCD_16_AnOrphanIsLeftWhereACellCannotBeRead) {
    const auto damaged = enrol(anna()), other = enrol(boris());
    const auto key = key_of(damaged);
    stop();
    {
        const auto database = store::Database::open(tokens.store()).value();
        ASSERT_TRUE(
            database->execute("UPDATE blob SET sealed = $1 WHERE idx = (SELECT idx FROM cell WHERE kind = 1 AND "
                              "id = $2)",
                              {store::of(Bytes{1, 2, 3}), store::of(damaged.id.bytes())}));
    }
    start();
    EXPECT_TRUE(eventually([&] { return findings("orphan left alone", &key) == 1; }));
    EXPECT_TRUE(holds(1, key)) << "it may be that cell's";
    EXPECT_TRUE(signs(other));
}

TEST_F(RollCallTest, QSCD_16_AnOrphanIsLeftInATokenThatHeldKeysBeforeItWasOurs) {
    stop();
    shards.push_back({.number = 3, .token = "qscd-signers-3", .module = "softhsm2"});
    const auto strange = random_fixed<CkaId>();
    ASSERT_TRUE(tokens.open("qscd-signers-3")->generate(KeyKind::p256, strange, "somebody's"));
    for (int i = 0; i < 2; ++i) {
        start();
        EXPECT_TRUE(eventually([&] { return findings("orphan left alone", &strange) == std::size_t(i) + 1; }));
        EXPECT_TRUE(holds(3, strange));
        stop();
    }
}

TEST_F(RollCallTest, QSCD_20_AKeyInAnotherShardThanItsRecordSaysIsToldAndNeverUsed) {
    const auto credential = enrol(anna());
    ASSERT_EQ(shard_of(credential), 1U);
    const auto key = key_of(credential);
    stop();
    ASSERT_TRUE(tokens.open("qscd-signers-1")->destroy(key));
    ASSERT_TRUE(tokens.open("qscd-signers-2")->generate(KeyKind::p256, key, key.hex()));
    start();
    EXPECT_TRUE(eventually([&] { return findings("key of another shard", &key) == 1; }));
    EXPECT_TRUE(eventually([&] { return findings("key not there", &key) == 1; }));
    EXPECT_EQ(refusal_of_signing(credential), Errc::internal);
    EXPECT_TRUE(holds(2, key));
}

}  // namespace
}  // namespace qscd::sam
