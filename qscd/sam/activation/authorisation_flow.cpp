#include "qscd/sam/activation/authorisation_flow.hpp"

#include "authn/pin.hpp"
#include "authn/totp.hpp"
#include "qscd/sam/activation/sad_verifier.hpp"

namespace qscd::sam {
namespace {

constexpr std::string_view asked = "authorize";        // in records of refusals
constexpr unsigned least_digits = 4, most_digits = 8;  // of a PIN, where no profile says more [AUTHN-02]

// Accepts a code whose step lies above all that was used, and above all that could have been used up to the floor [SAM-23];
// the step is then used up for all credentials of the device [AUTHN-16].
bool spend_step(cell::Device& device, const policy::TotpRules& rules, const SecretBytes& code,
                const GivenForFactors& given) {
    const std::chrono::seconds period{device.totp_period()};
    const auto floor = unix_seconds(given.steps_spent) / period.count() + rules.tolerance_steps;
    const auto step = authn::matching_step(SecretBytes{device.totp_secret()}, code,
                                           {period, device.totp_digits(), rules.tolerance_steps}, given.now,
                                           std::max(device.last_step(), floor));
    if (!step) return false;
    device.set_last_step(*step);
    device.set_confirmed(true);
    return true;
}

// An app's cell that can be computed with, or a phone's.
bool whole(const std::optional<cell::Device>& device, bool app) {
    return device && (!app || (device->totp_period() != 0 && !device->totp_secret().empty()));
}

}  // namespace

auto AuthorisationFlow::on(Stimulus stimulus, Cells cells, const GivenForFactors& given) -> DecisionType {
    if (!permits(kind_of(stimulus))) return refused_as_out_of_phase();
    if (const auto* committed = std::get_if<Committed>(&stimulus))
        return phase_ == Phase::factors_staged ? ask_module(*committed, std::move(cells), given)
                                               : answer_committed(*committed);
    if (const auto* evaluated = std::get_if<PinEvaluated>(&stimulus))
        return conclude(*evaluated, std::move(cells), given);
    return spend(std::move(cells), given);
}

const SecretBytes* AuthorisationFlow::value_of(policy::Factor factor) const {
    const auto found = std::ranges::find(request_->factors, policy::row_of(factor).name, &FactorValue::id);
    return found == request_->factors.end() ? nullptr : &found->value;
}

// What must hold before a factor is looked at; nothing is spent when it does not.
Result<void> AuthorisationFlow::admissible(const cell::Credential& cell, const GivenForFactors& given) const {
    QSCD_TRY(usable(cell, given.now));
    if (!profile_->allows(policy::Mode::explicit_mode))
        return Error{Errc::access_denied, "the profile does not take factors in clear"};
    QSCD_TRY(countable(request_->hashes, *profile_));
    if (!has_room_for_sad(cell, given.now)) return Error{Errc::too_many_requests};
    return well_formed();
}

// A PIN and one held factor. Whether it is the one that the credential has is for the compare: it is a wrong code otherwise.
Result<void> AuthorisationFlow::well_formed() const {
    const bool held = value_of(policy::Factor::totp) != nullptr || value_of(policy::Factor::sms) != nullptr;
    if (request_->factors.size() != 2 || value_of(policy::Factor::pin) == nullptr || !held)
        return Error{Errc::factors_wrong};
    return success();
}

// Steps 1 to 4: check; spend the code's try and never give it back; compare the code; when it was right, spend a PIN try
// too. What is staged is the same cells and the same record either way.
auto AuthorisationFlow::spend(Cells cells, const GivenForFactors& given) -> DecisionType {
    const auto& client = request_->client;
    const auto now = given.now;
    if (const auto limit = given.limits.ask(client, now))
        return refuse(asked, {Errc::too_many_requests}, name_of(*limit));
    auto found = active_credential(std::move(cells.credential));
    if (!found)
        return found.error().code == Errc::parameter_invalid ? spend_nothing(given) : refuse(asked, found.error());
    auto& cell = found.value();
    profile_ = given.policy.find(cell.profile());
    if (profile_ == nullptr) return refuse(asked, {Errc::internal, "the policy has no profile " + cell.profile()});
    if (const auto good = admissible(cell, given); !good) return refuse(asked, good.error());
    const bool app = held_factor_of(cell) == policy::Factor::totp;
    if (!cells.held_device || !whole(cells.held_device.value(), app))  // an alarm, not a wrong code
        return refuse(asked, {Errc::internal, "the held factor's device is not there"});
    auto& device = *cells.held_device.value();

    DecisionType decision;
    locked_ = cells.locked_by_floor || cell.pin_tries_left() == 0;
    const auto* code = value_of(held_factor_of(cell));
    if (app) {
        if (const auto limit = too_many(cell, client, tries_of_a_code, profile_->otp_failures_a_day(), now))
            return refuse(asked, {Errc::too_many_requests}, name_of(*limit));
        code_right_ = profile_->totp() && code != nullptr && spend_step(device, *profile_->totp(), *code, given);
        if (!code_right_) count_failed(cell, client, tries_of_a_code, now);
        decision.cells.emplace_back(std::move(device));  // also when nothing changed: the log must not tell which
    } else {
        code_right_ = code != nullptr && spend_challenge(cell, given.process_key, client, request_->hashes, *code, now);
    }
    if (may_evaluate_pin()) cell.set_pin_tries_left(cell.pin_tries_left() - 1);
    decision.cells.emplace_back(std::move(cell));
    return factors_spent(std::move(decision), given);
}

auto AuthorisationFlow::factors_spent(DecisionType decision, const GivenForFactors& given) -> DecisionType {
    if (!may_evaluate_pin())  // counted at once: many may be under way [AUTHN-29]
        decision.alarms = failed_check(given.limits, request_->client, given.now);
    decision.records.push_back({Event::factors_spent,
                                request_->client.text(),
                                request_->credential,
                                "ok",
                                {{"hashes", std::to_string(request_->hashes.size())}}});
    return staged(Phase::factors_staged, std::move(decision));
}

// A credential that is not there answers like a wrong code, after the same work [AUTHN-30].
auto AuthorisationFlow::spend_nothing(const GivenForFactors& given) -> DecisionType {
    if (request_->hashes.empty()) return refuse(asked, {Errc::hashes_empty});
    if (const auto good = well_formed(); !good) return refuse(asked, good.error());
    unknown_ = true;
    return factors_spent({}, given);
}

// Steps 5 and 6: durable, so the PIN may be evaluated. After a wrong code, or for what is no PIN, the module does the same
// work over as many zeros.
auto AuthorisationFlow::ask_module(const Committed& committed, Cells cells, const GivenForFactors& given)
    -> DecisionType {
    if (!committed.outcome) return answer_now(committed.outcome.error());
    cell::Credential cell;
    if (unknown_) {
        cell.set_pin_salt(std::string(authn::PinSalt::size, '\0'));
        cell.set_pin_policy(std::string(Sha256Digest::size, '\0'));
    } else {
        auto found = active_credential(std::move(cells.credential));
        if (!found) return refuse(asked, {Errc::internal, "the cell is not there any more"});
        cell = std::move(found.value());
    }
    const auto least = unknown_ ? least_digits : profile_->pin().min_digits;
    const auto most = unknown_ ? most_digits : profile_->pin().max_digits;
    const auto pin_of = [&](SecretBytes digits) { return authn::Pin::from(std::move(digits), least, most); };
    const auto pin = pin_of(SecretBytes{value_of(policy::Factor::pin)->reveal()});
    const auto stand_in = pin_of(SecretBytes{std::string(least, '0')});
    const auto key = CkaId::from(view_of(cell.pin_key())).value_or(given.pin_key);
    const auto salt = authn::PinSalt::from(view_of(cell.pin_salt()));
    const auto policy_version = Sha256Digest::from(view_of(cell.pin_policy()));
    if (!salt || !policy_version) return refuse(asked, {Errc::internal, "the cell has no PIN"});
    pin_evaluated_ = may_evaluate_pin() && pin;
    const auto input_under = [&](const CkaId& which) {
        auto input =
            (pin ? pin : stand_in).value().verifier_input(which.bytes(), request_->credential, *salt, *policy_version);
        return pin_evaluated_ ? std::move(input) : SecretBytes{ByteView{Bytes(input.size())}};
    };
    EvaluatePin evaluate{key, input_under(key)};
    if (key != given.pin_key) evaluate.renewal = EvaluatePin::Renewal{given.pin_key, input_under(given.pin_key)};
    phase_ = Phase::pin_in_module;
    return {.next = std::move(evaluate)};
}

auto AuthorisationFlow::factors_wrong(bool blocks, std::string_view which) -> DecisionType {
    DecisionType decision;
    decision.records.push_back({Event::authorisation_failed,
                                request_->client.text(),
                                request_->credential,
                                std::string{name_of(Errc::factors_wrong)},
                                {},
                                std::string{which}});
    if (blocks)
        decision.records.push_back(
            {Event::credential_blocked, "samd", request_->credential, "ok", {{"reason", "wrong PINs in a row"}}});
    return answer_later(std::move(decision), Error{Errc::factors_wrong});
}

// Step 7.
auto AuthorisationFlow::conclude(const PinEvaluated& evaluated, Cells cells, const GivenForFactors& given)
    -> DecisionType {
    const auto& client = request_->client;
    if (unknown_)
        return evaluated.mac ? factors_wrong(false, "no such credential") : refuse(asked, evaluated.mac.error());
    auto found = active_credential(std::move(cells.credential));
    if (!found) return refuse(asked, {Errc::internal, "the cell is not there any more"});
    auto& cell = found.value();
    if (!evaluated.mac) {
        auto decision = refuse(asked, evaluated.mac.error());
        if (may_evaluate_pin()) {  // ours to bear: the signer's try was never evaluated
            cell.set_pin_tries_left(cell.pin_tries_left() + 1);
            decision.cells.emplace_back(std::move(cell));
        }
        return decision;
    }
    const bool equal = equal_in_constant_time(evaluated.mac.value(), view_of(cell.pin_verifier()));
    if (locked_ && code_right_)
        return refuse(asked, {Errc::credential_locked});  // to nobody without the code [AUTHN-30]
    if (!equal || !pin_evaluated_) {
        auto decision = factors_wrong(code_right_ && cell.pin_tries_left() == 0, code_right_ ? "PIN" : "held factor");
        if (code_right_) decision.alarms = failed_check(given.limits, client, given.now);
        return decision;
    }
    if (evaluated.renewed) {
        cell.set_pin_verifier(std::string{text_of(*evaluated.renewed)});
        cell.set_pin_key(std::string{text_of(given.pin_key.bytes())});
    }
    if (held_factor_of(cell) == policy::Factor::sms) take_back_challenge(cell, client);
    if (const auto use = usable(cell, given.now); !use) {  // it was disabled while we asked
        auto decision = refuse(asked, use.error());
        decision.cells.emplace_back(std::move(cell));
        return decision;
    }
    cell.set_pin_tries_left(profile_->pin().tries);  // after full success alone [AUTHN-08]
    const auto life = profile_->sad_life();
    forget_old_sads(cell, given.now);
    auto sad = issue_sad(cell, client, request_->hashes, given.now + life, given.random);
    DecisionType decision;
    decision.records.push_back({Event::authorised,
                                client.text(),
                                request_->credential,
                                "ok",
                                {{"hashes", std::to_string(request_->hashes.size())},
                                 {"hash_set", hash_set_of(request_->hashes).hex()},
                                 {"factors", "PIN AND " + std::string{policy::row_of(held_factor_of(cell)).name}}}});
    decision.cells.emplace_back(std::move(cell));
    return answer_later(std::move(decision), AuthorisedSad{std::move(sad), life});
}

}  // namespace qscd::sam
