// Daemons killed at random and at every crash point, and power cut, under load; after each, everything must agree.
//   crash_test [--kills N] [--cuts N] [--daemon NAME] [--seed S] [GoogleTest's own flags]
// One deployment for all. The seed fixes what is killed, when, at which passage, and what a power cut leaves; which
// request is under way at that moment stays the machine's.
#include <charconv>
#include <cstdio>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "tests/crash/harness.hpp"

namespace qscd::crash {
namespace {

struct Wanted {
    unsigned kills = 50, cuts = 5;  // of each daemon
    std::string daemon = {};        // empty: all
    std::uint64_t seed = 0;
    bool wants(std::string_view name) const { return daemon.empty() || daemon == name; }
};
Wanted wanted;
std::unique_ptr<Harness> the_harness;
bool lost = false;  // the deployment did not come back: nothing more can be found out

class Deployment : public testing::Environment {
public:
    void SetUp() override { the_harness = std::make_unique<Harness>(wanted.seed); }
    void TearDown() override {
        if (the_harness) std::printf("%s\n", the_harness->progress().c_str());
        the_harness.reset();
    }
};

void expect_nothing(const std::string& round, const std::function<Findings()>& crash) {
    if (lost || !the_harness) GTEST_SKIP() << "an earlier crash, reported above, left nothing to go on with";
    try {
        for (const auto& each : crash()) ADD_FAILURE() << round << ": " << each;
    } catch (const std::exception& error) {
        lost = true;
        ADD_FAILURE() << round << ": " << error.what();
        for (const auto& each : the_harness->found_so_far()) ADD_FAILURE() << round << ": " << each;
    }
}

class KilledAt : public testing::TestWithParam<Point> {};
TEST_P(KilledAt, NothingIsLostAndNothingHappensTwice) {
    if (!wanted.wants(GetParam().daemon())) GTEST_SKIP() << "--daemon asks for another";
    expect_nothing(std::string{GetParam().name}, [] { return the_harness->kill_at(GetParam()); });
}
INSTANTIATE_TEST_SUITE_P(, KilledAt, testing::ValuesIn(points), [](const auto& each) {
    std::string name{each.param.name};
    std::ranges::replace_if(name, [](char c) { return c == '.' || c == '-'; }, '_');
    return name;
});

// Two at once, as it happens.
TEST(KilledAtRandom, NothingIsLostAndNothingHappensTwice) {
    const std::vector<std::vector<std::string>> pairs{{"samd", "rad"}, {"gatewayd", "cad"}};
    for (unsigned round = 0; round < wanted.kills && !HasFailure(); ++round)
        for (const auto& pair : pairs) {
            std::vector<std::string> daemons;
            for (const auto& each : pair)
                if (wanted.wants(each)) daemons.push_back(each);
            if (daemons.empty() || lost) continue;
            expect_nothing("round " + std::to_string(round), [&] { return the_harness->kill_at_random(daemons); });
        }
}

class PowerCutOf : public testing::TestWithParam<std::string_view> {};
TEST_P(PowerCutOf, LosesNothingThatWasAnswered) {
    const std::string daemon{GetParam()};
    if (!wanted.wants(daemon)) GTEST_SKIP() << "--daemon asks for another";
    const auto before = the_harness ? the_harness->loss().total() : 0;
    for (unsigned cut = 0; cut < wanted.cuts && !lost && !HasFailure(); ++cut)
        expect_nothing("cut " + std::to_string(cut), [&] { return the_harness->cut_power_of(daemon); });
    if (the_harness && !lost && wanted.cuts >= 5 && daemon == "samd")
        EXPECT_GT(the_harness->loss().total(), before) << "no cut lost anything";
}
INSTANTIATE_TEST_SUITE_P(, PowerCutOf, testing::ValuesIn(victims),
                         [](const auto& each) { return std::string{each.param}; });

TEST(ZAfterwards, EverythingAgrees) {
    expect_nothing("afterwards", [] { return the_harness->look_closely(); });
    if (lost || !the_harness) return;
    const auto& world = the_harness->world();
    EXPECT_GT(world.signatures, 0U);
    EXPECT_GT(world.enrolled, 0U);
    EXPECT_GT(world.tokens, 0U);
    EXPECT_GT(world.unknown, 0U) << "no crash met a request";
}

bool number_in(const char* text, auto& out) {
    const std::string_view all{text};
    const auto read = std::from_chars(all.data(), all.data() + all.size(), out);
    return read.ec == std::errc{} && read.ptr == all.data() + all.size();
}

bool read_arguments(int argc, char** argv) {
    for (int i = 1; i < argc; i += 2) {
        const std::string name = argv[i];
        if (i + 1 == argc) return false;
        const char* value = argv[i + 1];
        if (name == "--kills" && number_in(value, wanted.kills)) continue;
        if (name == "--cuts" && number_in(value, wanted.cuts)) continue;
        if (name == "--seed" && number_in(value, wanted.seed)) continue;
        if (name == "--daemon" && std::ranges::find(victims, std::string_view{value}) != victims.end()) {
            wanted.daemon = value;
            continue;
        }
        return false;
    }
    return true;
}

}  // namespace
}  // namespace qscd::crash

int main(int argc, char** argv) {
    using namespace qscd::crash;
    const auto random = qscd::random_bytes(4);
    for (const auto byte : random) wanted.seed = wanted.seed << 8U | byte;
    testing::InitGoogleTest(&argc, argv);
    if (!read_arguments(argc, argv)) {
        (void)std::fprintf(stderr,
                           "usage: crash_test [--kills N] [--cuts N] [--daemon samd|cad|rad|gatewayd] [--seed S]\n");
        return 2;
    }
    std::printf("seed %llu\n", static_cast<unsigned long long>(wanted.seed));
    testing::AddGlobalTestEnvironment(new Deployment);
    return RUN_ALL_TESTS();
}
