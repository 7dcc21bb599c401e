// [OPS-12] [T-34] The clock's jumps are seen, both ways, at once or bit by bit; time that passes is none.
#include "base/clock_watch.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd {
namespace {

using namespace std::chrono_literals;

constexpr ClockReading noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h, 90min};

ClockReading after(std::chrono::seconds ran, std::chrono::seconds set_by) {
    return {noon.wall + ran + set_by, noon.ran + ran};
}

struct Jump {
    const char* name;
    std::chrono::seconds by;
    bool seen;
};
const Jump jumps[] = {
    {"None", 0s, false},
    {"OneSecondForward", 1s, false},
    {"OneSecondBack", -1s, false},
    {"FiveSecondsForward", 5s, false},
    {"FiveSecondsBack", -5s, false},
    {"SixSecondsForward", 6s, true},
    {"SixSecondsBack", -6s, true},
    {"OneHourForward", 1h, true},
    {"OneHourBack", -1h, true},
    {"OneYearForward", std::chrono::years{1}, true},
    {"OneYearBack", -std::chrono::years{1}, true},
};
struct ClockJump : testing::TestWithParam<Jump> {};
INSTANTIATE_TEST_SUITE_P(, ClockJump, testing::ValuesIn(jumps), [](const auto& each) { return each.param.name; });

TEST_P(ClockJump, OPS_12_IsSeenWhenItIsMoreThanFiveSeconds) {
    ClockWatch watch;
    watch.look(noon);
    EXPECT_FALSE(watch.jumped());
    EXPECT_EQ(watch.look(after(30s, GetParam().by)), GetParam().by);
    EXPECT_EQ(watch.jumped(), GetParam().seen);
}

TEST_P(ClockJump, OPS_12_LastsUntilTheClocksAgreeAgain) {
    ClockWatch watch;
    watch.look(noon);
    watch.look(after(30s, GetParam().by));
    watch.look(after(24h, GetParam().by));
    EXPECT_EQ(watch.jumped(), GetParam().seen);
    watch.look(after(25h, 0s));
    EXPECT_FALSE(watch.jumped());
}

TEST(ClockWatch, OPS_12_TimeThatPassesIsNoJump) {
    ClockWatch watch;
    for (const auto ran :
         {std::chrono::seconds{0}, std::chrono::seconds{1}, std::chrono::seconds{std::chrono::years{5}}}) {
        watch.look(after(ran, 0s));
        EXPECT_FALSE(watch.jumped());
    }
}

TEST(ClockWatch, OPS_12_ManySmallJumpsAreOneLargeOne) {
    ClockWatch watch;
    for (int n = 0; n <= 5; ++n) watch.look(after(n * 1min, n * 1s));
    EXPECT_FALSE(watch.jumped());
    watch.look(after(6min, 6s));
    EXPECT_TRUE(watch.jumped());
}

TEST(ClockState, AUD_11_IsOneOfTwoWords) {
    EXPECT_TRUE(clock_state() == "synchronised" || clock_state() == "unsynchronised");
    EXPECT_GE(kernel_clock_state().most_wrong, 0us);
}

// The unit tests' clock is the test clock, as in the qscd-*-test daemons.
class Scripted : public testing::Test {
protected:
    Scripted() { ::setenv("QSCD_TEST_CLOCK_FILE", path_.c_str(), 1); }
    ~Scripted() override {
        ::unsetenv("QSCD_TEST_CLOCK_FILE");
        std::filesystem::remove(path_);
    }
    void says(const std::string& text) { ASSERT_TRUE(write_file(path_, text)); }

private:
    std::filesystem::path path_ = std::filesystem::path{testing::TempDir()} / ("clock-" + std::to_string(::getpid()));
};

TEST_F(Scripted, TimeThatPassesMovesBothClocksAndAJumpOne) {
    ClockWatch watch;
    says("+0");
    watch.look(read_process_clocks());
    says("+86400\n");
    EXPECT_NEAR(std::chrono::duration<double>(watch.look(read_process_clocks())).count(), 0, 1);
    says("+86400 jump=-3600");
    EXPECT_NEAR(std::chrono::duration<double>(watch.look(read_process_clocks())).count(), -3600, 1);
    EXPECT_TRUE(watch.jumped());
}

TEST_F(Scripted, TheStateIsWhatTheScriptSays) {
    says("+0 unsynchronised");
    EXPECT_EQ(clock_state(), "unsynchronised");
    says("+0 jump=7 synchronised");
    EXPECT_EQ(clock_state(), "synchronised");
}

}  // namespace
}  // namespace qscd
