// The flows one stimulus at a time: what each phase permits, what is refused before anything is spent, and what is staged
// when.
#include <type_traits>

#include "tests/unit/qscd/sam/activation/bench.hpp"

namespace qscd::sam::bench {
namespace {

static_assert(!std::is_default_constructible_v<Activation> && !std::is_copy_constructible_v<Activation> &&
              !std::is_constructible_v<Activation, CredentialId, Sha256Digest, std::vector<DtbsR>, Scheme>);
static_assert(!std::is_constructible_v<ModuleAnswer, Activation>);  // only by check()

constexpr std::array flows{Flow::challenge, Flow::authorisation, Flow::signing};
constexpr std::size_t stimulus_kinds = std::variant_size_v<Stimulus>;

Error away() { return {Errc::token_away, "the head's signature"}; }

// Flows brought to a phase by hand, with the cells of a bench.
struct ByHand {
    Sam sam;
    Random source = sam.random();
    explicit ByHand(const std::string& profile = "totp") : sam(profile) {}

    GivenForFactors given() { return sam.given(source, sam.now); }
    ChallengeFlow challenge(std::string factor = "SMS") const {
        return ChallengeFlow{std::make_shared<const ChallengeRequest>(
            ChallengeRequest{portal, anna, std::move(factor), {hash_of('a')}})};
    }
    AuthorisationFlow authorisation(const std::string& pin = right_pin, std::string code = "") {
        std::vector<FactorValue> factors;
        factors.push_back({"PIN", SecretBytes{pin}});
        factors.push_back({sam.app ? "TOTP" : "SMS", SecretBytes{code.empty() ? sam.current_code() : code}});
        return AuthorisationFlow{std::make_shared<const AuthoriseRequest>(
            AuthoriseRequest{portal, anna, {hash_of('a')}, std::move(factors)})};
    }
    SigningFlow signing(std::string key = "", std::vector<DtbsR> hashes = {hash_of('a'), hash_of('a')}) {
        const auto token = issue_sad(sam.staged.anna, portal, {hash_of('a'), hash_of('a'), hash_of('b')}, noon + 120s,
                                     source);
        sam.durable = sam.staged;
        return SigningFlow{std::make_shared<const SignRequest>(
            SignRequest{portal, anna, SecretBytes{token.reveal()}, std::move(hashes), Scheme::ecdsa, std::move(key)})};
    }
    template <class FlowType>
    auto give(FlowType& flow, Stimulus stimulus) {
        auto cells = sam.cells_for(anna, flow.reads(kind_of(stimulus)));
        auto decision = step(flow, std::move(stimulus), std::move(cells), given());
        for (const auto& cell : decision.cells) {
            if (const auto* credential = std::get_if<cell::Credential>(&cell)) sam.staged.anna = *credential;
            else sam.staged.device = std::get<cell::Device>(cell);
        }
        return decision;
    }
    // Up to the permission to enter the module.
    EnterModule permission(SigningFlow& flow) {
        give(flow, Begin{});
        return std::get<EnterModule>(std::move(give(flow, Committed{success()}).next));
    }
};

ModuleAnswer answer_of(Activation activation, std::vector<ModuleOutcome> outcomes, bool good = true) {
    return ModuleAnswer::check(std::move(activation), std::move(outcomes),
                               [=](const DtbsR&, ByteView) { return good; });
}
std::vector<ModuleOutcome> outcomes(unsigned good, std::optional<bool> failed_after_entering = {}) {
    std::vector<ModuleOutcome> out;
    for (unsigned i = 0; i < good; ++i) out.push_back({Bytes(64, static_cast<std::uint8_t>(i + 1)), true});
    if (failed_after_entering) out.push_back({Error{Errc::parameter_invalid, "no such key"}, *failed_after_entering});
    return out;
}
template <class T>
std::optional<Errc> refusal(const Next<T>& next) {
    const auto* answer = std::get_if<Answer<T>>(&next);
    if (answer == nullptr || answer->result) return std::nullopt;
    return answer->result.error().code;
}
template <class T>
Event event_of(const Decision<T>& decision) {
    EXPECT_FALSE(decision.records.empty());
    return decision.records.empty() ? Event::closing : decision.records.front().event;
}

// ── Phases ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// A stimulus of each kind, whether it fits or not.
Stimulus stimulus_of(StimulusKind kind) {
    switch (kind) {
        case StimulusKind::begin: return Begin{};
        case StimulusKind::committed: return Committed{success()};
        case StimulusKind::sent: return Sent{success()};
        case StimulusKind::pin_evaluated: return PinEvaluated{Bytes(32)};
        case StimulusKind::module_answered: {
            ByHand hand;
            auto flow = hand.signing();
            return ModuleAnswered{answer_of(hand.permission(flow).activation, outcomes(2))};
        }
        case StimulusKind::try_again: return TryAgain{};
    }
    return Begin{};
}

// Tries everything that the table does not permit here: each is refused and changes nothing.
template <class FlowType>
void nothing_else_is_permitted(ByHand& hand, FlowType& flow) {
    const auto phase = flow.phase();
    for (std::size_t i = 0; i < stimulus_kinds; ++i) {
        const auto kind = static_cast<StimulusKind>(i);
        if (flow.permits(kind)) continue;
        EXPECT_EQ(flow.reads(kind), Reads::nothing);
        const auto decision = flow.on(stimulus_of(kind), hand.sam.cells_for(anna, Reads::credential_and_device),
                                      hand.given());
        ASSERT_TRUE(std::holds_alternative<OutOfPhase>(decision.next)) << i << " in " << static_cast<int>(phase);
        EXPECT_EQ(std::get<OutOfPhase>(decision.next).error.code, Errc::out_of_order);
        EXPECT_TRUE(decision.cells.empty() && decision.records.empty() && decision.alarms.empty());
        EXPECT_EQ(flow.phase(), phase);
    }
}

TEST(Phases, SAM_07_AChallengeTakesNothingOutOfPhase) {
    ByHand hand{"sms"};
    auto flow = hand.challenge();
    nothing_else_is_permitted(hand, flow);
    EXPECT_TRUE(std::holds_alternative<Commit>(hand.give(flow, Begin{}).next));
    nothing_else_is_permitted(hand, flow);
    EXPECT_TRUE(std::holds_alternative<SendCode>(hand.give(flow, Committed{success()}).next));
    nothing_else_is_permitted(hand, flow);
    const auto decision = hand.give(flow, Sent{success()});
    EXPECT_EQ(std::get<Answer<std::chrono::seconds>>(decision.next).result.value(), 300s);
    nothing_else_is_permitted(hand, flow);
    auto refused = hand.challenge("TOTP");
    hand.give(refused, Begin{});
    nothing_else_is_permitted(hand, refused);
    EXPECT_EQ(refusal(hand.give(refused, Committed{success()}).next), Errc::parameter_invalid);
    nothing_else_is_permitted(hand, refused);
}

TEST(Phases, SAM_07_AnAuthorisationTakesNothingOutOfPhase) {
    ByHand hand;
    auto flow = hand.authorisation();
    nothing_else_is_permitted(hand, flow);
    EXPECT_TRUE(std::holds_alternative<Commit>(hand.give(flow, Begin{}).next));
    nothing_else_is_permitted(hand, flow);
    const auto asked = hand.give(flow, Committed{success()});
    const auto& pin = std::get<EvaluatePin>(asked.next);
    nothing_else_is_permitted(hand, flow);
    EXPECT_TRUE(
        std::holds_alternative<Commit>(hand.give(flow, PinEvaluated{Sam::pin_mac(pin.key, pin.input.reveal())}).next));
    nothing_else_is_permitted(hand, flow);
    const auto decision = hand.give(flow, Committed{success()});
    EXPECT_EQ(std::get<Answer<AuthorisedSad>>(decision.next).result.value().sad.size(), 32u);
    nothing_else_is_permitted(hand, flow);
}

TEST(Phases, SAM_07_ASignatureTakesNothingOutOfPhase) {
    ByHand hand;
    auto flow = hand.signing();
    nothing_else_is_permitted(hand, flow);
    EXPECT_TRUE(std::holds_alternative<Commit>(hand.give(flow, Begin{}).next));
    nothing_else_is_permitted(hand, flow);
    auto permission = std::get<EnterModule>(std::move(hand.give(flow, Committed{success()}).next));
    nothing_else_is_permitted(hand, flow);
    EXPECT_TRUE(std::holds_alternative<Commit>(
        hand.give(flow, ModuleAnswered{answer_of(std::move(permission.activation), outcomes(2))}).next));
    nothing_else_is_permitted(hand, flow);
    EXPECT_EQ(refusal(hand.give(flow, Committed{away()}).next), Errc::token_away);
    EXPECT_EQ(flow.phase(), Phase::unrecorded);
    nothing_else_is_permitted(hand, flow);
    for (int round = 0; round < 2; ++round) {
        const auto again = hand.give(flow, TryAgain{});
        EXPECT_EQ(event_of(again), Event::signed_hashes);
        nothing_else_is_permitted(hand, flow);
        EXPECT_TRUE(std::holds_alternative<Rest>(
            hand.give(flow, Committed{round == 0 ? Result<void>{away()} : Result<void>{success()}}).next));
    }
    EXPECT_EQ(flow.phase(), Phase::ended) << "answered once, long ago";
    nothing_else_is_permitted(hand, flow);
}

TEST(Phases, TheTableIsWhatTheFlowsDo) {
    for (const auto* profile : {"totp", "sms"})
        for (int fault = 0; fault <= static_cast<int>(Fault::disabled_meanwhile); ++fault) {
            const auto with = static_cast<Fault>(fault);
            Sam sam{profile};
            (void)sam.open_challenge({hash_of('a')}, with);
            (void)sam.open_challenge();
            auto sad = sam.authorise({.code = sam.current_code()});
            (void)sam.sign({.sad = sad ? sad.value() : Bytes(32)}, with);
            (void)sam.sign({.sad = Bytes(32)}, with);
            sam.now += 30s;
            (void)sam.open_challenge();
            (void)sam.authorise({.code = sam.current_code()}, with);
            (void)sam.authorise({.code = "no"}, with);
            (void)sam.authorise({.code = "no", .hashes = {}}, with);
        }
    for (const bool evaluated : {false, true}) {  // a cell that goes away amid an authorisation
        ByHand hand;
        auto flow = hand.authorisation();
        hand.give(flow, Begin{});
        if (evaluated) hand.give(flow, Committed{success()});
        step(flow, evaluated ? Stimulus{PinEvaluated{Bytes(32)}} : Stimulus{Committed{success()}}, Cells{},
             hand.given());
    }
    ByHand hand;  // a result that is twice not recorded
    auto flow = hand.signing();
    auto permission = hand.permission(flow);
    hand.give(flow, ModuleAnswered{answer_of(std::move(permission.activation), outcomes(2))});
    hand.give(flow, Committed{away()});
    hand.give(flow, TryAgain{});
    hand.give(flow, Committed{away()});
    for (const auto each : flows)
        for (std::size_t from = 0; from < phase_count; ++from)
            for (std::size_t kind = 0; kind < stimulus_kinds; ++kind)
                for (std::size_t to = 0; to < phase_count; ++to) {
                    const auto* row = row_of(each, static_cast<Phase>(from), static_cast<StimulusKind>(kind));
                    EXPECT_EQ(was_seen({each, static_cast<Phase>(from), static_cast<StimulusKind>(kind),
                                        static_cast<Phase>(to)}),
                              row != nullptr && row->leads_to.has(static_cast<Phase>(to)))
                        << static_cast<int>(each) << ": " << from << " by " << kind << " to " << to;
                }
}

// ── What is refused before anything is spent ────────────────────────────────────────────────────────────────────────

// Takes a good state and a good request and changes one thing.
struct Refused {
    const char* name;
    Errc refusal;
    std::function<void(Sam&, Sam::Ask&)> make;
    const char* profile = "totp";
};
void fill_with_sads(Sam& sam) {
    for (int i = 0; i < live_sads_limit; ++i)
        issue_sad(sam.durable.anna, portal, {hash_of('a')}, noon + 60s, sam.random());
}
DtbsR longer_hash() { return DtbsR::from(HashAlgorithm::sha384, Bytes(48)).value(); }
void reach_portal_limit(Sam& sam) {
    for (unsigned i = 0; i < Limits::portal_floor; ++i) sam.limits.failed(portal, sam.now);
}

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

// ── The order of the factors ────────────────────────────────────────────────────────────────────────────────────────

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

// ── Signing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct RefusedSigningCase {
    const char* name;
    Errc refusal;
    std::function<void(Sam&, Sam::SignAsk&)> make;
};
const RefusedSigningCase refused_signing[] = {
    {"StillEnrolling", Errc::parameter_invalid,
     [](auto& sam, auto&) { sam.durable.anna.set_state(cell::Credential::KEY); }},
    {"Disabled", Errc::credential_disabled,
     [](auto& sam, auto&) { sam.durable.anna.set_state(cell::Credential::DISABLED); }},
    {"Expired", Errc::certificate_expired, [](auto& sam, auto&) { sam.durable.anna.set_not_after(1); }},
    {"LockedByTheFloor", Errc::credential_locked, [](auto& sam, auto&) { sam.locked_by_floor = true; }},
    {"UnderASchemeThatDoesNotFit", Errc::parameter_invalid, [](auto&, auto& ask) { ask.scheme = Scheme::rsa_pss; }},
    {"WithAKeyOfNoKind", Errc::parameter_invalid, [](auto& sam, auto&) { sam.durable.anna.clear_key_kind(); }},
    {"WithoutAKey", Errc::internal, [](auto& sam, auto&) { sam.durable.anna.clear_cka_id(); }},
    {"WithoutHashes", Errc::hashes_empty, [](auto&, auto& ask) { ask.hashes.clear(); }},
    {"WithAnotherToken", Errc::parameter_invalid, [](auto&, auto& ask) { ask.sad = Bytes(32); }},
    {"WithAnothersCredential", Errc::parameter_invalid, [](auto&, auto& ask) { ask.credential = boris; }},
};
struct RefusedSigning : ::testing::TestWithParam<RefusedSigningCase> {};
INSTANTIATE_TEST_SUITE_P(, RefusedSigning, ::testing::ValuesIn(refused_signing),
                         [](const auto& test) { return test.param.name; });
TEST_P(RefusedSigning, SAM_02_UsesNothingUp) {
    Sam sam;
    Sam::SignAsk ask{.sad = sam.authorise({.code = sam.current_code()}).value()};
    GetParam().make(sam, ask);
    sam.staged = sam.durable;
    sam.log.clear();
    const auto before = sam.durable.anna.SerializeAsString();
    const auto signatures = sam.sign(ask);
    ASSERT_FALSE(signatures);
    EXPECT_EQ(signatures.error().code, GetParam().refusal);
    EXPECT_EQ(sam.durable.anna.SerializeAsString(), before);
    EXPECT_EQ(sam.events(), std::vector{Event::refused});
    EXPECT_TRUE(sam.made.empty());
}

TEST(Signing, AUD_03_TheIntentIsTheNextRecordAndTheResultNamesIt) {
    Sam sam;
    const auto sad = sam.authorise({.code = sam.current_code()}).value();
    ASSERT_TRUE(sam.sign({.sad = sad}));
    ASSERT_EQ(sam.events(),
              (std::vector{Event::factors_spent, Event::authorised, Event::sign_intent, Event::signed_hashes}));
    EXPECT_EQ(sam.log[3].fields.at(0), (std::pair<std::string_view, std::string>{"intent", "2"}));
}

TEST(Signing, SAM_15_AnActivationIsHandedOverOnceAndNamesWhatWasAuthorised) {
    ByHand hand;
    auto flow = hand.signing();
    const auto permission = hand.permission(flow);
    EXPECT_EQ(permission.activation.credential(), anna);
    EXPECT_EQ(permission.activation.hashes(), (std::vector{hash_of('a'), hash_of('a')}));
    EXPECT_TRUE(std::holds_alternative<OutOfPhase>(hand.give(flow, Committed{success()}).next));
}

TEST(Signing, SAM_07_AnotherFlowsAnswerIsNotTaken) {
    ByHand hand;
    auto flow = hand.signing(), other_token = hand.signing(), other_hashes = hand.signing("", {hash_of('b')});
    for (auto* each : {&flow, &other_token, &other_hashes}) hand.give(*each, Begin{});
    const auto permission_of = [&](SigningFlow& each) {
        return std::get<EnterModule>(std::move(hand.give(each, Committed{success()}).next)).activation;
    };
    auto own = permission_of(flow);
    std::vector<Activation> foreign;
    foreign.push_back(permission_of(other_token));
    foreign.push_back(permission_of(other_hashes));
    cell::Credential of_boris = hand.sam.durable.boris;
    const auto token = issue_sad(of_boris, portal, {hash_of('a'), hash_of('a')}, noon + 120s, hand.source);
    foreign.push_back(
        SadVerifier::verify(
            of_boris, {portal, boris, SecretBytes{token.reveal()}, flow.request().hashes, Scheme::ecdsa, ""}, noon)
            .value());
    for (auto& each : foreign) {
        const auto decision = hand.give(flow, ModuleAnswered{answer_of(std::move(each), outcomes(2))});
        EXPECT_TRUE(std::holds_alternative<OutOfPhase>(decision.next));
        EXPECT_EQ(flow.phase(), Phase::in_module);
    }
    EXPECT_EQ(event_of(hand.give(flow, ModuleAnswered{answer_of(std::move(own), outcomes(2))})), Event::signed_hashes);
}

// Two copies of a were asked for; the token stands for two of a and one of b.
struct ModuleCase {
    const char* name;
    unsigned good;
    std::optional<bool> failed_after_entering;
    bool verifies;
    Event event;
    unsigned left_of_a;
    bool key_may_ask_again;
};
const ModuleCase module_cases[] = {
    {"BothSigned", 2, {}, true, Event::signed_hashes, 0, false},
    {"NotEntered", 0, false, true, Event::sign_failed, 2, true},
    {"EnteredAndFailed", 0, true, true, Event::sign_unknown, 1, false},
    {"SecondNotEntered", 1, false, true, Event::sign_failed, 1, false},
    {"SecondEnteredAndFailed", 1, true, true, Event::sign_unknown, 0, false},
    {"FewerThanAsked", 1, {}, true, Event::sign_unknown, 0, false},
    {"NoneAtAll", 0, {}, true, Event::sign_unknown, 1, false},
    {"OneDoesNotVerify", 2, {}, false, Event::signature_bad, 0, false},
    {"FirstDoesNotVerifyAndSecondFailed", 1, true, false, Event::signature_bad, 0, false},
};
struct ModuleOutcomes : ::testing::TestWithParam<ModuleCase> {};
INSTANTIATE_TEST_SUITE_P(, ModuleOutcomes, ::testing::ValuesIn(module_cases),
                         [](const auto& test) { return test.param.name; });
TEST_P(ModuleOutcomes, QSCD_22_UseUpWhatEnteredAndNoMore) {
    const auto& test = GetParam();
    for (const auto* key : {"", "key-1"}) {
        ByHand hand;
        auto flow = hand.signing(key);
        auto permission = hand.permission(flow);
        const auto decision = hand.give(
            flow, ModuleAnswered{answer_of(std::move(permission.activation),
                                           outcomes(test.good, test.failed_after_entering), test.verifies)});
        EXPECT_EQ(event_of(decision), test.event);
        EXPECT_EQ(decision.alarms.size(), test.verifies ? 0u : 1u);
        const auto& cell = hand.sam.staged.anna;
        unsigned left = 0;
        for (const auto& hash : cell.sads(0).hashes())
            left += !hash.used() && std::ranges::equal(view_of(hash.hash()), hash_of('a').bytes());
        EXPECT_EQ(left, test.left_of_a);
        EXPECT_EQ(cell.state() == cell::Credential::DISABLED, !test.verifies);
        if (*key != '\0') {
            ASSERT_EQ(cell.sads(0).answered_size(), test.key_may_ask_again ? 0 : 1);
            if (!test.key_may_ask_again) {
                EXPECT_TRUE(cell.sads(0).answered(0).done());
                EXPECT_EQ(cell.sads(0).answered(0).signatures_size(), test.event == Event::signed_hashes ? 2 : 0);
            }
        }
        const auto answered = hand.give(flow, Committed{success()});
        EXPECT_EQ(std::get<Answer<SignatureList>>(answered.next).result.has_value(),
                  test.event == Event::signed_hashes);
        if (test.event != Event::signed_hashes) {
            EXPECT_EQ(refusal(answered.next), Errc::internal)
                << "a key that is not there is no parameter of the caller's";
        }
    }
}

TEST(Signing, WhenTheCellOrItsTokenIsGoneTheOutcomeIsRecordedAndNothingReleased) {
    for (const bool cell_gone : {true, false})
        for (const auto& came : {std::pair{2u, std::optional<bool>{}}, std::pair{0u, std::optional{false}}}) {
            ByHand hand;
            auto flow = hand.signing("key-1");
            auto permission = hand.permission(flow);
            auto cells = hand.sam.cells_for(anna, Reads::credential);
            if (cell_gone) cells.credential = std::optional<cell::Credential>{};
            else cells.credential.value()->clear_sads();
            const auto decision = step(
                flow, ModuleAnswered{answer_of(std::move(permission.activation), outcomes(came.first, came.second))},
                std::move(cells), hand.given());
            EXPECT_EQ(event_of(decision), cell_gone          ? Event::sign_unknown
                                          : came.first == 2u ? Event::signed_hashes
                                                             : Event::sign_failed);
            EXPECT_EQ(decision.cells.size(), cell_gone ? 0u : 1u);
        }
}

TEST(Signing, SIG_20_ARepeatIsAnsweredFromTheCell) {
    Sam sam;
    const auto sad = sam.authorise({.code = sam.current_code()}).value();
    const auto first = sam.sign({.sad = sad, .key = "key-1"});
    ASSERT_TRUE(first);
    EXPECT_EQ(sam.sign({.sad = sad, .key = "key-1"}).value(), first.value());
    EXPECT_EQ(sam.made.size(), 1u);
    ByHand hand;
    auto under_way = hand.signing("key-1");
    hand.permission(under_way);
    SigningFlow again{
        std::make_shared<const SignRequest>(SignRequest{portal, anna, SecretBytes{under_way.request().sad.reveal()},
                                                        under_way.request().hashes, Scheme::ecdsa, "key-1"})};
    hand.give(again, Begin{});
    EXPECT_EQ(refusal(hand.give(again, Committed{success()}).next), Errc::service_away);
}

TEST(ModuleAnswers, QSCD_26_AreCheckedHashByHash) {
    ByHand hand;
    auto flow = hand.signing("", {hash_of('a'), hash_of('b')});
    std::vector<std::pair<DtbsR, Bytes>> checked;
    const auto answer = ModuleAnswer::check(hand.permission(flow).activation, outcomes(2),
                                            [&](const DtbsR& hash, ByteView signature) {
                                                checked.emplace_back(hash, Bytes{signature.begin(), signature.end()});
                                                return hash == hash_of('a');
                                            });
    EXPECT_EQ(checked,
              (std::vector<std::pair<DtbsR, Bytes>>{{hash_of('a'), Bytes(64, 1)}, {hash_of('b'), Bytes(64, 2)}}));
    EXPECT_FALSE(answer.verified());
}

TEST(Challenges, AUTHN_11_WithoutATryIsNoChallenge) {
    Sam sam{"sms"};
    ASSERT_TRUE(sam.open_challenge());
    sam.durable.anna.mutable_challenge()->set_tries_left(0);
    sam.staged = sam.durable;
    EXPECT_EQ(sam.authorise({.code = sam.last_code}).error().code, Errc::factors_wrong);
    EXPECT_FALSE(sam.durable.anna.has_challenge());
}

TEST(IdempotencyKeys, KeepNothingForAnotherKey) {
    ByHand hand;
    auto flow = hand.signing("key-1");
    const auto permission = hand.permission(flow);
    EXPECT_NE(answer_to(hand.sam.staged.anna, permission.activation.sad(), "key-1"), nullptr);
    EXPECT_EQ(answer_to(hand.sam.staged.anna, permission.activation.sad(), "key-2"), nullptr);
}

TEST(FailedChecks, APortalThatFailedThisMinuteIsNotForgottenForANewOne) {
    Limits limits;
    for (std::size_t i = 0; i <= Limits::most_portals; ++i)
        limits.failed(ClientId::from("portal-" + std::to_string(i)).value(), noon);
    for (unsigned i = 1; i < Limits::portal_floor; ++i) limits.failed(ClientId::from("portal-0").value(), noon);
    EXPECT_TRUE(limits.ask(ClientId::from("portal-0").value(), noon));
}

TEST(RandomDigits, AreDrawnAgainWhenTheyWouldNotBeFair) {
    Bytes stream{255, 250, 249, 0, 251, 9, 10, 128};
    std::size_t at = 0;
    const Random source = [&](std::span<std::uint8_t> out) {
        for (auto& byte : out) byte = stream[at++];
    };
    EXPECT_EQ(digits_from(source, 5), SecretBytes{std::string_view{"90908"}});
    EXPECT_EQ(at, stream.size());
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
