// Every start is a takeover: what a start goes on from, what it stays sealed at, and what an older owner can still do.
#include "hsm/anchor.hpp"
#include "qscd/genesis/genesis.hpp"
#include "tests/unit/qscd/sam/state/owner.hpp"

namespace qscd::sam {
namespace {

struct TakeoverTest : StateTest {};

std::size_t head_keys(hsm::Token& token) { return token.keys("head-").value().size(); }

TEST_F(TakeoverTest, EachStartIsAnEpochWithAHeadKeyOfItsOwn) {
    for (std::uint64_t epoch = 1; epoch <= 3; ++epoch) {
        start();
        EXPECT_EQ(owner.ledger->epoch(), epoch);
        EXPECT_EQ(head_keys(*owner.token), 1u) << "the older ones are destroyed";
        if (epoch < 3) stop();
    }
    const auto starts = records("started");
    ASSERT_EQ(starts.size(), 3u);
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const auto paper = protocol::verify_epoch_start(starts[i].start(), owner.keys->attestation());
        ASSERT_TRUE(paper);
        EXPECT_EQ(paper.value()->epoch(), i + 1);
        EXPECT_EQ(paper.value()->accepted_head().empty(), i == 0);
    }
    EXPECT_EQ(field(starts[0], "after"), "genesis");
    EXPECT_EQ(field(starts[1], "after"), "a clean stop");
}

TEST_F(TakeoverTest, SAM_23_AnUncleanEndRaisesTheFloorOfAppSteps) {
    start();
    EXPECT_EQ(owner.ledger->floors().app_steps(), 0);
    restart();
    EXPECT_EQ(owner.ledger->floors().app_steps(), 0) << "a clean stop lost nothing";
    crash();
    clock.advance(10s);
    start();
    EXPECT_EQ(owner.ledger->floors().app_steps(), unix_seconds(clock.now()));
    EXPECT_EQ(field(records("started").back(), "after"), "an unclean end");
    clock.advance(60s);
    restart();
    EXPECT_EQ(owner.ledger->floors().app_steps(), unix_seconds(clock.now() - 60s)) << "a floor never falls";
}

TEST_F(TakeoverTest, SAM_23_MoreThanThreeUncleanStartsADayAreSealed) {
    start();
    for (int unclean = 1; unclean <= 3; ++unclean) {
        crash();
        clock.advance(60s);
        start();
    }
    crash();
    clock.advance(24h - 240s);
    EXPECT_EQ(refused_start(), Errc::sealed);
    EXPECT_NE(why.find("unclean"), std::string::npos) << why;
    start(Unseal{"the power supply was replaced"});
    EXPECT_EQ(field(records("unsealed").back(), "reason"), "the power supply was replaced");
    crash();
    start();
}

TEST_F(TakeoverTest, SAM_23_UncleanStartsAreForgottenAfterADay) {
    start();
    for (int unclean = 1; unclean <= 10; ++unclean) {
        crash();
        clock.advance(9h);
        start();
    }
}

TEST_F(TakeoverTest, OPS_03_AnOlderStoreIsSealedAndPeopleLetItGoOnWithEveryPinLocked) {
    start();
    const auto anna = put();
    stop();
    const auto old = snapshot();
    start();
    change(anna, "sms");
    stop();
    restore(old);
    EXPECT_EQ(refused_start(), Errc::sealed);
    EXPECT_NE(why.find("older than its anchor"), std::string::npos) << why;
    EXPECT_EQ(refused_start(), Errc::sealed) << "and again";
    start(Unseal{"restored from backup"});
    EXPECT_EQ(owner.ledger->credential(anna).value()->profile(), "totp");
    EXPECT_EQ(owner.ledger->floors().locked_before(), owner.ledger->epoch());
    const auto told = records("unsealed");
    ASSERT_EQ(told.size(), 1u);
    EXPECT_NE(field(told[0], "anchored_size"), field(told[0], "accepted_size")) << "the gap is on record";
    restart();
    EXPECT_EQ(owner.ledger->floors().locked_before(), owner.ledger->epoch() - 1) << "for ever";
}

TEST_F(TakeoverTest, OPS_03_EveryRestoreOfTheStoreAloneIsSeen) {
    start();
    const auto anna = put();
    std::vector<instruments::Contents> snapshots;
    for (int step = 0; step < 50; ++step) {
        change(anna, std::to_string(step));
        stop();
        snapshots.push_back(snapshot());
        start();
    }
    stop();
    for (const auto& each : snapshots) {
        restore(each);
        EXPECT_EQ(refused_start(), Errc::sealed) << &each - snapshots.data();
    }
}

TEST_F(TakeoverTest, AnEmptyStoreWithAnAnchorIsSealedForEver) {
    start();
    stop();
    restore({});
    EXPECT_EQ(refused_start(), Errc::sealed);
    EXPECT_EQ(refused_start(Unseal{"please"}), Errc::sealed) << "no word of people makes it a fresh one";
}

// The token's object files that two commits change: the anchors.
std::map<std::filesystem::path, std::string> object_files(const TrialModule& tokens) {
    std::map<std::filesystem::path, std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator{tokens.folder / "tokens"})
        if (entry.path().extension() == ".object") out[entry.path()] = read_file(entry.path()).value();
    return out;
}

