// How often somebody may be wrong: each limit on both sides, and what it leaves alone.
#include "qscd/sam/activation/limits.hpp"

#include <gtest/gtest.h>

namespace qscd::sam {
namespace {

using namespace std::chrono_literals;

const TimePoint noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h;
const auto portal = ClientId::from("portal").value(), other_portal = ClientId::from("other-portal").value();
constexpr unsigned no_limit_of_its_own = 30;

ClientId portal_numbered(int number) { return ClientId::from("portal-" + std::to_string(number)).value(); }

// One credential, its cell, and a clock.
struct TriesOfACredential : ::testing::Test {
    cell::Credential cell;
    TimePoint now = noon;
    std::optional<Refusal> code(const ClientId& from = portal, unsigned a_day = no_limit_of_its_own) {
        return too_many(cell, from, tries_of_a_code, a_day, now);
    }
    std::optional<Refusal> challenge(const ClientId& from = portal, unsigned a_day = no_limit_of_its_own) {
        return too_many(cell, from, tries_of_a_challenge, a_day, now);
    }
    void wrong_code(const ClientId& from = portal) { count_failed(cell, from, tries_of_a_code, now); }
    void open_challenge(const ClientId& from = portal) { count_failed(cell, from, tries_of_a_challenge, now); }
};

TEST_F(TriesOfACredential, AUTHN_29_NineWrongCodesInTenMinutesAndNoTenth) {
    for (int i = 0; i < 9; ++i) {
        EXPECT_EQ(code(), std::nullopt) << i;
        wrong_code();
        now += 1s;
    }
    EXPECT_EQ(code(), Refusal::credential_burst);
    EXPECT_EQ(code(other_portal), Refusal::credential_burst);
    now = noon + 10min - 1s;
    EXPECT_EQ(code(), Refusal::credential_burst);
    now = noon + 10min;
    EXPECT_EQ(code(), std::nullopt) << "the first one is ten minutes old";
    EXPECT_EQ(challenge(), Refusal::credential_burst) << "and room for one try is no room for three";
}

TEST_F(TriesOfACredential, AUTHN_29_ThreeUnfinishedChallengesInTenMinutesAndNoFourth) {
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(challenge(), std::nullopt) << i;
        open_challenge();
    }
    EXPECT_EQ(challenge(), Refusal::credential_burst);
    now += 10min - 1s;
    EXPECT_EQ(challenge(), Refusal::credential_burst);
    now += 1s;
    EXPECT_EQ(challenge(), std::nullopt);
}

TEST_F(TriesOfACredential, AUTHN_29_FiveUnfinishedChallengesADayFromOnePortalAndOthersGoOn) {
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(challenge(), std::nullopt) << i;
        open_challenge();
        now += 10min;
    }
    EXPECT_EQ(challenge(), Refusal::portal_and_credential);
    EXPECT_EQ(code(), Refusal::portal_and_credential);
    EXPECT_EQ(challenge(other_portal), std::nullopt);
    now = noon + 24h - 1s;
    EXPECT_EQ(challenge(), Refusal::portal_and_credential);
    now = noon + 24h;
    EXPECT_EQ(challenge(), std::nullopt);
}

TEST_F(TriesOfACredential, AUTHN_29_TenUnfinishedChallengesADayFromAllPortals) {
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(challenge(portal_numbered(i)), std::nullopt) << i;
        open_challenge(portal_numbered(i));
        now += 10min;
    }
    EXPECT_EQ(challenge(portal_numbered(10)), Refusal::credential_day);
    EXPECT_EQ(code(portal_numbered(10)), Refusal::credential_day);
    now = noon + 24h;
    EXPECT_EQ(challenge(portal_numbered(10)), std::nullopt);
}

TEST_F(TriesOfACredential, T_08_ThirtyWrongCodesADayWhateverTheirOrderAndNoMore) {
    int tried = 0;
    for (int minute = 0; minute < 24 * 60; ++minute, now += 1min)
        for (int i = 0; i < 100; ++i)
            if (!code(portal_numbered(i))) {
                wrong_code(portal_numbered(i));
                ++tried;
            }
    EXPECT_EQ(tried, 30);
    EXPECT_LE(cell.failed_checks_size(), 30);
}

