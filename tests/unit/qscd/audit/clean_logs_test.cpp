#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/qscd/audit/log_builder.hpp"

namespace qscd::audit {
namespace {

using testing::HasSubstr;

struct CleanLog : ::testing::Test {
    LogBuilder log;
    void expect_clean(const Options& options = {}) {
        const auto report = log.verify(options);
        EXPECT_TRUE(report.clean()) << human_text(report);
    }
};

TEST_F(CleanLog, AUD_14_OfOneEpochVerifiesWithTheAttestationKeyAlone) {
    log.start();
    log.enrol(anna);
    log.sign(anna);
    const auto report = log.verify();
    EXPECT_TRUE(report.clean()) << human_text(report);
    EXPECT_EQ(report.records, log.size());
    EXPECT_EQ(report.epochs, 1U);
    EXPECT_TRUE(report.trial);
    ASSERT_TRUE(report.newest);
    EXPECT_EQ(report.newest->size, log.size());
    EXPECT_EQ(report.newest->epoch, 1U);
    EXPECT_EQ(report.newest->text, log.newest_head());
}

TEST_F(CleanLog, AUD_08_VerifiesAcrossThreeRotationsOfTheHeadKey) {
    for (int epoch = 1; epoch <= 4; ++epoch) {
        log.start();
        log.enrol(std::string(16, static_cast<char>('a' + epoch)));
        log.sign(std::string(16, static_cast<char>('a' + epoch)), "portal", 3);
    }
    expect_clean();
    EXPECT_EQ(log.verify().epochs, 4U);
}

TEST_F(CleanLog, NeedsNoHeadForEachBatch) {  // one a minute stays; the next covers the others
    log.start();
    for (int i = 0; i < 5; ++i) {
        log.record("refused", "portal", "", {{"request", "signHash"}}, "parameter_invalid");
        log.close(i == 4);
    }
    expect_clean();
}

TEST_F(CleanLog, HoldsBatchesOfSilence) {
    log.start();
    log.close();
    log.close();
    expect_clean();
}

TEST_F(CleanLog, HoldsRefusalsForCredentialsThatDoNotExist) {  // they hang on no cell, so nothing chains them
    log.start();
    for (int i = 0; i < 2; ++i) {
        pb::LogRecord record;
        log.lie_in_record = [](pb::LogRecord& each) {
            if (each.has_closing()) return;
            each.set_credential(std::string(16, 'x'));
            each.set_predecessor(0);
        };
        log.record("refused", "portal", "", {{"request", "authorize"}}, "parameter_invalid");
        log.close();
    }
    expect_clean();
}

TEST_F(CleanLog, MayHaveIntentsWhoseOutcomeWasNeverKnown) {
    log.start();
    log.enrol(anna);
    log.record("authorised", "portal", anna, {{"hashes", "1"}});
    log.close();
    const auto intent = log.record("sign-intent", "portal", anna, {{"hashes", "1"}});
    log.close();  // and here it was killed
    log.start();
    log.record("sign-outcome-unknown", "samd", anna, {{"intent", std::to_string(intent)}}, "internal");
    log.close();
    expect_clean();
}

TEST_F(CleanLog, MayTryAgainToMakeAKey) {
    log.start();
    log.record("grant-accepted", "bootstrap", anna);
    const auto first = log.record("key-intended", "bootstrap", anna);
    log.close();
    const auto second = log.record("key-intended", "bootstrap", anna, {{"intent", std::to_string(first)}});
    log.close();
    log.start();
    log.record("key-swept", "samd", anna, {{"intent", std::to_string(second)}});
    log.close();
    expect_clean();
}

// A head was signed and its batch never became durable; the next start did not go on from it. [sam-state 4]
TEST_F(CleanLog, MayHoldAHeadThatTheNextEpochAbandoned) {
    log.start();
    log.enrol(anna);
    const auto size = log.size();
    const auto lost = log.head_over(size + 2, sha256(view_of("another batch")), 1);
    log.start();  // its batch is as long as the lost one
    ASSERT_GE(log.size(), size + 2);
    auto lines = log.lines();
    const auto at = std::ranges::find_if(lines, [seq = size + 1, n = std::uint64_t{0}](const auto& line) mutable {
        return line.starts_with("record ") && n++ == seq;
    });
    lines.insert(at + 1, "head " + to_base64(view_of(lost)));
    const auto report = verify(LogBuilder::sealed(lines), log.attestation_key());
    EXPECT_TRUE(report.clean()) << human_text(report);
    EXPECT_THAT(human_text(report), HasSubstr("epoch 2 did not go on from"));

    const auto held = log.verify({.checkpoint = lost});  // as a checkpoint it is no alarm either
    EXPECT_TRUE(held.clean()) << human_text(held);
}

TEST_F(CleanLog, MayGoOnFromARolledBackStoreWhenPeopleSaidSo) {
    log.start();
    log.enrol(anna);
    log.start({.unsealed = "restored from backup 7", .lie = [](auto& start) { start.set_anchored_size(500); }});
    const auto report = log.verify();
    EXPECT_TRUE(report.clean()) << human_text(report);
    EXPECT_THAT(human_text(report), HasSubstr("let go on by people: restored from backup 7"));
}

TEST_F(CleanLog, MayGoBackInTimeWhenPeopleSaidSo) {
    log.start();
    log.close();
    log.now -= 86'400;
    log.start({.unsealed = "the clock was a day ahead"});
    log.close();
    expect_clean();
}

TEST_F(CleanLog, MaySetItsClockBackALittle) {
    log.start();
    log.now -= clock_tolerance.count() - 2;
    log.close();
    expect_clean();
}

TEST_F(CleanLog, SaysThatATailMayBeMissingUnlessThereIsACheckpoint) {
    log.start();
    log.close();
    EXPECT_THAT(human_text(log.verify()), HasSubstr("cannot be excluded that a later tail was cut off"));
    const auto report = log.verify({.checkpoint = log.newest_head()});
    EXPECT_TRUE(report.clean());
    EXPECT_TRUE(report.notes.empty()) << human_text(report);
}

TEST_F(CleanLog, AUD_11_SaysWhenItsClockFollowedNoSource) {
    log.lie_in_closing = [](pb::Closing& closing) { closing.set_clock("unsynchronised"); };
    log.start();
    log.close();
    EXPECT_THAT(human_text(log.verify()),
                HasSubstr("record 2: from here on the clock followed no source in 2 batches"));
    expect_clean();
}

TEST_F(CleanLog, SaysWhatWasBegunAndHasNoResultYet) {
    log.start();
    log.enrol(anna);
    log.record("authorised", "portal", anna, {{"hashes", "1"}});
    const auto intent = log.record("sign-intent", "portal", anna, {{"hashes", "1"}});
    log.close();
    EXPECT_THAT(human_text(log.verify()),
                HasSubstr("record " + std::to_string(intent) + ": sign-intent has no result yet"));
    expect_clean();
}

TEST_F(CleanLog, GoesOnFromAnOlderCheckpoint) {
    log.start();
    log.enrol(anna);
    const auto old = log.newest_head();
    log.sign(anna);
    log.start();
    expect_clean({.checkpoint = old});
}

TEST_F(CleanLog, IsTheSameInPiecesOfAnySize) {
    log.start();
    log.enrol(anna);
    const auto text = log.text();
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, std::size_t{1000}}) {
        Verifier verifier{log.attestation_key()};
        for (std::size_t at = 0; at < text.size(); at += step) verifier.take(std::string_view{text}.substr(at, step));
        EXPECT_TRUE(verifier.finish().clean()) << step;
    }
}

TEST_F(CleanLog, IsWhatTheWriterWrites) {
    log.start();
    log.enrol(anna);
    ExportWriter writer;
    std::string text;
    for (const auto& line : log.lines()) {
        const auto space = line.find(' ');
        const auto content = from_base64(line.substr(space + 1));
        if (line.starts_with("genesis ")) text += writer.begin(*content);
        if (line.starts_with("record ")) text += writer.record(*content);
        if (line.starts_with("head ")) text += writer.head(qscd::text_of(*content));
    }
    text += writer.end();
    EXPECT_EQ(text, log.text());
}

}  // namespace
}  // namespace qscd::audit
