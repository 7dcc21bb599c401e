// What each phase permits, against the table of phases. [SAM-07]
#include "tests/unit/qscd/sam/activation/by_hand.hpp"

namespace qscd::sam::bench {
namespace {

constexpr std::array flows{Flow::challenge, Flow::authorisation, Flow::signing};
constexpr std::size_t stimulus_kinds = std::variant_size_v<Stimulus>;

Error away() { return {Errc::token_away, "the head's signature"}; }

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

}  // namespace
}  // namespace qscd::sam::bench
