// The gate before a module: who is inside is waited for, who hangs is not.
#include "hsm/gate.hpp"

#include <future>
#include <gtest/gtest.h>
#include <shared_mutex>

namespace qscd::hsm {
namespace {

using namespace std::chrono_literals;

TEST(GateTest, ManyAreInsideAtOnce) {
    Gate gate;
    const std::shared_lock<Gate> one{gate};
    EXPECT_EQ(std::async(std::launch::async, [&] { return std::shared_lock<Gate>{gate}.owns_lock(); }).get(), true);
}

TEST(GateTest, IsClosedWhenTheLastHasLeftAndOpenAgainAfterwards) {
    Gate gate;
    std::promise<void> inside, leave;
    auto caller = std::async(std::launch::async, [&] {
        const std::shared_lock<Gate> one{gate};
        inside.set_value();
        leave.get_future().wait();
    });
    inside.get_future().wait();
    auto closing = std::async(std::launch::async, [&] { return gate.try_close_for(10s); });
    leave.set_value();
    EXPECT_TRUE(closing.get());
    caller.get();
    auto next = std::async(std::launch::async, [&] { const std::shared_lock<Gate> one{gate}; });
    EXPECT_EQ(next.wait_for(20ms), std::future_status::timeout);
    gate.open();
    EXPECT_EQ(next.wait_for(10s), std::future_status::ready);
}

TEST(GateTest, QSCD_21_WhoNeverLeavesKeepsNobodyElseOut) {
    Gate gate;
    const std::shared_lock<Gate> hangs{gate};
    EXPECT_FALSE(gate.try_close_for(10ms));
    auto next = std::async(std::launch::async, [&] { const std::shared_lock<Gate> one{gate}; });
    EXPECT_EQ(next.wait_for(10s), std::future_status::ready);
}

TEST(GateTest, ComersDoNotHoldUpWhoWantsToBeAlone) {
    Gate gate;
    std::atomic<bool> stop = false;
    std::vector<std::future<void>> comers;
    for (int i = 0; i < 3; ++i)
        comers.push_back(std::async(std::launch::async, [&] {
            while (!stop) const std::shared_lock<Gate> one{gate};
        }));
    EXPECT_TRUE(gate.try_close_for(10s));
    stop = true;
    gate.open();
}

TEST(GateTest, WhoIsInsideMayEnterAgainWhileItIsBeingClosed) {
    Gate gate;
    std::promise<void> inside, closing;
    auto caller = std::async(std::launch::async, [&] {
        const std::shared_lock<Gate> one{gate};
        inside.set_value();
        closing.get_future().wait();
        const std::shared_lock<Gate> again{gate};
    });
    inside.get_future().wait();
    auto closed = std::async(std::launch::async, [&] {
        closing.set_value();
        return gate.try_close_for(10s);
    });
    EXPECT_TRUE(closed.get());
    caller.get();
}

// A module that lives as long as the process is left after the thread's own objects have ended.
TEST(GateTest, IsPassedByWhatEndsWithTheProcess) {
    EXPECT_EXIT(
        {
            static Gate gate;
            struct Last {
                ~Last() { const std::shared_lock inside{gate}; }
            };
            static const Last last;
            { const std::shared_lock inside{gate}; }
            std::exit(0);
        },
        testing::ExitedWithCode(0), "");
}

TEST(GateTest, ManyTimesInsideIsABug) {
    Gate gate;
    std::vector<std::shared_lock<Gate>> held;
    EXPECT_THROW(for (int i = 0; i < 100; ++i) held.emplace_back(gate), std::logic_error);
    EXPECT_GE(held.size(), 2U);
    held.clear();
    EXPECT_TRUE(gate.try_close_for(std::chrono::milliseconds{1}));
    gate.open();
}

}  // namespace
}  // namespace qscd::hsm
