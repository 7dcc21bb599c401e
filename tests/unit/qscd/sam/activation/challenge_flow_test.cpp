// A challenge: what is refused before a message is sent, and when its code leaves. [AUTHN-11] [AUTHN-14]
#include "tests/unit/qscd/sam/activation/by_hand.hpp"

namespace qscd::sam::bench {
namespace {

const Refused refused_challenges[] = {
    {"StillEnrolling", Errc::parameter_invalid,
     [](auto& sam, auto&) { sam.durable.anna.set_state(cell::Credential::KEY); }},
    {"UnknownProfile", Errc::internal, [](auto& sam, auto&) { sam.durable.anna.set_profile("none"); }},
    {"Disabled", Errc::credential_disabled,
     [](auto& sam, auto&) { sam.durable.anna.set_state(cell::Credential::DISABLED); }},
    {"Expired", Errc::certificate_expired, [](auto& sam, auto&) { sam.durable.anna.set_not_after(1); }},
    {"OfAPageProfile", Errc::access_denied, [](auto& sam, auto&) { sam.durable.anna.set_profile("page"); }},
    {"OfAnApp", Errc::parameter_invalid,
     [](auto& sam, auto&) { sam.durable.anna.set_app_device(sam.durable.anna.phone_device()); }},
    {"OfAnotherFactor", Errc::parameter_invalid, [](auto&, auto& ask) { ask.code = "TOTP"; }},
    {"OfAProfileWithoutSms", Errc::parameter_invalid, [](auto& sam, auto&) { sam.durable.anna.set_profile("totp"); }},
    {"TooManyHashes", Errc::too_many_signatures, [](auto&, auto& ask) { ask.hashes.assign(101, hash_of('a')); }},
    {"WithoutHashesOutsideTrial", Errc::hashes_empty, [](auto&, auto& ask) { ask.hashes.clear(); }, "lcp"},
    {"OverThePortalsLimit", Errc::too_many_requests, [](auto& sam, auto&) { reach_portal_limit(sam); }},
    {"OverTheCredentialsLimit", Errc::too_many_requests,
     [](auto& sam, auto&) { count_failed(sam.durable.anna, portal, 7, sam.now); }},
    {"OverThePhonesLimit", Errc::too_many_requests,
     [](auto& sam, auto&) {
         for (int i = 0; i < messages_a_day; ++i) count_message(sam.durable.device, sam.now);
     }},
};
struct RefusedChallenge : ::testing::TestWithParam<Refused> {};
INSTANTIATE_TEST_SUITE_P(, RefusedChallenge, ::testing::ValuesIn(refused_challenges),
                         [](const auto& test) { return test.param.name; });
TEST_P(RefusedChallenge, AUTHN_14_SendsNothing) {
    Sam sam{std::string_view{GetParam().profile} == "totp" ? "sms" : GetParam().profile};
    Sam::Ask ask{.code = "SMS"};
    GetParam().make(sam, ask);
    sam.staged = sam.durable;
    const auto before = sam.durable.anna.SerializeAsString(), device = sam.durable.device.SerializeAsString();
    const auto opened = sam.open_challenge(ask.hashes, Fault::none, portal, ask.code);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, GetParam().refusal);
    EXPECT_EQ(sam.durable.anna.SerializeAsString(), before);
    EXPECT_EQ(sam.durable.device.SerializeAsString(), device);
    EXPECT_EQ(sam.events(), std::vector{Event::refused});
    EXPECT_EQ(sam.messages, 0u);
}

TEST(Challenges, AUTHN_14_WithoutHashesExistUnderTrial) {
    Sam sam{"sms"};
    EXPECT_TRUE(sam.open_challenge({}));
    EXPECT_TRUE(sam.authorise({.code = sam.last_code}));
}

TEST(Challenges, WithoutItsPhonesCellNoneIsOpened) {
    for (const bool spoilt : {false, true}) {
        ByHand hand{"sms"};
        auto flow = hand.challenge();
        auto cells = hand.sam.cells_for(anna, Reads::credential);
        if (spoilt) cells.held_device = Error{Errc::internal, "not the blob that the head speaks of"};
        step(flow, Begin{}, std::move(cells), hand.given());
        EXPECT_EQ(refusal(hand.give(flow, Committed{success()}).next), Errc::internal);
    }
}

TEST(Challenges, SAM_08_ACellThatCannotBeReadIsNoFailedCheck) {
    ByHand hand{"sms"};
    for (unsigned i = 1; i < Limits::portal_floor; ++i) hand.sam.limits.failed(portal, hand.sam.now);
    auto flow = hand.challenge();
    Cells cells;
    cells.credential = Error{Errc::internal, "not the blob that the head speaks of"};
    EXPECT_TRUE(step(flow, Begin{}, std::move(cells), hand.given()).alarms.empty());
    EXPECT_EQ(refusal(hand.give(flow, Committed{success()}).next), Errc::internal);
    EXPECT_FALSE(hand.sam.limits.ask(portal, hand.sam.now));
}

TEST(Challenges, AUTHN_11_TheCodeLeavesOnlyWhenItsChallengeIsDurable) {
    Sam sam{"sms"};
    EXPECT_EQ(sam.open_challenge({hash_of('a')}, Fault::first_commit_fails).error().code, Errc::token_away);
    EXPECT_EQ(sam.messages, 0u);
    EXPECT_EQ(sam.open_challenge({hash_of('a')}, Fault::code_not_sent).error().code, Errc::service_away);
    EXPECT_TRUE(sam.durable.anna.has_challenge());
}

TEST(Challenges, AUTHN_11_WithoutATryIsNoChallenge) {
    Sam sam{"sms"};
    ASSERT_TRUE(sam.open_challenge());
    sam.durable.anna.mutable_challenge()->set_tries_left(0);
    sam.staged = sam.durable;
    EXPECT_EQ(sam.authorise({.code = sam.last_code}).error().code, Errc::factors_wrong);
    EXPECT_FALSE(sam.durable.anna.has_challenge());
}

}  // namespace
}  // namespace qscd::sam::bench
