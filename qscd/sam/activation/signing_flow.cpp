#include "qscd/sam/activation/signing_flow.hpp"

#include "qscd/sam/activation/sad_verifier.hpp"

namespace qscd::sam {
namespace {

constexpr std::string_view asked = "signHash";  // in records of refusals

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

// What an earlier request with the same Idempotency-Key was answered.
Result<SignatureList> repeated(const cell::Answered& answer) {
    if (!answer.done()) return Error{Errc::service_away, "the first request with this key is not finished"};
    if (answer.signatures().empty()) return Error{Errc::internal, "the outcome of the first request is not known"};
    SignatureList signatures;
    for (const auto& signature : answer.signatures()) signatures.push_back(bytes_of(signature));
    return signatures;
}

}  // namespace

auto SigningFlow::on(Stimulus stimulus, Cells cells, const Given& given) -> DecisionType {
    if (!permits(kind_of(stimulus))) return refused_as_out_of_phase();
    if (const auto* committed = std::get_if<Committed>(&stimulus)) {
        if (phase_ == Phase::intent_staged) return enter(*committed);
        return phase_ == Phase::answer_staged ? answer_committed(*committed) : result_committed(*committed);
    }
    if (auto* answered = std::get_if<ModuleAnswered>(&stimulus)) {
        const auto& activation = answered->answer.activation();
        if (activation.credential() != request_->credential || activation.hashes() != request_->hashes ||
            activation.sad() != sha256(request_->sad.reveal()))
            return refused_as_out_of_phase();  // it is the answer to another flow
        module_.emplace(std::move(answered->answer));
        return record_result(std::move(cells));
    }
    if (std::holds_alternative<TryAgain>(stimulus)) return record_result(std::move(cells));
    return intend(std::move(cells), given);
}

auto SigningFlow::intend(Cells cells, const Given& given) -> DecisionType {
    if (request_->hashes.empty()) return refuse(asked, {Errc::hashes_empty});
    auto found = active_credential(std::move(cells.credential));
    if (!found) return refuse(asked, found.error());
    auto& cell = found.value();
    const auto earlier = answered(cell, *request_);
    if (!earlier) return refuse(asked, earlier.error());
    if (earlier.value() != nullptr) {
        auto again = repeated(*earlier.value());
        if (!again) return refuse(asked, again.error());
        return answer_later({}, std::move(again));
    }
    if (const auto use = usable(cell, given.now); !use) return refuse(asked, use.error());
    if (cells.locked_by_floor) return refuse(asked, {Errc::credential_locked});
    const auto kind = key_kind_numbered(cell.key_kind());
    if (!kind || !fits(request_->scheme, *kind))
        return refuse(asked, {Errc::parameter_invalid, "", {"string", "signAlgo"}});
    const auto key = CkaId::from(view_of(cell.cka_id()));
    if (!key) return refuse(asked, {Errc::internal, "the cell has no key"});
    auto activation = SadVerifier::verify(cell, *request_, given.now);
    if (!activation) return refuse(asked, activation.error());

    intent_ = given.next_seq;
    permission_.emplace(std::move(activation.value()), *key, bytes_of(cell.public_key()), cell.shard(), cell.token());
    DecisionType decision;
    decision.records.push_back(
        {Event::sign_intent,
         request_->client.text(),
         request_->credential,
         "ok",
         {{"hashes", std::to_string(request_->hashes.size())}, {"hash_set", hash_set_of(request_->hashes).hex()}}});
    decision.cells.emplace_back(std::move(cell));
    return staged(Phase::intent_staged, std::move(decision));
}

auto SigningFlow::enter(const Committed& committed) -> DecisionType {
    if (!committed.outcome) return answer_now(committed.outcome.error());
    phase_ = Phase::in_module;
    return {.next = std::move(*permission_)};
}

// What became of it, noted in the cell; the answer that will be given once that is durable.
Result<SignatureList> SigningFlow::settle(cell::Credential& cell, Event& event, std::vector<Alarm>& alarms) const {
    auto* answer = answer_to(cell, module_->activation().sad(), request_->idempotency_key);
    // Wrong key, wrong handle, or a lying module: nothing more is signed with this credential.
    if (!module_->verified()) {
        if (cell.state() == cell::Credential::ACTIVE) cell.set_state(cell::Credential::DISABLED);
        if (answer != nullptr) answer->set_done(true);
        event = Event::signature_bad;
        alarms.push_back({"signature-does-not-verify", "credential " + request_->credential.hex()});
        return Error{Errc::internal, "a signature does not verify"};
    }
    if (module_->failure()) {
        // Up to and including what entered C_Sign counts as used, whatever came back.
        SadVerifier::give_back(cell, module_->activation(), module_->used());
        if (module_->used() == 0) forget_answer(cell, module_->activation().sad(), request_->idempotency_key);
        else if (answer != nullptr) answer->set_done(true);
        event = module_->outcome_unknown() ? Event::sign_unknown : Event::sign_failed;
        const auto& error = *module_->failure();  // a key that is not there is ours, not a parameter of the caller's
        return error.code == Errc::token_away ? error : Error{Errc::internal, error.detail};
    }
    event = Event::signed_hashes;
    if (answer != nullptr) {
        answer->set_done(true);
        for (const auto& signature : module_->signatures()) answer->add_signatures(string_of(signature));
    }
    return module_->signatures();
}

// Stages the result; it is released once it is durable.
auto SigningFlow::record_result(Cells cells) -> DecisionType {
    auto found = active_credential(std::move(cells.credential));
    auto event = Event::sign_unknown;
    DecisionType decision;
    auto result = found ? settle(found.value(), event, decision.alarms)
                        : Result<SignatureList>{Error{Errc::internal, "the cell is not there any more"}};
    Fields fields{{"intent", std::to_string(intent_)}};
    if (result) {
        Bytes all;
        for (const auto& signature : result.value()) all.insert(all.end(), signature.begin(), signature.end());
        fields.emplace_back("signatures", std::to_string(result.value().size()));
        fields.emplace_back("digest", sha256(all).hex());
    }
    decision.records.push_back({event, request_->client.text(), request_->credential,
                                result ? "ok" : std::string{name_of(result.error().code)}, std::move(fields)});
    if (found) decision.cells.emplace_back(std::move(found.value()));
    pending_.emplace(std::move(result));
    return staged(phase_ == Phase::in_module ? Phase::result_staged : Phase::late_result_staged, std::move(decision));
}

auto SigningFlow::result_committed(const Committed& committed) -> DecisionType {
    if (phase_ == Phase::result_staged)
        return committed.outcome ? answer_now(std::move(*pending_))
                                 : answer_now(committed.outcome.error(), Phase::unrecorded);
    phase_ = committed.outcome ? Phase::ended : Phase::unrecorded;  // answered already
    return {};
}

}  // namespace qscd::sam