TEST_F(TriesOfACredential, AUTHN_29_AHundredCompletedChallengesADayPass) {
    for (int i = 0; i < 100; ++i, now += 1min) {
        ASSERT_EQ(challenge(), std::nullopt) << i;
        open_challenge();
        take_back_challenge(cell, portal);
    }
    EXPECT_EQ(cell.failed_checks_size(), 0);
}

TEST_F(TriesOfACredential, AUTHN_29_AThousandRightCodesLeaveTheWrongOnesCounted) {
    for (int i = 0; i < 9; ++i) wrong_code();
    for (int i = 0; i < 1000; ++i) take_back_challenge(cell, portal);
    EXPECT_EQ(code(), Refusal::credential_burst);
}

TEST_F(TriesOfACredential, ACompletedChallengeTakesBackItsOwnPortalsAlone) {
    open_challenge();
    open_challenge(other_portal);
    open_challenge();
    take_back_challenge(cell, other_portal);
    take_back_challenge(cell, other_portal);
    EXPECT_EQ(cell.failed_checks_size(), 2);
    take_back_challenge(cell, portal);
    EXPECT_EQ(cell.failed_checks_size(), 1);
}

TEST_F(TriesOfACredential, AProfileMayAllowFewer) {
    for (int i = 0; i < 4; ++i) {
        EXPECT_EQ(code(portal, 4), std::nullopt);
        wrong_code();
    }
    EXPECT_EQ(code(portal, 4), Refusal::credential_day);
    EXPECT_EQ(code(portal, 5), std::nullopt);
}

TEST_F(TriesOfACredential, AClockSetBackForgetsNothing) {
    for (int i = 0; i < 9; ++i) wrong_code();
    now -= 48h;
    EXPECT_EQ(code(), Refusal::credential_burst);
    wrong_code();
    EXPECT_EQ(cell.failed_checks_size(), 10);
}

TEST_F(TriesOfACredential, WhatIsOlderThanADayIsForgotten) {
    for (int i = 0; i < 9; ++i) wrong_code();
    now += 24h;
    wrong_code();
    EXPECT_EQ(cell.failed_checks_size(), 1);
}

TEST_F(TriesOfACredential, T_13_NoLimitEverTouchesThePin) {
    cell.set_pin_tries_left(3);
    for (int i = 0; i < 1000; ++i) wrong_code();
    EXPECT_EQ(cell.pin_tries_left(), 3u);
}

TEST(MessagesToAPhone, AUTHN_38_TenADayAndNoEleventh) {
    cell::Device phone;
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(too_many_messages(phone, noon), std::nullopt) << i;
        count_message(phone, noon);
    }
    EXPECT_EQ(too_many_messages(phone, noon + 24h - 1s), Refusal::phone);
    EXPECT_EQ(too_many_messages(phone, noon + 24h), std::nullopt);
    count_message(phone, noon + 24h);
    EXPECT_EQ(phone.sms_sent_size(), 1);
}

void fail(Limits& limits, const ClientId& from, TimePoint at, int times) {
    for (int i = 0; i < times; ++i) limits.failed(from, at);
}

TEST(FailedChecks, AUTHN_29_TwentyAMinuteFromOnePortalThenOnlyThatOneWaits) {
    Limits limits;
    for (int i = 0; i < 19; ++i) EXPECT_TRUE(limits.failed(portal, noon).empty());
    EXPECT_EQ(limits.ask(portal, noon), std::nullopt);
    EXPECT_EQ(limits.failed(portal, noon + 1s), std::vector{Refusal::portal}) << "told once";
    EXPECT_TRUE(limits.failed(portal, noon + 2s).empty());
    EXPECT_EQ(limits.ask(portal, noon + 59s), Refusal::portal);
    EXPECT_EQ(limits.ask(other_portal, noon + 59s), std::nullopt);
    EXPECT_EQ(limits.tripped(noon).portals, std::vector<std::string>{"portal"});
    EXPECT_FALSE(limits.tripped(noon).service);
    EXPECT_EQ(limits.ask(portal, noon + 60s), std::nullopt) << "the minute has passed";
    EXPECT_FALSE(limits.tripped(noon + 60s));
}

