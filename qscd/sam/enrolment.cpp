#include "qscd/sam/enrolment.hpp"

#include <set>

#include "authn/pin.hpp"
#include "authn/totp.hpp"
#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "base/random.hpp"
#include "protocol/message.hpp"
#include "qscd/sam/activation/credential_rules.hpp"
#include "qscd/sam/certificate_fit.hpp"

namespace qscd::sam {
namespace {

using cell::Credential;

constexpr unsigned code_digits = 6, code_tries = 3;  // [AUTHN-11]
constexpr std::chrono::seconds code_life{300};
constexpr const char* actor = "bootstrap";  // until officers approve by quorum

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

std::string state_name(Credential::State state) {
    switch (state) {
        case Credential::RESERVED: return "reserved";
        case Credential::FACTORS: return "factors";
        case Credential::KEY_INTENDED: return "key-intended";
        case Credential::KEY: return "key";
        case Credential::ACTIVE: return "active";
        case Credential::DISABLED: return "disabled";
        case Credential::DESTROYING: return "destroying";
        case Credential::DESTROYED: return "destroyed";
        default: return "unknown";
    }
}

Error out_of_order(const Credential& cell) {
    return {Errc::out_of_order, "the enrolment is in state " + state_name(cell.state())};
}

pb::Paper paper_in(const std::string& bytes) {
    pb::Paper paper;
    paper.ParseFromString(bytes);
    return paper;
}

Result<Credential> cell_of(Ledger& ledger, const EnrolmentId& enrolment) {
    QSCD_TRY(auto cell, ledger.credential(ledger.credential_of(enrolment)));
    if (!cell) return Error{Errc::parameter_invalid, "no such enrolment", {"string", "enrolment"}};
    return std::move(*cell);
}

CredentialId id_of(const Credential& cell) { return *CredentialId::from(view_of(cell.id())); }

}  // namespace

Result<protocol::Grant> Enrolment::grant_of(const Credential& cell) const {
    return protocol::grant_in(view_of(paper_in(cell.grant()).body()));  // verified when it came, under our digest since
}

void Enrolment::begin(Ledger& ledger, const pb::Paper& paper, Reply<EnrolmentStatus> reply) {
    const auto now = sam_.clock.now();
    const auto refused = [&](Error error) {
        refuse(sam_, ledger, actor, std::nullopt, "begin-enrolment", std::move(error), reply);
    };
    const auto grant = protocol::verify_grant(paper, sam_.paper_keys, now);
    if (!grant) return refused(grant.error());
    const auto& granted = *grant.value();
    const auto* profile = sam_.policy.find(granted.profile);
    if (profile == nullptr || granted.policy_version != sam_.policy.version())
        return refused({Errc::paper_refused, "the Grant was made under another policy"});
    if (grant.value().issuer() == protocol::Issuer::rule_key && profile->type() != policy::CertificateType::lcp)
        return refused({Errc::paper_refused, "the rule key grants LCP only"});
    const auto factors = policy::FactorExpression::pin_and(granted.app_device ? policy::Factor::totp
                                                                              : policy::Factor::sms);
    if (!profile->allows(granted.key_kind) || !profile->allows(*factors) || granted.app_device == granted.phone_device)
        return refused({Errc::paper_refused, "the Grant does not fit its profile"});

    // A device belongs to one signer, and a phone keeps its number. [RA-48]
    auto phone = ledger.device(granted.phone_device);
    if (!phone) return refused(phone.error());
    if (phone.value() && (view_of(phone.value()->signer()).size() != 16 ||
                          !std::ranges::equal(view_of(phone.value()->signer()), granted.signer.bytes()) ||
                          phone.value()->phone() != granted.phone))
        return refused({Errc::paper_refused, "the phone is another's"});
    const auto names_a_credential = [&](const DeviceId& device) {
        const auto found = ledger.credential(*CredentialId::from(device.bytes()));
        return !found || found.value();
    };
    if (names_a_credential(granted.phone_device) || (granted.app_device && names_a_credential(*granted.app_device)))
        return refused({Errc::paper_refused, "a device that is a credential"});
    std::optional<cell::Device> app;
    if (granted.app_device) {
        auto found = ledger.device(*granted.app_device);
        if (!found) return refused(found.error());
        app = found.value();
        if (app && (!std::ranges::equal(view_of(app->signer()), granted.signer.bytes()) || !app->phone().empty()))
            return refused({Errc::paper_refused, "the authenticator app is another's"});
    }

    const auto id = ledger.credential_of(granted.enrolment);
    auto known = ledger.credential(id);
    if (!known) return refused(known.error());
    auto holder = ledger.signer(granted.signer);
    if (!holder) return refused(holder.error());
    if (const auto ready = sam_.secrets.ready(*sam_.core, ledger); !ready) return refused(ready.error());
    Credential cell;
    if (known.value()) {
        cell = std::move(*known.value());
        if (!std::ranges::equal(view_of(cell.grant_digest()), grant.value().digest().bytes()))
            return refused({Errc::paper_refused, "another Grant with this enrolment"});
        if (cell.state() != Credential::RESERVED && cell.state() != Credential::FACTORS)
            return answer_after_commit<EnrolmentStatus>(sam_, {id_of(cell), state_name(cell.state())},
                                                        std::move(reply));
    } else {
        cell.set_id(string_of(id.bytes()));
        cell.set_signer(string_of(granted.signer.bytes()));
        cell.set_enrolment(string_of(granted.enrolment.bytes()));
        cell.set_grant_digest(string_of(grant.value().digest().bytes()));
        cell.set_grant(string_of(protocol::encode(paper)));
        cell.set_profile(granted.profile);
        cell.set_key_kind(static_cast<unsigned>(granted.key_kind));
        cell.set_cka_id(string_of(random_fixed<CkaId>().bytes()));
        cell.set_phone_device(string_of(granted.phone_device.bytes()));
        if (granted.app_device) cell.set_app_device(string_of(granted.app_device->bytes()));
        auto credentials = holder.value().value_or(cell::Signer{});
        credentials.set_id(cell.signer());
        credentials.add_credentials(cell.id());
        ledger.put(credentials);
    }
    if (!phone.value()) {
        cell::Device device;
        device.set_id(string_of(granted.phone_device.bytes()));
        device.set_signer(string_of(granted.signer.bytes()));
        device.set_phone(granted.phone);
        ledger.put(device);
    }
    if (granted.app_device && !app) {
        cell::Device device;
        device.set_id(string_of(granted.app_device->bytes()));
        device.set_signer(string_of(granted.signer.bytes()));
        ledger.put(device);
    }
    // The code goes to the phone in the signed Grant only; asked again, a fresh one goes and the step begins anew.
    const auto code = digits_from(sam_.secrets.random(), code_digits);
    auto& expected = *cell.mutable_code();
    expected.set_process(sam_.process_key.process());
    expected.set_verifier(string_of(sam_.process_key.mac(granted.enrolment.bytes(), code)));
    expected.set_expires_at(unix_seconds(now + code_life));
    expected.set_tries_left(code_tries);
    cell.set_state(Credential::RESERVED);
    ledger.put(cell);
    ledger.record(
        {Event::grant_accepted,
         actor,
         id_of(cell),
         "ok",
         {{"enrolment", granted.enrolment.hex()},
          {"grant", grant.value().digest().hex()},
          {"profile", granted.profile},
          {"granted_by", grant.value().issuer() == protocol::Issuer::rule_key ? "rule key" : "registration officer"}}});
    std::string text = "Your code to set up your signing key: ";
    text.reserve(text.size() + code.size());
    text += text_of(code.reveal());
    auto message = std::make_shared<SecretBytes>(text);
    wipe(text);
    sam_.core->after_commit([this, number = granted.phone, message, status = EnrolmentStatus{id_of(cell), "reserved"},
                             reply](Ledger&, const Result<void>& committed) {
        if (!committed) return reply(committed.error());
        sam_.messenger.send_sms(number, std::move(*message), [status, reply](const Result<void>& sent) {
            if (sent) reply(status);
            else reply(sent.error());
        });
    });
}

void Enrolment::set_factors(Ledger& ledger, std::shared_ptr<FactorsRequest> request, Reply<FactorsAnswer> reply) {
    const auto now = sam_.clock.now();
    auto found = cell_of(ledger, request->enrolment);
    const auto refused = [&](Error error, std::optional<CredentialId> id) {
        refuse(sam_, ledger, actor, id, "set-factors", std::move(error), reply);
    };
    if (!found) return refused(found.error(), std::nullopt);
    auto& cell = found.value();
    const auto id = id_of(cell);
    if (cell.state() != Credential::RESERVED) return refused(out_of_order(cell), id);
    const auto* profile = sam_.policy.find(cell.profile());
    if (profile == nullptr) return refused({Errc::internal, "the policy has no profile " + cell.profile()}, id);
    auto pin = authn::Pin::from(SecretBytes{request->pin.reveal()}, profile->pin().min_digits,
                                profile->pin().max_digits);
    if (!pin) return refused(pin.error(), id);
    if (const auto ready = sam_.secrets.ready(*sam_.core, ledger); !ready) return refused(ready.error(), id);

    auto& code = *cell.mutable_code();
    const bool live = code.process() == sam_.process_key.process() && now < from_unix(code.expires_at()) &&
                      code.tries_left() > 0;
    if (live) code.set_tries_left(code.tries_left() - 1);
    const bool right = live && equal_in_constant_time(sam_.process_key.mac(request->enrolment.bytes(), request->code),
                                                      view_of(code.verifier()));
    if (!right) {
        ledger.put(cell);
        ledger.record({Event::code_wrong, actor, id, std::string{name_of(Errc::factors_wrong)}});
        sam_.core->after_commit([reply](Ledger&, const Result<void>& committed) {
            reply(committed ? Error{Errc::factors_wrong} : committed.error());
        });
        return;
    }
    const auto salt = fixed_from<authn::PinSalt>(sam_.secrets.random());
    const auto pin_key = ledger.pin_key();
    const auto input = pin.value().verifier_input(pin_key.bytes(), id, salt, sam_.policy.version());
    const auto verifier = ledger.custody().pin_mac(pin_key, input);
    if (!verifier) return refused(verifier.error(), id);
    cell.clear_code();
    cell.set_pin_salt(string_of(salt.bytes()));
    cell.set_pin_verifier(string_of(verifier.value()));
    cell.set_pin_key(string_of(pin_key.bytes()));
    cell.set_vouched_epoch(ledger.epoch());
    cell.set_pin_policy(string_of(sam_.policy.version().bytes()));
    cell.set_pin_tries_left(profile->pin().tries);
    cell.set_acceptance(string_of(request->acceptance.bytes()));
    cell.set_state(Credential::FACTORS);

    FactorsAnswer answer{SecretBytes{std::string_view{}}, 0, 0};
    if (held_factor_of(cell) == policy::Factor::totp) {
        auto device = ledger.device(*DeviceId::from(view_of(cell.app_device())));
        if (!device || !device.value())
            return refused({Errc::internal, "the authenticator app's cell is not there"}, id);
        auto& app = *device.value();
        if (!app.confirmed()) {  // made here, shown once; again only while no code of it was ever accepted [AUTHN-22]
            answer = {secret_from(sam_.secrets.random(), authn::totp_secret_size),
                      static_cast<unsigned>(profile->totp()->period.count()), profile->totp()->digits};
            const bool fresh = app.totp_secret().empty();
            app.set_totp_secret(string_of(answer.totp_secret.reveal()));
            app.set_totp_period(answer.period);
            app.set_totp_digits(answer.digits);
            app.set_last_step(fresh ? 0 : app.last_step());
            ledger.put(app);
        }
    }
    ledger.put(cell);
    ledger.record({Event::factors_set,
                   actor,
                   id,
                   "ok",
                   {{"factors", "PIN AND " + std::string{policy::row_of(held_factor_of(cell)).name}},
                    {"acceptance", request->acceptance.hex()}}});
    answer_after_commit<FactorsAnswer>(sam_, std::move(answer), std::move(reply));
}

void Enrolment::create_key(Ledger& ledger, const EnrolmentId& enrolment, Reply<pb::Paper> reply) {
    auto found = cell_of(ledger, enrolment);
    if (!found) return refuse(sam_, ledger, actor, std::nullopt, "create-key", found.error(), reply);
    auto& cell = found.value();
    const auto id = id_of(cell);
    if (!cell.key_proof().empty()) return answer_after_commit<pb::Paper>(sam_, paper_in(cell.key_proof()), reply);
    // Intended, and nobody makes it: the last attempt failed. What it may have left in the token goes first.
    const bool again = cell.state() == Credential::KEY_INTENDED && !making_.contains(id);
    if (cell.state() != Credential::FACTORS && !again)
        return refuse(sam_, ledger, actor, id, "create-key", out_of_order(cell), reply);
    const auto shard = again ? sam_.shards.of(cell) : place(cell);
    if (!shard) return refuse(sam_, ledger, actor, id, "create-key", shard.error(), reply);
    const auto& settings = shard.value()->settings();
    cell.set_shard(settings.number);
    cell.set_token(settings.token);
    cell.set_state(Credential::KEY_INTENDED);
    ledger.put(cell);
    const auto cka_id = *CkaId::from(view_of(cell.cka_id()));
    Fields fields{{"cka_id", cka_id.hex()}, {"token", cell.token()}, {"shard", std::to_string(cell.shard())}};
    if (const auto last = ledger.open_intent(id, true)) fields.emplace_back("intent", std::to_string(*last));
    ledger.record({Event::key_intended, actor, id, "ok", std::move(fields)});
    const auto kind = static_cast<KeyKind>(cell.key_kind());
    sam_.core->after_commit([this, id, cka_id, kind, again, reply, where = shard.value()](
                                Ledger&, const Result<void>& committed) {
        if (!committed) return reply(committed.error());
        if (!making_.insert(id).second) return reply(Error{Errc::out_of_order, "the key is being made"});
        const auto make = [this, id, cka_id, kind, again, reply, where,
                           request = current_request()](hsm::Token& token) {
            const RequestScope scope{request};
            const auto usable = where->usable();
            const auto clean = usable && again ? token.destroy(cka_id) : usable;
            crash_point("samd.key.before-generate");
            auto key = std::make_shared<Result<hsm::GeneratedKey>>(clean ? token.generate(kind, cka_id, cka_id.hex())
                                                                         : Result<hsm::GeneratedKey>{clean.error()});
            crash_point("samd.key.after-generate");
            if (*key) {
                where->settings().attest(key->value());
                where->one_more();
            } else {
                where->saw(key->error());
            }
            sam_.core->post([this, id, key, reply](Ledger& after) { record_key(after, id, std::move(*key), reply); },
                            [reply](const Error& error) { reply(error); });
        };
        where->make(make, [reply] { reply(Error{Errc::service_away, "the SAM stops"}); });
    });
}

Result<Shard*> Enrolment::place(const Credential& cell) {
    const auto* profile = sam_.policy.find(cell.profile());
    if (profile == nullptr) return Error{Errc::internal, "the policy has no profile " + cell.profile()};
    return sam_.shards.place({cell.profile(), has(policy::row_of(profile->type()).qc, policy::Qc::sscd)});
}

void Enrolment::record_key(Ledger& ledger, const CredentialId& id, Result<hsm::GeneratedKey> key,
                           const Reply<pb::Paper>& reply) {
    making_.erase(id);
    auto found = ledger.credential(id);
    if (!found || !found.value()) return reply(Error{Errc::internal, "the cell is not there any more"});
    auto& cell = *found.value();
    const auto back =
        [&](const Error& error) {  // the intent stays; the next attempt clears the token and makes another key
            refuse(sam_, ledger, actor, id, "create-key", error, reply);
        };
    if (!key) return back(key.error());
    if (!made_.insert(sha256(key.value().public_key)).second) {  // the register knows those of older times [QSCD-09]
        note(Level::alarm, "token-repeated-a-key", {{"credential", id.hex()}});
        return back({Errc::internal, "the token made a key that is known already"});
    }
    const auto grant = grant_of(cell);
    if (!grant) return back(grant.error());
    const auto shard = sam_.shards.of(cell);
    if (!shard) return back(shard.error());
    cell.set_public_key(string_of(key.value().public_key));
    for (const auto& [name, value] : key.value().attributes) {
        auto& attribute = *cell.add_attributes();
        attribute.set_name(name);
        attribute.set_value(value);
    }
    const auto enrolment = *EnrolmentId::from(view_of(cell.enrolment()));
    auto proof = ledger.custody().attest(protocol::to_paper(protocol::KeyProof{
        *Sha256Digest::from(view_of(cell.grant_digest())), enrolment, id, static_cast<KeyKind>(cell.key_kind()),
        key.value().public_key, shard.value()->settings().module, key.value().attributes,
        *Sha256Digest::from(view_of(cell.acceptance())), sam_.clock.now()}));
    if (!proof) return back(proof.error());
    cell.set_key_proof(string_of(protocol::encode(proof.value())));
    cell.set_state(Credential::KEY);
    ledger.put(cell);
    Fields fields{{"public_key", sha256(key.value().public_key).hex()},
                  {"cka_id", key.value().key->id().hex()},
                  {"shard", std::to_string(cell.shard())}};
    if (const auto intent = ledger.open_intent(id, true)) fields.emplace_back("intent", std::to_string(*intent));
    ledger.record({Event::key_created, "samd", id, "ok", std::move(fields)});
    answer_after_commit<pb::Paper>(sam_, std::move(proof.value()), reply);
}

void Enrolment::activate(Ledger& ledger, const CertificateRequest& request, Reply<pb::Paper> reply) {
    auto found = cell_of(ledger, request.enrolment);
    if (!found) return refuse(sam_, ledger, actor, std::nullopt, "activate", found.error(), reply);
    auto& cell = found.value();
    const auto id = id_of(cell);
    const auto refused = [&](Error error) { refuse(sam_, ledger, actor, id, "activate", std::move(error), reply); };
    if (!cell.receipt().empty()) {
        if (!std::ranges::equal(view_of(cell.certificate()), request.certificate))
            return refused({Errc::paper_refused, "another certificate for an active credential"});
        return answer_after_commit<pb::Paper>(sam_, paper_in(cell.receipt()), std::move(reply));
    }
    if (cell.state() != Credential::KEY) return refused(out_of_order(cell));
    const auto grant = grant_of(cell);
    if (!grant) return refused(grant.error());
    const auto* profile = sam_.policy.find(cell.profile());
    if (profile == nullptr) return refused({Errc::internal, "the policy has no profile " + cell.profile()});
    const auto& issuer = sam_.issuers.issuer_of(policy::is_qualified(profile->type()));
    const auto fit = certificate_fits(request.certificate, issuer, view_of(cell.public_key()), grant.value().subject,
                                      sam_.clock.now());
    if (!fit) return refused(fit.error());
    auto receipt = ledger.custody().attest(
        protocol::to_paper(protocol::Receipt{request.enrolment, id, sha256(request.certificate), sam_.clock.now()}));
    if (!receipt) return refused(receipt.error());
    cell.set_certificate(string_of(request.certificate));
    cell.set_not_after(unix_seconds(fit.value()));
    cell.set_receipt(string_of(protocol::encode(receipt.value())));
    cell.clear_grant();
    cell.set_state(Credential::ACTIVE);
    ledger.put(cell);
    if (!cell.app_device()
             .empty()) {  // whoever got this far has seen the app's secret: it is not shown again [AUTHN-22]
        auto app = ledger.device(*DeviceId::from(view_of(cell.app_device())));
        if (!app || !app.value()) return refused({Errc::internal, "the authenticator app's cell is not there"});
        app.value()->set_confirmed(true);
        ledger.put(*app.value());
    }
    ledger.record({Event::credential_active, actor, id, "ok", {{"certificate", sha256(request.certificate).hex()}}});
    answer_after_commit<pb::Paper>(sam_, std::move(receipt.value()), std::move(reply));
}

Result<void> Enrolment::sweep(Ledger& ledger) {
    for (const auto& [seq, intent] : std::map{ledger.open_intents()}) {
        if (!intent.key()) continue;
        const auto id = *CredentialId::from(view_of(intent.credential()));
        QSCD_TRY(auto cell, ledger.credential(id));
        if (!cell || cell->state() != Credential::KEY_INTENDED) continue;
        const auto cka_id = *CkaId::from(view_of(cell->cka_id()));
        // Of a shard that is away or not configured: it waits, and the next attempt to make the key begins with it.
        auto* shard = sam_.shards.find(*cell);
        if (shard == nullptr || !shard->usable()) continue;
        const auto gone = shard->token().destroy(cka_id);
        if (!gone && gone.error().code == Errc::token_away) continue;
        QSCD_TRY(gone);
        cell->set_state(Credential::FACTORS);
        cell->set_cka_id(string_of(random_fixed<CkaId>().bytes()));
        ledger.put(*cell);
        ledger.record(
            {Event::key_swept, "samd", id, "ok", {{"intent", std::to_string(seq)}, {"cka_id", cka_id.hex()}}});
    }
    return success();
}

}  // namespace qscd::sam
