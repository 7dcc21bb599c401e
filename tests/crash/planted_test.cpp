// The harness can fail: bugs planted in real daemons, or in what they stand on, are found.
#include <gtest/gtest.h>

#include "tests/crash/harness.hpp"

namespace qscd::crash {
namespace {

// Whether one of so many rounds finds something, or the deployment does not come back.
bool found(const std::function<Findings()>& round, int rounds) {
    for (int i = 0; i < rounds; ++i) {
        try {
            const auto findings = round();
            if (findings.empty()) continue;
            std::printf("found in round %d: %s\n", i, findings.front().c_str());
        } catch (const std::exception& error) {
            std::printf("found in round %d: %s\n", i, error.what());
        }
        return true;
    }
    return false;
}

// As `PRAGMA synchronous=OFF` would be, or a disk with a cache that it does not speak of.
TEST(Planted, ADiskOfSamdThatForgetsSyncsIsFound) {
    Harness harness{1, "lying-sync", "samd"};
    EXPECT_TRUE(found([&] { return harness.cut_power_of("samd"); }, 40));
}
TEST(Planted, ADiskOfRadThatForgetsSyncsIsFound) {
    Harness harness{2, "lying-sync", "rad"};
    EXPECT_TRUE(found([&] { return harness.cut_power_of("rad"); }, 40));
}

// A module that confuses keys: samd sees it, and so does the harness.
TEST(Planted, AModuleThatSignsWithAnotherKeyIsFound) {
    Harness harness{3};
    harness.instruments().command_spy("permute-handles\n");
    EXPECT_TRUE(found([&] { return harness.look_closely(); }, 3));
}

}  // namespace
}  // namespace qscd::crash
