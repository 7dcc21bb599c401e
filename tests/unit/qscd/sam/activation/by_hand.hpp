// Flows one stimulus at a time, brought to a phase by hand.
#pragma once

#include "tests/unit/qscd/sam/activation/bench.hpp"

namespace qscd::sam::bench {

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

inline ModuleAnswer answer_of(Activation activation, std::vector<ModuleOutcome> outcomes, bool good = true) {
    return ModuleAnswer::check(std::move(activation), std::move(outcomes),
                               [=](const DtbsR&, ByteView) { return good; });
}
inline std::vector<ModuleOutcome> outcomes(unsigned good, std::optional<bool> failed_after_entering = {}) {
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

// Takes a good state and a good request and changes one thing.
struct Refused {
    const char* name;
    Errc refusal;
    std::function<void(Sam&, Sam::Ask&)> make;
    const char* profile = "totp";
};
inline void reach_portal_limit(Sam& sam) {
    for (unsigned i = 0; i < Limits::portal_floor; ++i) sam.limits.failed(portal, sam.now);
}

}  // namespace qscd::sam::bench