struct AnAnchor : StateTest {
    std::map<std::filesystem::path, std::string> anchors;  // as they were two commits ago

    AnAnchor() {
        start();
        put();
        commit();
        const auto before = object_files(tokens);
        commit();
        commit();
        for (const auto& [path, content] : object_files(tokens))
            if (before.at(path) != content) anchors[path] = before.at(path);
        stop();
    }
    void replace(std::size_t which, const std::function<std::string(const std::string&)>& change) {
        const auto& path = std::next(anchors.begin(), static_cast<std::ptrdiff_t>(which))->first;
        EXPECT_TRUE(write_file(path, change(read_file(path).value()), 0600));
    }
};

TEST_F(AnAnchor, IsTwoObjects) { ASSERT_EQ(anchors.size(), 2u); }

TEST_F(AnAnchor, TornLeavesTheOtherToGoOnFrom) {
    replace(0, [](const std::string& content) { return content.substr(0, content.size() / 2); });
    ASSERT_TRUE(tokens.module->reinitialise());
    start();
}

TEST_F(AnAnchor, EmptiedTwiceLeavesNothingToGoOnFrom) {
    for (std::size_t which : {0u, 1u}) replace(which, [](const std::string&) { return std::string{}; });
    ASSERT_TRUE(tokens.module->reinitialise());
    EXPECT_NE(refused_start(), Errc{});
    EXPECT_NE(refused_start(Unseal{"please"}), Errc{}) << "and no word of people makes one";
}

TEST_F(AnAnchor, OfAnOlderCopyPutBackIsOverruledByTheOther) {
    auto older = anchors;
    EXPECT_TRUE(write_file(older.begin()->first, older.begin()->second, 0600));
    ASSERT_TRUE(tokens.module->reinitialise());
    start();
}

TEST_F(TakeoverTest, OPS_12_AClockSetBackBeforeTheStartIsSealed) {
    start();
    stop();
    clock.advance(-10s);
    EXPECT_EQ(refused_start(), Errc::sealed);
    EXPECT_NE(why.find("clock"), std::string::npos) << why;
    clock.advance(9s);
    start();
}

TEST_F(TakeoverTest, ACommitThatTheAnchorMissedIsGoneOnFrom) {
    start();
    const auto anna = put();
    stop();
    const auto behind = tokens.folder / "behind";
    std::filesystem::copy(tokens.folder / "tokens", behind, std::filesystem::copy_options::recursive);
    start();  // its batch is durable; its anchor, as if the power went before it was written:
    crash();
    std::filesystem::remove_all(tokens.folder / "tokens");
    std::filesystem::rename(behind, tokens.folder / "tokens");
    ASSERT_TRUE(tokens.module->reinitialise());
    start();
    EXPECT_TRUE(owner.ledger->credential(anna).value());
    EXPECT_EQ(owner.ledger->epoch(), 3u) << "the number of an epoch is not used twice";
}

