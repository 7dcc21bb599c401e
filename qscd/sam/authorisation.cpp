#include "qscd/sam/authorisation.hpp"

#include "authn/pin.hpp"
#include "authn/totp.hpp"
#include "qscd/sam/credential_rules.hpp"
#include "qscd/sam/activation/sad_verifier.hpp"

namespace qscd::sam {
namespace {

constexpr std::chrono::hours otp_failure_memory{24};

Error wrong_factors() { return {Errc::factors_wrong}; }

const FactorValue* value_of(const AuthoriseRequest& request, policy::Factor factor) {
    const auto found = std::ranges::find(request.factors, policy::row_of(factor).name, &FactorValue::id);
    return found == request.factors.end() ? nullptr : &*found;
}

void forget_old_failures(cell::Credential& cell, TimePoint now) {
    auto& failures = *cell.mutable_otp_failures();
    failures.erase(std::remove_if(failures.begin(), failures.end(),
                                  [&](std::int64_t at) { return from_unix(at) + otp_failure_memory <= now; }),
                   failures.end());
}

// What must hold before a factor is looked at; nothing is spent when it does not.
Result<void> admissible(const cell::Credential& cell, const policy::Profile& profile, const AuthoriseRequest& request,
                        TimePoint now) {
    QSCD_TRY(usable(cell, now));
    if (!profile.allows(policy::Mode::explicit_mode))
        return Error{Errc::access_denied, "the profile does not take factors in clear"};
    QSCD_TRY(countable(request.hashes, profile));
    if (cell.pin_tries_left() == 0) return Error{Errc::credential_locked};
    if (static_cast<unsigned>(cell.otp_failures_size()) >= profile.otp_failures_a_day() || !has_room_for_sad(cell, now))
        return Error{Errc::too_many_requests};
    const auto held = held_factor_of(cell);
    if (request.factors.size() != 2 || value_of(request, policy::Factor::pin) == nullptr ||
        value_of(request, held) == nullptr)
        return wrong_factors();
    return success();
}

}  // namespace

struct Authorisation::Attempt {
    std::shared_ptr<AuthoriseRequest> request;
    Reply<AuthorisedSad> reply;
    const policy::Profile* profile = nullptr;
    bool held_factor_right = false;
};

void Authorisation::open_challenge(Ledger& ledger, std::shared_ptr<ChallengeRequest> request,
                                   Reply<std::chrono::seconds> reply) {
    const auto now = sam_.clock.now();
    const auto refused = [&](Error error) {
        refuse(sam_, ledger, request->client.text(), request->credential, "getChallenge", std::move(error), reply);
    };
    auto found = active_credential(ledger, request->credential);
    if (!found) return refused(found.error());
    auto& cell = found.value();
    const auto* profile = sam_.policy.find(cell.profile());
    if (const auto use = usable(cell, now); !use) return refused(use.error());
    if (profile == nullptr || !profile->allows(policy::Mode::explicit_mode)) return refused({Errc::access_denied});
    if (held_factor_of(cell) != policy::Factor::sms || request->factor != policy::row_of(policy::Factor::sms).name ||
        !profile->sms())
        return refused({Errc::parameter_invalid, "", {"string", "authObjectID"}});
    if (request->hashes.empty()) {
        if (profile->regime() != policy::Regime::trial) return refused({Errc::hashes_empty});
    } else if (const auto counted = countable(request->hashes, *profile); !counted) {
        return refused(counted.error());
    }
    if (cell.pin_tries_left() == 0) return refused({Errc::credential_locked});
    forget_old_failures(cell, now);
    if (static_cast<unsigned>(cell.otp_failures_size()) >= profile->otp_failures_a_day())
        return refused({Errc::too_many_requests});
    const auto phone = ledger.device(*DeviceId::from(view_of(cell.phone_device())));
    if (!phone || !phone.value()) return refused({Errc::internal, "the credential's phone is not there"});

    auto opened = sam::open_challenge(cell, sam_.process_key, *profile->sms(), request->client, request->hashes, now);
    ledger.put(cell);
    ledger.record({Event::challenge_opened,
                   request->client.text(),
                   request->credential,
                   "ok",
                   {{"factor", request->factor},
                    {"hashes", std::to_string(request->hashes.size())},
                    {"document_code", opened.document_code}}});
    auto text = std::make_shared<SecretBytes>(std::move(opened.text));
    sam_.core->after_commit([this, number = phone.value()->phone(), text, life = profile->sms()->life, reply](
                                Ledger&, const Result<void>& committed) {
        if (!committed) return reply(committed.error());
        sam_.messenger.send_sms(number, std::move(*text), [life, reply](const Result<void>& sent) {
            if (sent) reply(life);
            else reply(sent.error());
        });
    });
}

void Authorisation::authorise(Ledger& ledger, std::shared_ptr<AuthoriseRequest> request, Reply<AuthorisedSad> reply) {
    auto attempt = std::make_shared<Attempt>(Attempt{std::move(request), std::move(reply)});
    auto& strand = strands_[attempt->request->credential];
    strand.push_back(attempt);
    if (strand.size() == 1) spend(ledger, std::move(attempt));
}

// Steps 1 to 4: check, spend the OTP try in memory and never give it back, compare the OTP; if it matched, spend the PIN
// try too. Nothing is revealed before the commit.
void Authorisation::spend(Ledger& ledger, std::shared_ptr<Attempt> attempt) {
    const auto& request = *attempt->request;
    const auto now = sam_.clock.now();
    const auto refused = [&](const Error& error) {
        ledger.record({Event::refused,
                       request.client.text(),
                       request.credential,
                       std::string{name_of(error.code)},
                       {{"request", "authorize"}}});
        finish(ledger, attempt, error);
    };
    auto found = active_credential(ledger, request.credential);
    if (!found) return refused(found.error());
    auto& cell = found.value();
    attempt->profile = sam_.policy.find(cell.profile());
    if (attempt->profile == nullptr) return refused({Errc::internal, "the policy has no profile " + cell.profile()});
    forget_old_failures(cell, now);
    if (const auto good = admissible(cell, *attempt->profile, request, now); !good) return refused(good.error());

    if (!cell.app_device().empty()) {  // a device that was changed in the store is an alarm, not a wrong code
        const auto device = ledger.device(*DeviceId::from(view_of(cell.app_device())));
        if (!device || !device.value()) return refused({Errc::internal, "the authenticator app's cell"});
    }
    const auto& held = *value_of(request, held_factor_of(cell));
    attempt->held_factor_right = held_factor_is_right(ledger, cell, request, *attempt->profile, held);
    if (attempt->held_factor_right) cell.set_pin_tries_left(cell.pin_tries_left() - 1);
    else cell.add_otp_failures(unix_seconds(now));
    ledger.put(cell);
    ledger.record({Event::factors_spent,
                   request.client.text(),
                   request.credential,
                   "ok",
                   {{"hashes", std::to_string(request.hashes.size())}}});
    sam_.core->after_commit([this, attempt](Ledger& after, const Result<void>& committed) {
        if (!committed) return finish(after, attempt, committed.error());
        compare(after, attempt);
    });
}

bool Authorisation::held_factor_is_right(Ledger& ledger, cell::Credential& cell, const AuthoriseRequest& request,
                                         const policy::Profile& profile, const FactorValue& value) {
    const auto now = sam_.clock.now();
    if (held_factor_of(cell) == policy::Factor::sms)
        return spend_challenge(cell, sam_.process_key, request.client, request.hashes, value.value, now);
    const auto found = ledger.device(*DeviceId::from(view_of(cell.app_device())));
    if (!found || !found.value() || !profile.totp()) return false;
    auto device = *found.value();
    const authn::TotpRules rules{std::chrono::seconds{device.totp_period()}, device.totp_digits(),
                                 profile.totp()->tolerance_steps};
    const auto step = authn::matching_step(SecretBytes{device.totp_secret()}, value.value, rules, now,
                                           device.last_step());
    if (!step) return false;
    device.set_last_step(*step);  // one for all credentials of the device [AUTHN-16]
    device.set_confirmed(true);
    ledger.put(device);
    return true;
}

// Steps 6 and 7: after the commit compare the PIN; after a wrong OTP do the same module work over dummy data.
void Authorisation::compare(Ledger& ledger, const std::shared_ptr<Attempt>& attempt) {
    const auto& request = *attempt->request;
    auto found = ledger.credential(request.credential);
    if (!found || !found.value())
        return finish(ledger, attempt, Error{Errc::internal, "the cell is not there any more"});
    auto& cell = *found.value();
    const auto& pin_value = value_of(request, policy::Factor::pin)->value;
    const auto& rules = attempt->profile->pin();
    auto pin = authn::Pin::from(SecretBytes{pin_value.reveal()}, rules.min_digits, rules.max_digits);
    const bool evaluated = attempt->held_factor_right && pin;
    const SecretBytes input = evaluated
                                  ? pin.value().verifier_input(ledger.keys().pin_key_id().bytes(), request.credential,
                                                               *authn::PinSalt::from(view_of(cell.pin_salt())),
                                                               *Sha256Digest::from(view_of(cell.pin_policy())))
                                  : SecretBytes{ByteView{Bytes(128)}};
    const auto mac = ledger.keys().pin_mac(input);
    if (!mac) {
        if (attempt->held_factor_right) {  // ours to bear: the signer's try was never evaluated
            cell.set_pin_tries_left(cell.pin_tries_left() + 1);
            ledger.put(cell);
        }
        ledger.record({Event::refused,
                       request.client.text(),
                       request.credential,
                       std::string{name_of(mac.error().code)},
                       {{"request", "authorize"}}});
        return finish(ledger, attempt, mac.error());
    }
    const bool right = evaluated && equal_in_constant_time(mac.value(), view_of(cell.pin_verifier()));
    if (!right) {
        const bool blocked = attempt->held_factor_right && cell.pin_tries_left() == 0;
        ledger.record({Event::authorisation_failed,
                       request.client.text(),
                       request.credential,
                       std::string{name_of(Errc::factors_wrong)},
                       {},
                       attempt->held_factor_right ? "PIN" : "held factor"});
        if (blocked)
            ledger.record(
                {Event::credential_blocked, "samd", request.credential, "ok", {{"reason", "wrong PINs in a row"}}});
        return finish(ledger, attempt, wrong_factors());
    }
    const auto now = sam_.clock.now();
    const auto life = attempt->profile->sad_life();
    cell.set_pin_tries_left(rules.tries);
    cell.clear_otp_failures();
    forget_old_sads(cell, now);
    auto sad = issue_sad(cell, request.client, request.hashes, now + life);
    ledger.put(cell);
    ledger.record({Event::authorised,
                   request.client.text(),
                   request.credential,
                   "ok",
                   {{"hashes", std::to_string(request.hashes.size())},
                    {"hash_set", hash_set_of(request.hashes).hex()},
                    {"factors", "PIN AND " + std::string{policy::row_of(held_factor_of(cell)).name}}}});
    finish(ledger, attempt, AuthorisedSad{std::move(sad), life});
}

// Step 8: answer after the commit, and let the next attempt on this credential begin.
void Authorisation::finish(Ledger&, const std::shared_ptr<Attempt>& attempt, const Result<AuthorisedSad>& result) {
    auto kept = std::make_shared<Result<AuthorisedSad>>(
        result
            ? Result<AuthorisedSad>{AuthorisedSad{SecretBytes{result.value().sad.reveal()}, result.value().expires_in}}
            : Result<AuthorisedSad>{result.error()});
    sam_.core->after_commit([this, attempt, kept](Ledger& after, const Result<void>& committed) {
        if (committed) attempt->reply(*kept);
        else attempt->reply(committed.error());
        const auto found = strands_.find(attempt->request->credential);
        found->second.pop_front();
        if (found->second.empty()) strands_.erase(found);
        else spend(after, found->second.front());
    });
}

}  // namespace qscd::sam
