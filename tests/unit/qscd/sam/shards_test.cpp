// Keys over several tokens: where a key goes, where it is, who may use it. [QSCD-20] [QSCD-21]
#include <cstdlib>
#include <gmock/gmock.h>

#include "tests/unit/qscd/sam/shards_trial.hpp"

namespace qscd::sam {
namespace {

TEST_F(ShardsTest, QSCD_21_NewKeysGoToTheShardsInTurnAndAllSign) {
    std::vector<Credential> all;
    for (int i = 0; i < 4; ++i) all.push_back(enrol(i % 2 == 0 ? anna() : boris()));
    EXPECT_EQ(keys_in(1).size(), 2U);
    EXPECT_EQ(keys_in(2).size(), 2U);
    for (const auto& each : all) {
        EXPECT_TRUE(signs(each));
        EXPECT_TRUE(holds(shard_of(each), key_of(each)));
    }
    stop();
    start();
    for (const auto& each : all) EXPECT_TRUE(signs(each)) << "the record knows where its key is";
}

TEST_F(ShardsTest, QSCD_20_WhereAKeyIsDoesNotHangOnTheOrderOfTheShards) {
    const auto first = enrol(anna()), second = enrol(boris());
    stop();
    std::ranges::reverse(shards);
    start();
    EXPECT_TRUE(signs(first));
    EXPECT_TRUE(signs(second));
}

TEST_F(ShardsTest, QSCD_21_TheProofNamesTheModuleOfTheShard) {
    stop();
    shards[0].accepts_new = false;
    shards[1].module = "another";
    start();
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "48151623", last_code(anna().phone)));
    const auto key = create_key(grant.enrolment);
    ASSERT_TRUE(key);
    pb::KeyProof proof;
    ASSERT_TRUE(proof.ParseFromString(key.value().paper().body()));
    EXPECT_EQ(proof.module_entry(), "another");
}

TEST_F(ShardsTest, QSCD_21_ADrainedShardGetsNoKeyAndSignsOn) {
    const auto old = enrol(anna());
    ASSERT_EQ(shard_of(old), 1U);
    stop();
    shards[0].accepts_new = false;
    start();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(shard_of(enrol(boris())), 2U);
    EXPECT_TRUE(signs(old));
    stop();
    shards[1].accepts_new = false;
    start();
    const auto grant = grant_for(boris());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "48151623", last_code(boris().phone)));
    EXPECT_EQ(create_key(grant.enrolment).error().code, Errc::token_away);
    EXPECT_TRUE(signs(old));
    stop();
    shards[1].accepts_new = true;
    start();
    EXPECT_TRUE(create_key(grant.enrolment)) << "the enrolment waited";
}

TEST_F(ShardsTest, QSCD_21_OneThatIsAwayLeavesTheOthersAlone) {
    const auto here = enrol(anna()), there = enrol(boris());
    ASSERT_EQ(shard_of(here), 1U);
    ASSERT_EQ(shard_of(there), 2U);
    const auto sad = approved(there);
    const auto folder = folder_of(2), hidden = tokens.folder / "hidden";
    fs::rename(folder, hidden);
    EXPECT_EQ(sign(there, sad).error().code, Errc::token_away);
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(signs(here)) << i;
    EXPECT_EQ(shard_of(enrol(anna())), 1U) << "no new key goes where nothing is";
    const auto report = health();
    EXPECT_TRUE(report.tokens()) << "some are there";
    ASSERT_EQ(report.shards_size(), 2);
    EXPECT_TRUE(report.shards(0).usable());
    EXPECT_FALSE(report.shards(1).usable());
    EXPECT_THAT(report.shards(1).detail(), testing::HasSubstr("away"));
    fs::rename(hidden, folder);
    wait_until_reachable(token(2));
    const auto signatures = sign(there, sad);
    ASSERT_TRUE(signatures) << describe(signatures.error()) << ": what was not signed was given back";
    EXPECT_TRUE(signs(here));
}

TEST_F(ShardsTest, QSCD_21_AStartDoesNotWaitForAShardThatIsAway) {
    const auto here = enrol(anna()), there = enrol(boris());
    stop();
    const auto folder = folder_of(2), hidden = tokens.folder / "hidden";
    fs::rename(folder, hidden);
    start();
    EXPECT_TRUE(signs(here));
    EXPECT_EQ(refusal_of_signing(there), Errc::token_away);
    fs::rename(hidden, folder);
    wait_until_reachable(token(2));
    EXPECT_TRUE(signs(there));
}