TEST_F(TakeoverTest, ACommitThatFailedAndComesBackWithASnapshotIsAnotherHistory) {
    start();
    const auto anna = put();
    commit();
    const auto before = snapshot();
    change(anna, "sms");  // durable and never answered …
    ASSERT_TRUE(owner.ledger->commit());
    crash();
    const auto with_it = snapshot();
    restore(before);  // … the start that follows does not know it, but its anchor does
    EXPECT_EQ(refused_start(), Errc::sealed);
    restore(with_it);
    start();
    EXPECT_EQ(owner.ledger->credential(anna).value()->profile(), "sms");
}

TEST_F(TakeoverTest, SAM_24_TheOldOwnerCommitsNothingAfterATakeover) {
    start();
    const auto anna = put();
    commit();
    Owner successor;
    ASSERT_TRUE(take_over(successor));
    owner.ledger->record({Event::sign_intent, "portal", anna});
    const auto refused = owner.ledger->commit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::fenced) << describe(refused.error());
    successor.ledger->record({Event::key_created, "samd", anna});
    EXPECT_TRUE(successor.ledger->commit());
    EXPECT_EQ(head_keys(*successor.token), 1u);
}

// A store whose owner is stopped once: before its batch is written, or between that and the anchor.
struct Late : SqlStateStore {
    using SqlStateStore::SqlStateStore;
    std::function<void()> before = [] {}, after = [] {};
    Result<void> write(const Batch& batch) override {
        std::exchange(before, [] {})();
        auto written = SqlStateStore::write(batch);
        std::exchange(after, [] {})();
        return written;
    }
};

// The old owner is stopped between its head's signature and its commit, and goes on after the takeover.
TEST_F(TakeoverTest, SAM_24_ALateCommitOfAPausedOwnerIsAConflict) {
    start();
    const auto anna = put();
    commit();
    owner.ledger.reset();
    Late late{*owner.database};
    auto paused = Ledger::open(late, *owner.keys, clock).value();
    ASSERT_TRUE(paused->commit());
    Owner successor;
    late.before = [&] { ASSERT_TRUE(take_over(successor)); };
    paused->record({Event::sign_intent, "portal", anna});
    const auto refused = paused->commit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::fenced);
    const auto all = successor.ledger->records(0, 1000, 1'000'000).value();
    for (const auto& bytes : all)
        EXPECT_NE(protocol::decode<pb::LogRecord>(bytes).value().type(), "sign-intent") << "nothing of it stays";
}

// … and between its commit and its anchor: the anchor that it writes late must not hide what came since.
TEST_F(TakeoverTest, SAM_24_ALateAnchorOfAPausedOwnerIsRefused) {
    start();
    const auto anna = put();
    commit();
    owner.ledger.reset();
    Late late{*owner.database};
    auto paused = Ledger::open(late, *owner.keys, clock).value();
    ASSERT_TRUE(paused->commit());
    Owner successor;
    late.after = [&] { ASSERT_TRUE(take_over(successor)); };
    paused->record({Event::sign_intent, "portal", anna});
    const auto refused = paused->commit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::fenced) << describe(refused.error());
    EXPECT_TRUE(successor.ledger->open_intent(anna, false)) << "the new owner accepted it, and knows it is open";
    successor.ledger->record({Event::stopped, "samd"});
    ASSERT_TRUE(successor.ledger->commit());
    successor = {};
    paused.reset();
    owner = {};
    start();
}

TEST_F(TakeoverTest, AnEpochsNumberThatTheStoreInventsIsNotBelieved) {
    start();
    stop();
    mutate("UPDATE head SET text = replace(text, 'head-1', 'head-7')");
    EXPECT_EQ(refused_start(), Errc::sealed);
}

}  // namespace
}  // namespace qscd::sam
