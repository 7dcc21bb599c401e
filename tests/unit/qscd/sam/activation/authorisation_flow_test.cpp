// An authorisation: what is refused before anything is spent, and in which order the factors are. [AUTHN-07 to -09]
#include "tests/unit/qscd/sam/activation/by_hand.hpp"

namespace qscd::sam::bench {
namespace {

void fill_with_sads(Sam& sam) {
    for (int i = 0; i < live_sads_limit; ++i)
        issue_sad(sam.durable.anna, portal, {hash_of('a')}, noon + 60s, sam.random());
}
DtbsR longer_hash() { return DtbsR::from(HashAlgorithm::sha384, Bytes(48)).value(); }

const Refused refused_authorisations[] = {
    {"UnknownProfile", Errc::internal, [](auto& sam, auto&) { sam.durable.anna.set_profile("none"); }},
    {"Disabled", Errc::credential_disabled,
     [](auto& sam, auto&) { sam.durable.anna.set_state(cell::Credential::DISABLED); }},
    {"Expired", Errc::certificate_expired, [](auto& sam, auto&) { sam.durable.anna.set_not_after(1); }},
    {"OfAPageProfile", Errc::access_denied, [](auto&, auto&) {}, "page"},
    {"UnknownWithoutHashes", Errc::hashes_empty,
     [](auto& sam, auto& ask) {
         sam.durable.anna.set_state(cell::Credential::KEY);
         ask.hashes.clear();
     }},
    {"UnknownWithoutCode", Errc::factors_wrong,
     [](auto& sam, auto& ask) {
         sam.durable.anna.set_state(cell::Credential::KEY);
         ask.factors = {{"PIN", right_pin}};
     }},
    {"WithoutHashes", Errc::hashes_empty, [](auto&, auto& ask) { ask.hashes.clear(); }},
    {"TooManyHashes", Errc::too_many_signatures, [](auto&, auto& ask) { ask.hashes.assign(101, hash_of('a')); }},
    {"HashesOfTwoAlgorithms", Errc::hash_wrong_length, [](auto&, auto& ask) { ask.hashes.push_back(longer_hash()); }},
    {"SixteenLiveTokens", Errc::too_many_requests, [](auto& sam, auto&) { fill_with_sads(sam); }},
    {"WithoutPin", Errc::factors_wrong, [](auto& sam, auto& ask) { ask.factors = {{"TOTP", sam.current_code()}}; }},
    {"WithoutCode", Errc::factors_wrong, [](auto&, auto& ask) { ask.factors = {{"PIN", right_pin}}; }},
    {"TwoPins", Errc::factors_wrong, [](auto&, auto& ask) { ask.factors = {{"PIN", right_pin}, {"PIN", right_pin}}; }},
    {"TwoCodes", Errc::factors_wrong, [](auto&, auto& ask) { ask.factors = {{"TOTP", "1"}, {"TOTP", "1"}}; }},
    {"ADeviceWithoutItsSecret", Errc::internal, [](auto& sam, auto&) { sam.durable.device.clear_totp_secret(); }},
    {"ADeviceWithoutItsPeriod", Errc::internal, [](auto& sam, auto&) { sam.durable.device.clear_totp_period(); }},
    {"OverThePortalsLimit", Errc::too_many_requests, [](auto& sam, auto&) { reach_portal_limit(sam); }},
    {"OverTheCredentialsLimit", Errc::too_many_requests,
     [](auto& sam, auto&) { count_failed(sam.durable.anna, portal, 9, sam.now); }},
};
struct RefusedAuthorisation : ::testing::TestWithParam<Refused> {};
INSTANTIATE_TEST_SUITE_P(, RefusedAuthorisation, ::testing::ValuesIn(refused_authorisations),
                         [](const auto& test) { return test.param.name; });
TEST_P(RefusedAuthorisation, AUTHN_08_SpendsNothing) {
    Sam sam{GetParam().profile};
    Sam::Ask ask{.code = sam.current_code()};
    GetParam().make(sam, ask);
    sam.staged = sam.durable;
    const auto before = sam.durable.anna.SerializeAsString(), device = sam.durable.device.SerializeAsString();
    const auto given = sam.authorise(ask);
    ASSERT_FALSE(given);
    EXPECT_EQ(given.error().code, GetParam().refusal);
    EXPECT_EQ(sam.durable.anna.SerializeAsString(), before);
    EXPECT_EQ(sam.durable.device.SerializeAsString(), device);
    EXPECT_EQ(sam.events(), std::vector{Event::refused});
    EXPECT_EQ(sam.pins_evaluated + sam.nothing_evaluated, 0u);
}

// What is the same outside: answer, batches, module work. What differs in the cells stands in each test.
TEST(Authorisation, AUTHN_30_ALockedCredentialSaysSoToNobodyWithoutTheCode) {
    for (const bool by_floor : {true, false})
        for (const bool right : {true, false}) {
            Sam sam{"totp"};
            const unsigned tries = by_floor ? 2 : 0;
            sam.locked_by_floor = by_floor;
            sam.durable.anna.set_pin_tries_left(tries);
            sam.staged = sam.durable;
            const auto given = sam.authorise({.code = right ? sam.current_code() : sam.wrong_code()});
            ASSERT_FALSE(given);
            EXPECT_EQ(given.error().code, right ? Errc::credential_locked : Errc::factors_wrong);
            EXPECT_EQ(sam.events(),
                      (std::vector{Event::factors_spent, right ? Event::refused : Event::authorisation_failed}));
            EXPECT_EQ(sam.durable.anna.pin_tries_left(), tries) << "not one more and not one less";
            EXPECT_EQ(sam.pins_evaluated, 0u);
            EXPECT_EQ(sam.nothing_evaluated, 1u);
            if (right) {
                EXPECT_FALSE(sam.authorise({.code = sam.current_code()})) << "the code is spent";
            }
        }
}

TEST(Authorisation, AUTHN_30_ACredentialThatIsNotThereIsAWrongCode) {
    for (const bool there : {true, false}) {
        Sam sam{"totp"};
        if (!there) sam.durable.anna.set_state(cell::Credential::KEY);
        sam.staged = sam.durable;
        const auto given = sam.authorise({.code = sam.wrong_code()});
        ASSERT_FALSE(given);
        EXPECT_EQ(given.error().code, Errc::factors_wrong);
        EXPECT_EQ(sam.events(), (std::vector{Event::factors_spent, Event::authorisation_failed}));
        EXPECT_EQ(sam.nothing_evaluated, 1u);
        EXPECT_EQ(sam.limits.tripped(sam.now).portals.size(), 0u);
        for (unsigned i = 1; i < Limits::portal_floor; ++i) sam.limits.failed(portal, sam.now);
        EXPECT_EQ(sam.limits.tripped(sam.now).portals.size(), 1u) << "and counts as one";
    }
}

TEST(Authorisation, AUTHN_30_WithTheModuleAwayNobodyIsToldEither) {
    Sam sam{"totp"};
    sam.durable.anna.set_state(cell::Credential::KEY);
    sam.staged = sam.durable;
    EXPECT_EQ(sam.authorise({.code = sam.wrong_code()}, Fault::mac_fails).error().code, Errc::token_away);
}

TEST(Authorisation, AUTHN_09_ACodeOfAnotherFactorIsAWrongCode) {
    for (const auto& [profile, other] : {std::pair{"totp", "SMS"}, {"sms", "TOTP"}}) {
        Sam sam{profile};
        const auto given = sam.authorise({.factors = {{"PIN", right_pin}, {other, "000000"}}});
        ASSERT_FALSE(given);
        EXPECT_EQ(given.error().code, Errc::factors_wrong);
        EXPECT_EQ(sam.events(), (std::vector{Event::factors_spent, Event::authorisation_failed}));
        EXPECT_EQ(sam.nothing_evaluated, 1u);
        EXPECT_EQ(sam.durable.anna.pin_tries_left(), pin_tries);
    }
}

TEST(Authorisation, SAM_08_CellsThatCannotBeReadAreNoAbsence) {
    for (const bool app : {true, false}) {
        ByHand hand{app ? "totp" : "sms"};
        auto unknown = hand.authorisation();
        step(unknown, Begin{}, Cells{}, hand.given());
        EXPECT_TRUE(std::holds_alternative<EvaluatePin>(hand.give(unknown, Committed{success()}).next));
        for (const bool device_alone : {false, true}) {
            auto spoilt = hand.authorisation();
            auto cells = hand.sam.cells_for(anna, Reads::credential_and_device);
            if (device_alone) cells.held_device = Error{Errc::internal, "not the blob that the head speaks of"};
            else cells.credential = Error{Errc::internal, "not the blob that the head speaks of"};
            EXPECT_TRUE(step(spoilt, Begin{}, std::move(cells), hand.given()).cells.empty());
            EXPECT_EQ(refusal(hand.give(spoilt, Committed{success()}).next), Errc::internal);
        }
        auto without = hand.authorisation();
        auto cells = hand.sam.cells_for(anna, Reads::credential);
        step(without, Begin{}, std::move(cells), hand.given());
        EXPECT_EQ(refusal(hand.give(without, Committed{success()}).next), Errc::internal);
    }
}

TEST(Refusals, AUD_01_SayWhyInTheSealedFieldAlone) {
    Sam sam;
    count_failed(sam.durable.anna, portal, 9, sam.now);
    sam.staged = sam.durable;
    EXPECT_FALSE(sam.authorise({.code = sam.current_code()}));
    ASSERT_EQ(sam.log.size(), 1u);
    EXPECT_EQ(sam.log[0].result, "too_many_requests");
    EXPECT_EQ(sam.log[0].fields, (Fields{{"request", "authorize"}}));
    EXPECT_EQ(sam.log[0].sealed, name_of(Refusal::credential_burst));
}

// The order of the factors.
struct Combination {
    const char* name;
    std::string pin;
    bool code_right;
};
const Combination combinations[] = {
    {"BothRight", right_pin, true},          {"WrongPin", wrong_pin, true},
    {"WrongCode", right_pin, false},         {"BothWrong", wrong_pin, false},
    {"NoPinAtAll", "let me in", true},       {"ShortPin", "1", false},
    {"LongPin", std::string(64, '1'), true}, {"EmptyPin", "", true},
};
struct FactorOrder : ::testing::TestWithParam<Combination> {};
INSTANTIATE_TEST_SUITE_P(, FactorOrder, ::testing::ValuesIn(combinations),
                         [](const auto& test) { return test.param.name; });
TEST_P(FactorOrder, AUTHN_09_StagesTheSameAndAsksTheModuleForTheSame) {
    for (const auto* profile : {"totp", "sms"}) {
        ByHand hand{profile};
        if (!hand.sam.app) {
            ASSERT_TRUE(hand.sam.open_challenge());
        }
        auto flow = hand.authorisation(GetParam().pin,
                                       GetParam().code_right ? hand.sam.current_code() : hand.sam.wrong_code());
        const auto spent = hand.give(flow, Begin{});
        EXPECT_EQ(spent.cells.size(), hand.sam.app ? 2u : 1u) << "changed or not";
        ASSERT_EQ(spent.records.size(), 1u);
        EXPECT_EQ(spent.records[0].event, Event::factors_spent);
        EXPECT_EQ(spent.records[0].sealed, "");
        EXPECT_EQ(hand.sam.staged.anna.pin_tries_left(), GetParam().code_right ? 2u : 3u);
        const auto asked = hand.give(flow, Committed{success()});
        const auto& pin = std::get<EvaluatePin>(asked.next);
        const bool a_pin = GetParam().pin == right_pin || GetParam().pin == wrong_pin;
        EXPECT_EQ(std::ranges::all_of(pin.input.reveal(), [](auto byte) { return byte == 0; }),
                  !GetParam().code_right || !a_pin)
            << "the PIN is computed over only after a right code";
        const std::size_t same_blocks = 128 - 9;  // of SHA-256, after the one that the HMAC's key takes
        EXPECT_GT(pin.input.size(), same_blocks - 64);
        EXPECT_LE(pin.input.size(), same_blocks);
        const auto concluded = hand.give(flow, PinEvaluated{Sam::pin_mac(pin.key, pin.input.reveal())});
        if (GetParam().code_right && GetParam().pin == right_pin) {
            EXPECT_EQ(concluded.records.at(0).event, Event::authorised);
            continue;
        }
        EXPECT_TRUE(concluded.cells.empty());
        ASSERT_EQ(concluded.records.size(), 1u);
        EXPECT_EQ(concluded.records[0].event, Event::authorisation_failed);
        EXPECT_TRUE(concluded.records[0].fields.empty());
        EXPECT_EQ(concluded.records[0].sealed, GetParam().code_right ? "PIN" : "held factor");
        EXPECT_EQ(refusal(hand.give(flow, Committed{success()}).next), Errc::factors_wrong);
    }
}

TEST(Authorisation, AUTHN_40_AsksForThePinEachTime) {
    Sam sam;
    EXPECT_TRUE(sam.authorise({.code = sam.current_code()}));
    sam.now += 30s;
    EXPECT_EQ(sam.authorise({.pin = wrong_pin, .code = sam.current_code()}).error().code, Errc::factors_wrong);
    EXPECT_EQ(sam.pins_evaluated, 2u);
}

TEST(Authorisation, TheVerifiersOwnKeyIsAskedFor) {
    ByHand hand;
    const auto other = id<9, CkaId>();
    hand.sam.staged.anna.set_pin_key(std::string{text_of(other.bytes())});
    auto flow = hand.authorisation();
    hand.give(flow, Begin{});
    EXPECT_EQ(std::get<EvaluatePin>(hand.give(flow, Committed{success()}).next).key, other);
}

TEST(Authorisation, QSCD_19_AVerifierUnderARetiringKeyIsMadeAnewByARightPinOnly) {
    const auto retiring = id<9, CkaId>();
    for (const bool right : {true, false})
        for (const bool module_renews : {true, false}) {
            ByHand hand;
            auto& anna = hand.sam.staged.anna;
            anna.set_pin_key(std::string{text_of(retiring.bytes())});
            auto flow = hand.authorisation(right ? right_pin : wrong_pin);
            hand.give(flow, Begin{});
            const auto asked = hand.give(flow, Committed{success()});
            const auto& pin = std::get<EvaluatePin>(asked.next);
            ASSERT_TRUE(pin.renewal);
            EXPECT_EQ(pin.renewal->key, pin_key);
            EXPECT_EQ(pin.renewal->input.size(), pin.input.size());
            const auto old_verifier = anna.pin_verifier();
            const auto renewed = Sam::pin_mac(pin.renewal->key, pin.renewal->input.reveal());
            hand.give(flow, PinEvaluated{right ? bytes_of(old_verifier) : Bytes(32),
                                         module_renews ? std::optional{renewed} : std::nullopt});
            const bool anew = right && module_renews;
            EXPECT_EQ(anna.pin_verifier(), anew ? std::string{text_of(renewed)} : old_verifier);
            EXPECT_EQ(CkaId::from(view_of(anna.pin_key())), anew ? pin_key : retiring);
        }
}

TEST(Authorisation, ACellWithoutAPinIsOurFault) {
    for (const bool salt : {true, false}) {
        ByHand hand;
        salt ? hand.sam.staged.anna.clear_pin_salt() : hand.sam.staged.anna.clear_pin_policy();
        auto flow = hand.authorisation();
        hand.give(flow, Begin{});
        EXPECT_TRUE(std::holds_alternative<Commit>(hand.give(flow, Committed{success()}).next));
        EXPECT_EQ(refusal(hand.give(flow, Committed{success()}).next), Errc::internal);
    }
}

TEST(Authorisation, AnAppOfAProfileThatTakesNoAppsAnyMoreHasNoRightCode) {
    Sam sam;
    sam.durable.anna.set_profile("sms");
    sam.staged = sam.durable;
    EXPECT_EQ(sam.authorise({.code = sam.current_code()}).error().code, Errc::factors_wrong);
    EXPECT_EQ(sam.pins_evaluated, 0u);
}

TEST(Authorisation, SAM_23_StepsUpToTheFloorAreSpentWithTheirTolerance) {
    Sam sam;
    sam.steps_spent = sam.now;  // with the step before and the one after it
    for (int step = -1; step <= 1; ++step)
        EXPECT_EQ(sam.authorise({.code = totp(unix_seconds(sam.now) / 30 + step)}).error().code, Errc::factors_wrong);
    sam.now += 30s;
    EXPECT_EQ(sam.authorise({.code = sam.current_code()}).error().code, Errc::factors_wrong);
    sam.now += 30s;
    EXPECT_TRUE(sam.authorise({.code = sam.current_code()}));
}

TEST(Authorisation, AUTHN_29_EachFailedCheckIsToldAndTheLastRaisesAnAlarm) {
    Sam sam;
    reach_portal_limit(sam);
    EXPECT_EQ(sam.authorise({.code = sam.current_code()}).error().code, Errc::too_many_requests);
    sam.now += 60s;
    for (unsigned i = 1; i < Limits::portal_floor; ++i) sam.limits.failed(portal, sam.now);
    EXPECT_EQ(sam.authorise({.code = sam.wrong_code()}).error().code, Errc::factors_wrong);
    EXPECT_EQ(sam.alarms, 1u);
    EXPECT_EQ(sam.authorise({.code = sam.current_code()}).error().code, Errc::too_many_requests);
}

TEST(Authorisation, AModuleThatIsAwayCostsTheSignersCodeButNoPinTry) {
    for (const bool code : {true, false}) {
        Sam sam;
        EXPECT_EQ(sam.authorise({.code = code ? sam.current_code() : sam.wrong_code()}, Fault::mac_fails).error().code,
                  Errc::token_away);
        EXPECT_EQ(sam.durable.anna.pin_tries_left(), pin_tries);
        EXPECT_EQ(sam.authorise({.code = sam.current_code()}).has_value(), !code);
    }
}

TEST(HeldDevice, IsTheAppWhereThereIsOne) {
    cell::Credential cell;
    EXPECT_FALSE(held_device_of(cell));
    cell.set_phone_device(std::string(16, 'p'));
    EXPECT_EQ(held_device_of(cell), DeviceId::from(view_of(std::string(16, 'p'))));
    cell.set_app_device(std::string(16, 'a'));
    EXPECT_EQ(held_device_of(cell), DeviceId::from(view_of(std::string(16, 'a'))));
}

}  // namespace
}  // namespace qscd::sam::bench
