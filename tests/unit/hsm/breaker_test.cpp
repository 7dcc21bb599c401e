// The circuit breaker by itself: when a token is asked, when it is looked at, and how long in between.
#include "hsm/breaker.hpp"

#include <gtest/gtest.h>

namespace qscd::hsm {
namespace {

using namespace std::chrono_literals;

struct BreakerTest : ::testing::Test {
    Breaker breaker;
    Breaker::TimePoint now{1h};
    void open_by_a_look() {
        breaker.failed(now);
        breaker.looked(false, false, now);
        ASSERT_TRUE(breaker.is_open());
    }
};

TEST_F(BreakerTest, QSCD_22_OneFailureIsADoubtAndThreeInARowOpenIt) {
    for (unsigned i = 1; i < Breaker::failures_to_open; ++i) {
        breaker.failed(now);
        EXPECT_TRUE(breaker.admits());
        EXPECT_FALSE(breaker.serves());
        EXPECT_TRUE(breaker.wants_a_look());
        EXPECT_EQ(breaker.next_look(), now) << "at once";
        breaker.looked(true, false, now);
        EXPECT_TRUE(breaker.serves());
    }
    breaker.failed(now);
    EXPECT_FALSE(breaker.admits());
    EXPECT_TRUE(breaker.opened_by_calls());
    EXPECT_EQ(breaker.openings(), 1u);
}

TEST_F(BreakerTest, ASuccessInBetweenBeginsTheCountAnew) {
    for (int i = 0; i < 10; ++i) {
        breaker.failed(now);
        breaker.failed(now);
        breaker.succeeded();
    }
    EXPECT_TRUE(breaker.admits());
    EXPECT_EQ(breaker.openings(), 0u);
}

TEST_F(BreakerTest, TheKeepersOwnLookOpensIt) {
    open_by_a_look();
    EXPECT_FALSE(breaker.opened_by_calls());
    breaker.looked(true, false, now + 1s);
    EXPECT_TRUE(breaker.serves());
}

TEST_F(BreakerTest, PausesGrowUpToASecond) {
    open_by_a_look();
    auto expected = Breaker::first_pause;
    for (int i = 0; i < 12; ++i) {
        EXPECT_EQ(breaker.next_look() - now, expected);
        now = breaker.next_look();
        breaker.looked(false, true, now);
        expected = std::min(expected * 2, Breaker::longest_pause);
    }
    EXPECT_EQ(expected, 1000ms) << "so that the service is back within two";
}

TEST_F(BreakerTest, WhatLooksWellAndFailsWhenCalledIsRenewedFirst) {
    for (int i = 0; i < 3; ++i) breaker.failed(now);
    breaker.looked(true, false, now);
    EXPECT_FALSE(breaker.admits());
    breaker.looked(true, true, now);
    EXPECT_TRUE(breaker.serves());
}

TEST_F(BreakerTest, OnTrialOneFailureOpensItAgainForLonger) {
    for (int i = 0; i < 3; ++i) breaker.failed(now);
    auto pause = Breaker::first_pause;
    for (int again = 0; again < 4; ++again) {
        breaker.looked(true, true, now);
        ASSERT_TRUE(breaker.admits());
        breaker.failed(now);
        EXPECT_FALSE(breaker.admits());
        EXPECT_EQ(breaker.next_look() - now, pause);
        pause *= 2;
    }
    breaker.looked(true, true, now);
    breaker.succeeded();
    breaker.failed(now);
    EXPECT_TRUE(breaker.admits()) << "the trial was passed";
}

TEST_F(BreakerTest, LateAnswersOfWhatWasBegunBeforeChangeNothing) {
    open_by_a_look();
    breaker.succeeded();
    EXPECT_FALSE(breaker.admits());
    const auto next = breaker.next_look();
    breaker.failed(now + 5s);
    EXPECT_EQ(breaker.next_look(), next);
}

TEST_F(BreakerTest, ARefusedPinIsForGood) {
    breaker.refuse();
    breaker.looked(true, true, now);
    breaker.succeeded();
    breaker.failed(now);
    EXPECT_TRUE(breaker.refused());
    EXPECT_FALSE(breaker.admits());
    EXPECT_FALSE(breaker.wants_a_look());
}

}  // namespace
}  // namespace qscd::hsm
