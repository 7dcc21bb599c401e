// Each record names the request that caused it, through every thread that works on it. [AUD-02]
#include "base/request_id.hpp"

#include <gmock/gmock.h>
#include <thread>

#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

using testing::ElementsAre;

struct RequestIds : TrialSam {
    std::vector<std::string> caused_by(const RequestId& id) {
        std::vector<std::string> out;
        for (const auto& record : records())
            if (std::ranges::equal(view_of(record.request_id()), id.bytes())) out.push_back(record.type());
        return out;
    }
    // The types of the records that `ask` causes.
    template <class Ask>
    std::vector<std::string> caused(Ask ask) {
        const auto id = new_request_id();
        {
            const RequestScope scope{id};
            ask();
        }
        return caused_by(id);
    }
};

TEST_F(RequestIds, AUD_02_StandInIntentAndResult) {
    const auto signer = enrol(anna());
    next_step();
    std::string sad;
    EXPECT_THAT(caused([&] { sad = authorise(signer, {.code = code(signer)}).value().sad(); }),
                ElementsAre("factors-spent", "authorised"));
    EXPECT_THAT(caused([&] { EXPECT_TRUE(sign(signer, sad)); }), ElementsAre("sign-intent", "signed"));
    EXPECT_THAT(caused([&] { EXPECT_FALSE(sign(signer, sad)); }), ElementsAre("refused"));
    next_step();
    EXPECT_THAT(caused([&] { EXPECT_FALSE(authorise(signer, {.code = wrong(code(signer))})); }),
                ElementsAre("factors-spent", "authorisation-failed"));
    const auto by_sms = enrol(boris(), "sms");
    EXPECT_THAT(caused([&] { EXPECT_TRUE(challenge(by_sms, {"contract"})); }), ElementsAre("challenge-opened"));
}

TEST_F(RequestIds, AUD_02_StandInEachStepOfAnEnrolment) {
    const auto grant = grant_for(anna());
    EXPECT_THAT(caused([&] { EXPECT_TRUE(begin(desk.sign(grant))); }), ElementsAre("grant-accepted"));
    EXPECT_THAT(caused([&] { EXPECT_TRUE(set_factors(grant.enrolment, "48151623", last_code(anna().phone))); }),
                ElementsAre("factors-set"));
    EXPECT_THAT(caused([&] { EXPECT_TRUE(create_key(grant.enrolment)); }), ElementsAre("key-intended", "key-created"));
}

TEST_F(RequestIds, AUD_02_StandInWhatPeopleOrder) {
    const auto signer = enrol(anna());
    EXPECT_THAT(caused([&] { EXPECT_TRUE(set_disabled(signer, true)); }), ElementsAre("credential-disabled"));
    EXPECT_THAT(caused([&] { EXPECT_TRUE(rotate_keys("once a year")); }), ElementsAre("key-rotated", "started"));
}

// One credential's attempts wait for each other, and whoever is done drives the next: under the next one's id.
TEST_F(RequestIds, AUD_02_AreNotMixedUpAmongThoseThatComeAtOnce) {
    const auto signer = enrol(anna());
    next_step();
    const auto code_now = code(signer);
    std::vector<RequestId> ids;
    for (int i = 0; i < 8; ++i) ids.push_back(new_request_id());
    std::vector<std::thread> portals;
    for (const auto& id : ids)
        portals.emplace_back([&, id] {
            const RequestScope scope{id};
            (void)authorise(signer, {.code = code_now});
        });
    for (auto& portal : portals) portal.join();
    std::size_t authorised = 0;
    for (const auto& id : ids) {
        const auto types = caused_by(id);
        const std::vector<std::string> good{"factors-spent", "authorised"},
            spent{"factors-spent", "authorisation-failed"}, limited{"refused"};
        EXPECT_THAT(types, testing::AnyOf(good, spent, limited));
        authorised += types == good ? 1 : 0;
    }
    EXPECT_EQ(authorised, 1U);
}

TEST_F(RequestIds, AUD_02_AreGivenToWhoeverBringsNone) {
    const auto signer = enrol(anna());
    EXPECT_FALSE(sign(signer, "no token of ours"));
    EXPECT_FALSE(sign(signer, "no token of ours"));
    const auto refused = records("refused");
    ASSERT_EQ(refused.size(), 2U);
    EXPECT_EQ(refused[0].request_id().size(), 16U);
    EXPECT_NE(refused[0].request_id(), refused[1].request_id());
}

}  // namespace
}  // namespace qscd::sam
