// Seeds and what comes of them, with sources that a test holds in its hand.
#include "qscd/sam/secrets.hpp"

#include <gtest/gtest.h>
#include <set>

#include "base/random.hpp"

namespace qscd::sam {
namespace {

using Out = std::span<std::uint8_t>;

struct Sources {
    unsigned draws = 0;  // of the module
    bool away = false, dead = false;
    Secrets::Source kernel = [](Out out) -> Result<void> {
        fill_random(out);
        return success();
    };
    Secrets::Source module = [this](Out out) -> Result<void> {
        ++draws;
        if (away) return Error{Errc::token_away, "C_GenerateRandom"};
        if (dead) std::ranges::fill(out, std::uint8_t{0});
        else fill_random(out);
        return success();
    };
};

Bytes drawn(Secrets& secrets, std::size_t size) {
    Bytes out(size);
    secrets.random()(out);
    return out;
}

TEST(Secrets, QSCD_24_AreNewEachTimeWhateverTheirSize) {
    Sources sources;
    Secrets secrets{sources.kernel, sources.module};
    ASSERT_TRUE(secrets.ready());
    std::set<Bytes> seen;
    for (const std::size_t size : {16u, 20u, 31u, 32u, 33u, 64u, 100u})
        for (int i = 0; i < 50; ++i) EXPECT_TRUE(seen.insert(drawn(secrets, size)).second) << size;
    EXPECT_TRUE(drawn(secrets, 0).empty());
    const auto large = drawn(secrets, 96);  // no block of it comes twice
    std::set<Bytes> blocks;
    for (auto at = large.begin(); at != large.end(); at += 32) EXPECT_TRUE(blocks.insert(Bytes(at, at + 32)).second);
}

TEST(Secrets, QSCD_24_OneSeedServesSomeFlowsAndNoMore) {
    Sources sources;
    Secrets secrets{sources.kernel, sources.module, 3};
    for (unsigned flow = 0; flow < 9; ++flow) {
        ASSERT_TRUE(secrets.ready());
        EXPECT_EQ(sources.draws, flow / 3 + 1);
        drawn(secrets, 32);
    }
}

TEST(Secrets, QSCD_24_ASourceThatFailsStopsThemUntilItIsBack) {
    Sources sources;
    Secrets secrets{sources.kernel, sources.module, 2};
    ASSERT_TRUE(secrets.ready());
    sources.away = true;
    EXPECT_TRUE(secrets.ready()) << "its seed is still good";
    for (int i = 0; i < 3; ++i) EXPECT_EQ(secrets.ready().error().code, Errc::token_away);
    EXPECT_EQ(secrets.condition().error().code, Errc::token_away);
    sources.away = false;
    EXPECT_TRUE(secrets.ready());
    EXPECT_TRUE(secrets.condition());
}

TEST(Secrets, QSCD_24_ASourceThatRepeatsItselfStopsThemForGood) {
    for (const bool kernel : {true, false}) {
        Sources sources;
        Secrets secrets{kernel ? sources.module : sources.kernel, kernel ? sources.kernel : sources.module, 1};
        ASSERT_TRUE(secrets.ready());
        sources.dead = true;
        EXPECT_EQ(secrets.ready().error().code, Errc::internal);
        sources.dead = false;
        EXPECT_EQ(secrets.ready().error().code, Errc::internal) << "also when it is sound again";
        EXPECT_EQ(secrets.condition().error().code, Errc::internal);
    }
}

TEST(SecretsDeathTest, QSCD_24_WithoutASeedTheProcessStops) {
    Sources sources;
    Secrets secrets{sources.kernel, sources.module};
    EXPECT_DEATH(drawn(secrets, 1), "");
    sources.away = true;
    ASSERT_FALSE(secrets.ready());
    EXPECT_DEATH(drawn(secrets, 1), "");
}

}  // namespace
}  // namespace qscd::sam