TEST(FailedChecks, AUTHN_29_AHundredAMinuteOverTheServiceThenEverybodyWaits) {
    Limits limits;
    for (int i = 0; i < 9; ++i) fail(limits, portal_numbered(i), noon, 11);
    EXPECT_EQ(limits.ask(portal, noon), std::nullopt);
    EXPECT_EQ(limits.failed(portal, noon), std::vector{Refusal::service});
    EXPECT_EQ(limits.ask(portal, noon), Refusal::service);
    EXPECT_EQ(limits.ask(other_portal, noon), Refusal::service) << "one that was never wrong, too";
    EXPECT_TRUE(limits.tripped(noon).service);
    EXPECT_TRUE(limits.tripped(noon).portals.empty());
    EXPECT_EQ(limits.ask(other_portal, noon + 60s), std::nullopt);
}

TEST(FailedChecks, T_13_OnePortalAloneDoesNotStopTheOthers) {
    Limits limits;
    int failed = 0;
    for (int i = 0; i < 10'000; ++i)
        if (!limits.ask(portal, noon)) {
            limits.failed(portal, noon);
            ++failed;
        }
    EXPECT_EQ(failed, 20);
    EXPECT_EQ(limits.ask(other_portal, noon), std::nullopt);
}

TEST(FailedChecks, AUTHN_29_InventedPortalsShareTheServicesLimit) {
    Limits limits;
    int failed = 0;
    for (int i = 0; i < 100'000; ++i)
        if (!limits.ask(portal_numbered(i), noon)) {
            limits.failed(portal_numbered(i), noon);
            ++failed;
        }
    EXPECT_EQ(failed, 100);
}

TEST(FailedChecks, AClockSetBackGivesNothingBack) {
    Limits limits;
    fail(limits, portal, noon, 20);
    EXPECT_EQ(limits.ask(portal, noon - 24h), Refusal::portal);
}

// `each_minute` failures a minute, never more than the limit, for so many minutes from `from`.
TimePoint live(FailureRate& rate, TimePoint from, std::chrono::minutes span, unsigned each_minute) {
    const auto until = from + span;
    for (; from < until; from += 1min)
        for (unsigned i = 0; i < each_minute; ++i) rate.count(from);
    return from;
}

constexpr auto half_of_seven_days = std::chrono::minutes{7 * 24 * 60 / 2};

TEST(AdaptiveRate, AUTHN_29_FollowsFiveTimesTheMedianOfSevenDays) {
    FailureRate rate{20};
    const auto midnight = std::chrono::floor<std::chrono::days>(noon);
    auto now = live(rate, midnight, half_of_seven_days - 1min, 14);
    now = live(rate, now, 1min, 1);  // closes the last of them
    EXPECT_EQ(rate.limit(now), 20u) << "one minute short of half";
    now = live(rate, now, 1min, 14);
    rate.count(now);
    EXPECT_EQ(rate.limit(now), 70u);
    EXPECT_EQ(rate.limit(midnight + std::chrono::days{7} - 1s), 70u);
    EXPECT_EQ(rate.limit(midnight + std::chrono::days{7}), 20u) << "its first day is eight days ago";
}

TEST(AdaptiveRate, IsNeverBelowItsFloorAndCountsInQuarterPowersOfTwo) {
    const auto midnight = std::chrono::floor<std::chrono::days>(noon);
    for (const auto [each_minute, limit] :
         {std::pair{3u, 20u}, {4u, 20u}, {5u, 25u}, {7u, 35u}, {9u, 40u}, {19u, 80u}}) {
        FailureRate rate{20};
        const auto now = live(rate, midnight, half_of_seven_days, each_minute);
        rate.count(now);
        EXPECT_EQ(rate.limit(now), limit) << each_minute;
    }
}

TEST(AdaptiveRate, AFloodDoesNotRaiseItsOwnLimit) {
    FailureRate rate{20};
    auto now = noon;
    for (int minute = 0; minute < 7 * 24 * 60; ++minute, now += 1min)
        while (!rate.reached(now)) rate.count(now);
    EXPECT_EQ(rate.limit(now), 20u);
    EXPECT_FALSE(rate.remembers(now));
}

TEST(AdaptiveRate, AMinuteThatNobodyWatchedCountsAsOneWithoutFailures) {
    const auto midnight = std::chrono::floor<std::chrono::days>(noon);
    FailureRate rate{20};
    const auto now = live(rate, midnight, 60min, 19);
    rate.count(now);
    EXPECT_EQ(rate.limit(now), 20u) << "an hour after the start is not yet a habit";
}

TEST(AdaptiveRate, AHabitIsRememberedSevenDays) {
    FailureRate rate{20};
    live(rate, noon, 2min, 10);
    EXPECT_TRUE(rate.remembers(noon + std::chrono::days{6}));
    EXPECT_FALSE(rate.remembers(noon + std::chrono::days{7}));
}

TEST(FailedChecks, MemoryIsBoundedAndQuietPortalsAreForgottenFirst) {
    static_assert(sizeof(FailureRate) < 1024);
    Limits limits;
    auto now = noon;
    for (std::size_t i = 0; i < Limits::most_portals; ++i, now += 1min) limits.failed(portal_numbered(int(i)), now);
    fail(limits, portal, now, 20);
    EXPECT_EQ(limits.ask(portal, now), Refusal::portal) << "in the place of a quiet one";
    EXPECT_EQ(limits.tripped(now).portals, std::vector<std::string>{"portal"});
}

TEST(FailedChecks, PortalsWithoutAPlaceShareOne) {
    Limits limits;
    auto now = noon;
    for (int minute = 0; minute < 50; ++minute, now += 1min)  // a habit worth remembering each
        for (int i = minute * 24; i < minute * 24 + 24 && i < int(Limits::most_portals); ++i)
            fail(limits, portal_numbered(i), now, 4);
    fail(limits, portal_numbered(0), now, 1);
    for (int i = 0; i < int(Limits::most_portals); ++i)
        limits.failed(portal_numbered(i), now + std::chrono::minutes{i});
    now += std::chrono::minutes{Limits::most_portals};
    fail(limits, portal, now, 10);
    fail(limits, other_portal, now, 10);
    EXPECT_EQ(limits.ask(portal, now), Refusal::portal);
    EXPECT_EQ(limits.ask(other_portal, now), Refusal::portal);
    EXPECT_EQ(limits.ask(portal_numbered(3), now), std::nullopt) << "who has a place keeps it";
    EXPECT_EQ(limits.tripped(now).portals, std::vector<std::string>{"(others)"});
}

TEST(FailedChecks, EachRefusalHasAName) {
    for (const auto refusal : {Refusal::service, Refusal::portal, Refusal::portal_and_credential,
                               Refusal::credential_burst, Refusal::credential_day, Refusal::phone})
        EXPECT_FALSE(name_of(refusal).empty());
}

TEST(FailedChecks, APortalThatFailedThisMinuteIsNotForgottenForANewOne) {
    Limits limits;
    for (std::size_t i = 0; i <= Limits::most_portals; ++i)
        limits.failed(ClientId::from("portal-" + std::to_string(i)).value(), noon);
    for (unsigned i = 1; i < Limits::portal_floor; ++i) limits.failed(ClientId::from("portal-0").value(), noon);
    EXPECT_TRUE(limits.ask(ClientId::from("portal-0").value(), noon));
}

}  // namespace
}  // namespace qscd::sam
