// Which shard a new key goes to. [QSCD-21]
#include "qscd/sam/placement.hpp"

#include <gtest/gtest.h>
#include <map>

namespace qscd::sam {
namespace {

const KeyWish plain{"lcp", false}, qualified{"qcp", true};

struct Case {
    const char* name;
    std::vector<ShardLoad> shards;
    KeyWish wish;
    unsigned last;
    std::optional<unsigned> goes_to;
};
ShardLoad shard(unsigned number, std::uint64_t keys = 0, std::uint64_t limit = 100) {
    return {.number = number, .profiles = {}, .keys = keys, .limit = limit};
}
template <class Change>
ShardLoad changed(ShardLoad load, Change change) {
    change(load);
    return load;
}
ShardLoad away(ShardLoad load) {
    return changed(load, [](auto& s) { s.usable = false; });
}
ShardLoad drained(ShardLoad load) {
    return changed(load, [](auto& s) { s.accepts_new = false; });
}
ShardLoad busy(ShardLoad load) {
    return changed(load, [](auto& s) { s.busy = true; });
}
ShardLoad no_qscd(ShardLoad load) {
    return changed(load, [](auto& s) { s.for_qscd = false; });
}
ShardLoad only(ShardLoad load, const char* profile) {
    return changed(load, [&](auto& s) { s.profiles = {profile}; });
}

const Case cases[] = {
    {"TheOnlyOne", {shard(1)}, plain, 0, 1},
    {"TheOnlyOneAgain", {shard(1)}, plain, 1, 1},
    {"NoneWithoutShards", {}, plain, 0, std::nullopt},
    {"InTurn", {shard(1), shard(2), shard(3)}, plain, 1, 2},
    {"InTurnFromTheBeginning", {shard(1), shard(2), shard(3)}, plain, 3, 1},
    {"InTurnWhateverTheOrderOfTheList", {shard(7), shard(2), shard(5)}, plain, 2, 5},
    {"InTurnAfterOneThatIsNoMore", {shard(1), shard(9)}, plain, 4, 9},
    {"TheLeastFilled", {shard(1, 5), shard(2, 4), shard(3, 6)}, plain, 2, 2},
    {"TheLeastFilledByItsOwnLimit", {shard(1, 50, 100), shard(2, 60, 1000)}, plain, 0, 2},
    {"FillComparedExactly", {shard(1, 1, 3), shard(2, 333'333'333, 1'000'000'000)}, plain, 1, 2},
    {"NotTheFullOne", {shard(1, 100), shard(2, 99)}, plain, 0, 2},
    {"NoneWhenAllAreFull", {shard(1, 100), shard(2, 101)}, plain, 0, std::nullopt},
    {"NotTheDrainedOne", {drained(shard(1)), shard(2, 99)}, plain, 0, 2},
    {"NotTheOneThatIsAway", {away(shard(1)), shard(2, 99)}, plain, 0, 2},
    {"NoneWhenAllAreAway", {away(shard(1)), away(shard(2))}, plain, 0, std::nullopt},
    {"NotWherePeopleSign", {busy(shard(1)), shard(2, 99)}, plain, 0, 2},
    {"WherePeopleSignWhenTheyDoEverywhere", {busy(shard(1, 9)), busy(shard(2, 3))}, plain, 0, 2},
    {"WherePeopleSignRatherThanNowhere", {busy(shard(1)), drained(shard(2))}, plain, 0, 1},
    {"QscdOnlyWhereTheModuleCounts", {no_qscd(shard(1)), shard(2, 99)}, qualified, 0, 2},
    {"QscdNowhereElse", {no_qscd(shard(1))}, qualified, 0, std::nullopt},
    {"OthersAnywhere", {no_qscd(shard(1))}, plain, 0, 1},
    {"ByProfile", {only(shard(1), "other"), only(shard(2, 99), "lcp")}, plain, 0, 2},
    {"OfNoProfileOfItsOwn", {only(shard(1), "other")}, plain, 0, std::nullopt},
};
struct Placed : ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, Placed, ::testing::ValuesIn(cases), [](const auto& test) { return test.param.name; });
TEST_P(Placed, QSCD_21_AsTheTableSays) {
    const auto& [name, shards, wish, last, goes_to] = GetParam();
    EXPECT_EQ(place(shards, wish, last), goes_to);
    auto backwards = shards;
    std::ranges::reverse(backwards);
    EXPECT_EQ(place(backwards, wish, last), goes_to) << "the order of the list means nothing";
}

TEST(Placement, QSCD_21_FillsShardsInProportionToTheirLimits) {
    std::vector<ShardLoad> shards{shard(1, 0, 100), shard(2, 0, 300), shard(3, 0, 600)};
    unsigned last = 0;
    std::map<unsigned, int> got;
    while (const auto number = place(shards, plain, last)) {
        last = *number;
        ++got[last];
        ++shards.at(last - 1).keys;
        const auto filled = [&](std::size_t i) { return double(shards[i].keys) / double(shards[i].limit); };
        for (std::size_t i = 1; i < shards.size(); ++i) EXPECT_NEAR(filled(0), filled(i), 0.011);
    }
    EXPECT_EQ(got, (std::map<unsigned, int>{{1, 100}, {2, 300}, {3, 600}}));
}

}  // namespace
}  // namespace qscd::sam
