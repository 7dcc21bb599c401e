// Anchors on a real SoftHSM2 token, in both forms; torn and exchanged files as a crash or a thief leaves them.
#include "hsm/anchor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

#include "base/file.hpp"
#include "tests/unit/hsm/other_owner.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::hsm {
namespace {

namespace fs = std::filesystem;
using Form = Anchors::Form;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct AnchorTest : ::testing::TestWithParam<Form> {
    SoftToken place{"anchor"};
    std::shared_ptr<Module> module = place.load().value();
    std::unique_ptr<Token> token;

    void SetUp() override {
        ASSERT_TRUE(SoftToken::initialise(*module, "sam"));
        token = SoftToken::open(module, "sam").value();
    }

    Anchors anchors() { return Anchors::open(*token, "head").value(); }
    Anchors made() {
        auto out = anchors();
        EXPECT_TRUE(out.create(view_of("genesis"), GetParam()));
        return out;
    }
    // What a restart finds: the module reads its files anew.
    Anchors after_restart() {
        EXPECT_TRUE(module->reinitialise());
        return anchors();
    }
    static std::vector<std::string> texts(const Anchors::Contents& contents) {
        std::vector<std::string> out;
        for (const auto& each : contents.whole) out.emplace_back(text_of(each));
        return out;
    }
    // The files of the token's objects and what is in them.
    std::map<fs::path, std::string> object_files() const {
        std::map<fs::path, std::string> out;
        for (const auto& entry : fs::recursive_directory_iterator{place.tokens()})
            if (entry.path().extension() == ".object" && entry.path().stem() != "token")
                out.emplace(entry.path(), read_file(entry.path()).value());
        return out;
    }
    fs::path file_of(Anchors& writer, std::string_view text) const {
        const auto before = object_files();
        EXPECT_TRUE(writer.write(view_of(text)));
        for (const auto& [path, content] : object_files())
            if (!before.contains(path) || before.at(path) != content) return path;
        ADD_FAILURE() << "nothing was written";
        return {};
    }
};
INSTANTIATE_TEST_SUITE_P(, AnchorTest, ::testing::Values(Form::label, Form::numbered),
                         [](const auto& test) { return test.param == Form::label ? "Label" : "Numbered"; });

TEST_P(AnchorTest, AreAbsentUntilMadeAndMadeOnce) {
    auto first = anchors();
    EXPECT_FALSE(first.present());
    EXPECT_EQ(first.write(view_of("x")).error().code, Errc::out_of_order);
    EXPECT_THAT(texts(first.read().value()), IsEmpty());
    ASSERT_TRUE(first.create(view_of("genesis"), GetParam()));
    EXPECT_EQ(first.form(), GetParam());
    EXPECT_EQ(first.create(view_of("again"), GetParam()).error().code, Errc::configuration);
    EXPECT_EQ(anchors().create(view_of("again")).error().code, Errc::configuration);
    EXPECT_TRUE(token->reachable()) << "a refusal is no wrong PIN";
    EXPECT_FALSE(Anchors::open(*token, "another name").value().present());
}

TEST_P(AnchorTest, HoldTheNewestAndTheOneBefore) {
    auto writer = made();
    EXPECT_THAT(texts(writer.read().value()), ElementsAre("genesis", "genesis"));
    for (const auto* text : {"one", "two", "three"}) {
        ASSERT_TRUE(writer.write(view_of(text)));
    }
    EXPECT_THAT(texts(writer.read().value()), ElementsAre("three", "two"));
    auto restarted = after_restart();
    EXPECT_EQ(restarted.form(), GetParam());
    EXPECT_THAT(texts(restarted.read().value()), ElementsAre("three", "two"));
    EXPECT_EQ(restarted.read().value().damaged, 0u);
    ASSERT_TRUE(restarted.write(view_of("four")));
    EXPECT_THAT(texts(after_restart().read().value()), ElementsAre("four", "three"));
}

TEST_P(AnchorTest, TakeEveryByteAndEveryLengthUpToTheLimit) {
    auto writer = made();
    Bytes all(Anchors::largest_content);
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, all.size() - 1, all.size()}) {
        ASSERT_TRUE(writer.write(ByteView{all}.first(size)));
        EXPECT_EQ(writer.read().value().whole.at(0), Bytes(all.begin(), all.begin() + static_cast<long>(size)));
    }
    all.push_back(0);
    EXPECT_EQ(writer.write(all).error().code, Errc::parameter_invalid);
    EXPECT_EQ(Anchors::open(*token, "long").value().create(all).error().code, Errc::parameter_invalid);
}

TEST_P(AnchorTest, WhateverACrashLeavesOfTheLastWrite_TheOneBeforeIsWhole) {
    for (const double part : {0.0, 0.1, 0.5, 0.9, 0.999}) {
        SCOPED_TRACE(part);
        auto writer = anchors();
        if (!writer.present()) {
            ASSERT_TRUE(writer.create(view_of("genesis"), GetParam()));
        }
        ASSERT_TRUE(writer.write(view_of("before")));
        const auto file = file_of(writer, "torn");
        fs::resize_file(file, static_cast<std::uintmax_t>(static_cast<double>(fs::file_size(file)) * part));
        auto found = after_restart();
        ASSERT_TRUE(found.present());
        const auto contents = found.read().value();
        EXPECT_EQ(texts(contents).at(0), "before");
        EXPECT_GE(contents.damaged, 1u);
        ASSERT_TRUE(found.write(view_of("mended")));
        ASSERT_TRUE(found.write(view_of("mended again")));
        EXPECT_THAT(texts(after_restart().read().value()), ElementsAre("mended again", "mended"));
    }
}

