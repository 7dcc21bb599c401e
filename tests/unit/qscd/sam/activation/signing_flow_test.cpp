// A signature: what is refused before anything is used up, and what an answer of the module uses up. [SAM-02] [QSCD-22]
#include <type_traits>

#include "tests/unit/qscd/sam/activation/by_hand.hpp"

namespace qscd::sam::bench {
namespace {

static_assert(!std::is_default_constructible_v<Activation> && !std::is_copy_constructible_v<Activation> &&
              !std::is_constructible_v<Activation, CredentialId, Sha256Digest, std::vector<DtbsR>, Scheme>);
static_assert(!std::is_constructible_v<ModuleAnswer, Activation>);  // only by check()

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

TEST(Signing, QSCD_26_ABadSignatureOfADestroyedKeyDoesNotMakeItDisabledOnly) {
    for (const auto state : {cell::Credential::DESTROYING, cell::Credential::DESTROYED}) {
        ByHand hand;
        auto flow = hand.signing();
        auto permission = hand.permission(flow);
        hand.sam.staged.anna.set_state(state);
        const auto decision = hand.give(
            flow, ModuleAnswered{answer_of(std::move(permission.activation), outcomes(2), false)});
        EXPECT_EQ(event_of(decision), Event::signature_bad);
        EXPECT_EQ(hand.sam.staged.anna.state(), state);
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

TEST(IdempotencyKeys, KeepNothingForAnotherKey) {
    ByHand hand;
    auto flow = hand.signing("key-1");
    const auto permission = hand.permission(flow);
    EXPECT_NE(answer_to(hand.sam.staged.anna, permission.activation.sad(), "key-1"), nullptr);
    EXPECT_EQ(answer_to(hand.sam.staged.anna, permission.activation.sad(), "key-2"), nullptr);
}

}  // namespace
}  // namespace qscd::sam::bench