TEST_F(ShardsTest, QSCD_20_ARecordAndAConfigurationThatDisagreeAreRefused) {
    const auto first = enrol(anna()), second = enrol(boris());
    stop();
    std::swap(shards[0].number, shards[1].number);  // as if a list had been reordered
    start();
    for (const auto& each : {first, second}) EXPECT_EQ(refusal_of_signing(each), Errc::token_away);
    EXPECT_FALSE(health().tokens()) << "each token says which shard it is";
    stop();
    std::swap(shards[0].number, shards[1].number);
    start();
    for (const auto& each : {first, second}) EXPECT_TRUE(signs(each));
}

TEST_F(ShardsTest, QSCD_20_AnOlderRecordWithoutANumberGoesByItsLabel) {
    const auto credential = enrol(anna());
    stop();
    change_cell(credential, [](auto& cell) { cell.set_shard(0); });
    start();
    EXPECT_TRUE(signs(credential));
}

TEST_F(ShardsTest, QSCD_07_AKeyWhoseShardIsAwayAtStartIsSweptByTheNextAttempt) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "48151623", last_code(anna().phone)));
    stop();
    const auto left = random_fixed<CkaId>();
    in_store([&](Ledger& ledger) {
        auto cell = *ledger.credential(ledger.credential_of(grant.enrolment)).value();
        cell.set_state(cell::Credential::KEY_INTENDED);
        cell.set_shard(2);
        cell.set_token("qscd-signers-2");
        cell.set_cka_id(std::string{text_of(left.bytes())});
        ledger.put(cell);
        ledger.record({Event::key_intended, "bootstrap", CredentialId::from(view_of(cell.id()))});
    });
    const auto made = tokens.open("qscd-signers-2")->generate(KeyKind::p256, left, left.hex()).value().public_key;
    const auto folder = folder_of(2), hidden = tokens.folder / "hidden";
    fs::rename(folder, hidden);
    start();
    EXPECT_TRUE(signs(enrol(boris())));
    EXPECT_EQ(create_key(grant.enrolment).error().code, Errc::token_away);
    fs::rename(hidden, folder);
    wait_until_reachable(token(2));
    const auto key = create_key(grant.enrolment);
    ASSERT_TRUE(key) << describe(key.error());
    pb::KeyProof proof;
    ASSERT_TRUE(proof.ParseFromString(key.value().paper().body()));
    EXPECT_NE(bytes_of(proof.public_key()), made);
    EXPECT_EQ(keys_in(2).size(), 1U);
}

// A burst of enrolments: prepared up to the key, so that making it is all that is left.
struct BurstTest : ShardsTest {
    std::vector<EnrolmentId> prepared(int count, KeyKind kind) {
        std::vector<EnrolmentId> out;
        for (int i = 0; i < count; ++i) {
            auto grant = grant_for(boris());
            grant.key_kind = kind;
            EXPECT_TRUE(begin(desk.sign(grant)));
            EXPECT_TRUE(set_factors(grant.enrolment, "48151623", last_code(boris().phone)));
            out.push_back(grant.enrolment);
        }
        return out;
    }
};

TEST_F(BurstTest, QSCD_21_MakesItsKeysWhereNobodySigns) {
    const auto signer = enrol(anna());
    ASSERT_EQ(shard_of(signer), 1U);
    for (const auto& enrolment : prepared(3, KeyKind::p256)) {
        ASSERT_TRUE(signs(signer));  // within the last second
        ASSERT_TRUE(create_key(enrolment));
    }
    EXPECT_EQ(keys_in(1).size(), 1U);
    EXPECT_EQ(keys_in(2).size(), 3U);
}

TEST_F(BurstTest, QSCD_21_CostsRunningSignaturesNoMoreThanHalfTheirRate) {
    if (std::getenv("QSCD_FULL") == nullptr) GTEST_SKIP() << "a measurement: asked for by QSCD_FULL=1";
    const auto signer = enrol(anna());
    const auto enrolments = prepared(8, KeyKind::rsa3072);
    const auto rate_while = [&](const std::function<bool()>& goes_on) {
        const auto begun = std::chrono::steady_clock::now();
        unsigned count = 0;
        for (; goes_on(); ++count) EXPECT_TRUE(signs(signer));
        return count / std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    };
    const auto until = std::chrono::steady_clock::now() + 3s;
    const auto alone = rate_while([&] { return std::chrono::steady_clock::now() < until; });
    std::atomic<std::size_t> made = 0;
    std::vector<std::thread> burst;
    for (const auto& enrolment : enrolments)
        burst.emplace_back([&, enrolment] { made += create_key(enrolment) ? 1U : 0U; });
    const auto meanwhile = rate_while([&] { return made < enrolments.size(); });
    for (auto& each : burst) each.join();
    RecordProperty("ratio_percent", static_cast<int>(100 * meanwhile / alone));
    EXPECT_GE(meanwhile, alone / 2) << alone << " signatures a second alone, " << meanwhile << " in the burst";
}

}  // namespace
}  // namespace qscd::sam