TEST_P(AnchorTest, ADestroyedOneIsCountedAndMadeAgain) {
    auto writer = made();
    const auto file = file_of(writer, "one");
    ASSERT_TRUE(writer.write(view_of("two")));
    fs::remove(file);
    auto found = after_restart();
    const auto contents = found.read().value();
    EXPECT_THAT(texts(contents), ElementsAre("two"));
    EXPECT_EQ(contents.damaged, 1u);
    ASSERT_TRUE(found.write(view_of("three")));
    EXPECT_THAT(texts(found.read().value()), ElementsAre("three", "two"));
}

TEST_P(AnchorTest, AnOlderCopyPutBackIsFoundAsWhatItIs) {
    auto writer = made();
    ASSERT_TRUE(writer.write(view_of("one")));
    ASSERT_TRUE(writer.write(view_of("two")));
    fs::copy(place.tokens(), place.folder / "copy", fs::copy_options::recursive);
    ASSERT_TRUE(writer.write(view_of("three")));
    fs::remove_all(place.tokens());
    fs::copy(place.folder / "copy", place.tokens(), fs::copy_options::recursive);
    auto found = after_restart();
    EXPECT_THAT(texts(found.read().value()), ElementsAre("two", "one")) << "which only a witness outside can know";
    ASSERT_TRUE(found.write(view_of("four"))) << "the folders are others than before: the sync looks for them anew";
    EXPECT_THAT(texts(after_restart().read().value()), ElementsAre("four", "two"));
}

TEST_P(AnchorTest, ALateWriterIsFencedBeforeItTearsAnythingDown) {
    auto old_owner = made();
    ASSERT_TRUE(old_owner.write(view_of("old 1")));
    auto new_owner = anchors();
    ASSERT_TRUE(new_owner.read());
    ASSERT_TRUE(new_owner.write(view_of("new 1")));
    for (int again = 0; again < 2; ++again) {
        const auto late = old_owner.write(view_of("old 2"));
        ASSERT_FALSE(late);
        EXPECT_EQ(late.error().code, Errc::fenced);
    }
    EXPECT_THAT(texts(new_owner.read().value()), ElementsAre("new 1", "old 1"));
    EXPECT_TRUE(new_owner.write(view_of("new 2")));
}

TEST_P(AnchorTest, AnAbsentTokenIsNoAbsentAnchor) {
    auto writer = made();
    fs::rename(place.tokens(), place.folder / "away");
    EXPECT_EQ(writer.write(view_of("x")).error().code, Errc::token_away);
    EXPECT_EQ(writer.read().error().code, Errc::token_away);
    EXPECT_EQ(Anchors::open(*token, "head").error().code, Errc::token_away);
    fs::rename(place.folder / "away", place.tokens());
    while (!token->reachable()) std::this_thread::yield();
    ASSERT_TRUE(writer.write(view_of("back"))) << "the keeper logged in again, and the handles are found anew";
    EXPECT_THAT(texts(writer.read().value()), ElementsAre("back", "genesis"));
}

// In place means: emptied first. Whenever the writer is killed, what it answered last is there, or what it was writing.
TEST_P(AnchorTest, AWriterKilledAtAnyInstantLosesNothingItAnswered) {
    auto anchor = made();
    for (int round = 0; round < 8; ++round) {
        SCOPED_TRACE(round);
        std::uint64_t answered = 0;
        {
            OtherOwner writer{place, "sam"};
            auto line = writer.say("anchor head");
            for (int heard = 1; heard < 3; ++heard) line = writer.hear();
            std::this_thread::sleep_for(std::chrono::microseconds{40 * round});  // into the next write
            writer.kill();
            for (; !line.empty(); line = writer.hear()) answered = std::stoull(line);
        }
        auto found = after_restart();
        const auto contents = found.read().value();
        ASSERT_FALSE(contents.whole.empty());
        const auto newest = std::stoull(std::string{text_of(contents.whole[0])});
        EXPECT_GE(newest, answered);
        EXPECT_LE(newest, answered + 1);
        EXPECT_LE(contents.damaged, 1u);
    }
}

struct AnchorFormTest : AnchorTest {};
INSTANTIATE_TEST_SUITE_P(, AnchorFormTest, ::testing::Values(Form::none), [](const auto&) { return "Asked"; });

TEST_P(AnchorFormTest, SoftHsmTakesLabels) {
    auto writer = made();
    EXPECT_EQ(writer.form(), Form::label);
    EXPECT_EQ(object_files().size(), 2u) << "the trial object is gone";
}

}  // namespace
}  // namespace qscd::hsm
