// Two sources, each of which may die in its own way; the module's through the spy on a real SoftHSM2.
#include "hsm/mixed_random.hpp"

#include <gtest/gtest.h>
#include <set>

#include "base/random.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

using Out = std::span<std::uint8_t>;

Result<void> sound(Out out) {
    fill_random(out);
    return success();
}
MixedRandom::Source filling(Bytes pattern) {
    return [pattern = std::move(pattern)](Out out) -> Result<void> {
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = pattern[i % pattern.size()];
        return success();
    };
}
// Sound for `calls` draws, then the same block over and over.
MixedRandom::Source dying_after(unsigned calls) {
    return [calls, drawn = 0u, last = Bytes{}](Out out) mutable -> Result<void> {
        if (drawn++ < calls) {
            fill_random(out);
            last.assign(out.begin(), out.end());
        }
        std::ranges::copy(last, out.begin());
        return success();
    };
}

TEST(MixedRandomTest, GivesTheSizeAskedForAndNeverTheSameTwice) {
    MixedRandom random{sound, sound};
    std::set<Bytes> seen;
    for (const std::size_t size : {std::size_t{16}, std::size_t{20}, std::size_t{32}, MixedRandom::largest}) {
        for (int i = 0; i < 50; ++i) {
            const auto secret = random.secret(size).value();
            EXPECT_EQ(secret.size(), size);
            EXPECT_TRUE(seen.emplace(secret.reveal().begin(), secret.reveal().end()).second);
        }
    }
    EXPECT_EQ(random.secret(0).error().code, Errc::parameter_invalid);
    EXPECT_EQ(random.secret(MixedRandom::largest + 1).error().code, Errc::parameter_invalid);
    EXPECT_TRUE(random.fixed<Nonce>());
}

// Sources whose bytes are known: a counter in each block keeps the watch quiet.
MixedRandom::Source counting(std::uint8_t start) {
    return [block = start](Out out) mutable -> Result<void> {
        for (std::size_t i = 0; i < out.size(); ++i) {
            if (i % 16 == 0) ++block;
            out[i] = static_cast<std::uint8_t>(block + i % 16);
        }
        return success();
    };
}
TEST(MixedRandomTest, EverySourceChangesWhatComesOut) {
    const auto from = [](std::uint8_t kernel, std::uint8_t module) {
        MixedRandom random{counting(kernel), counting(module)};
        const auto secret = random.secret(32).value();
        return Bytes(secret.reveal().begin(), secret.reveal().end());
    };
    const auto base = from(1, 100);
    EXPECT_EQ(base, from(1, 100));
    EXPECT_NE(base, from(2, 100));
    EXPECT_NE(base, from(1, 101));
    EXPECT_NE(base, from(100, 1)) << "which source said what counts";
}

struct Dead {
    const char* name;
    MixedRandom::Source source;
};
struct DeadSource : ::testing::TestWithParam<Dead> {};
INSTANTIATE_TEST_SUITE_P(, DeadSource,
                         ::testing::Values(Dead{"Zeros", filling({0})}, Dead{"Ones", filling({0xff})},
                                           Dead{"AByte", filling({0x5a})}, Dead{"TwoBytes", filling({1, 2})},
                                           Dead{"SixteenBytes", filling(random_bytes(16))},
                                           Dead{"TheSameDraw", dying_after(1)}, Dead{"LaterOn", dying_after(3)}),
                         [](const auto& test) { return test.param.name; });

TEST_P(DeadSource, QSCD_24_StopsGenerationForGoodOnEitherSide) {
    for (const bool kernel : {true, false}) {
        MixedRandom random{kernel ? GetParam().source : sound, kernel ? sound : GetParam().source};
        Result<SecretBytes> last = random.secret(32);
        for (int i = 0; i < 4 && last; ++i) last = random.secret(32);
        ASSERT_FALSE(last);
        EXPECT_EQ(last.error().code, Errc::internal);
        EXPECT_EQ(random.secret(32).error().code, Errc::internal) << "for good";
    }
}

TEST(MixedRandomTest, QSCD_24_TwoSourcesThatAreOneStopIt) {
    MixedRandom random{counting(1), counting(1)};
    EXPECT_EQ(random.secret(32).error().code, Errc::internal);
    EXPECT_EQ(random.secret(32).error().code, Errc::internal);
}

TEST(MixedRandomTest, QSCD_24_ASourceThatFailsMakesNoSecretAndMayComeBack) {
    bool away = true;
    MixedRandom random{sound, [&](Out out) -> Result<void> {
                           if (away) return Error{Errc::token_away, "C_GenerateRandom"};
                           return sound(out);
                       }};
    EXPECT_EQ(random.secret(32).error().code, Errc::token_away);
    away = false;
    EXPECT_TRUE(random.secret(32));
}

TEST(MixedRandomTest, QSCD_24_TheModulesGeneratorIsWatched) {
    const SpiedToken place{"mixed-random"};
    const auto module = place.load_spied().value();
    ASSERT_TRUE(SoftToken::initialise(*module, "sam"));
    const auto token = SoftToken::open(module, "sam", 1).value();
    for (const auto* fault : {"stuck-random 00", "stuck-random 0123456789", "stuck-random repeat"}) {
        SCOPED_TRACE(fault);
        MixedRandom random{*token};
        ASSERT_TRUE(random.secret(32));
        place.command(std::string{fault} + "\n");
        Result<SecretBytes> last = random.secret(32);
        if (last) last = random.secret(32);
        place.command("");
        ASSERT_FALSE(last);
        EXPECT_EQ(last.error().code, Errc::internal);
        EXPECT_FALSE(random.secret(32)) << "also when the source is sound again";
    }
    MixedRandom random{*token};
    place.command("C_GenerateRandom 1 0x120\n");  // CKR_RANDOM_SEED_NOT_SUPPORTED
    EXPECT_FALSE(random.secret(32));
    place.command("");
    EXPECT_TRUE(random.secret(32));
}

}  // namespace
}  // namespace qscd::hsm
