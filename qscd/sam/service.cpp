#include "qscd/sam/service.hpp"

#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "base/process/confinement.hpp"
#include "protocol/sam.pb.h"
#include "qscd/sam/activation/credential_rules.hpp"
#include "qscd/sam/permitted.hpp"

namespace qscd::sam {
namespace {

using protocol::Responder;

constexpr int most_hashes = 100;
constexpr std::size_t longest_idempotency_key = 128, longest_factor = 64, longest_sad = 64;
constexpr std::size_t longest_reason = 200;
constexpr unsigned most_records = 1000;
constexpr std::size_t records_room = 60 * 1024;  // bytes in one answer
constexpr std::size_t most_heads = 150;          // in one answer: 350 bytes each

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

Error invalid(std::string_view name) { return {Errc::parameter_invalid, "", {"string", std::string{name}}}; }

template <class Id>
Result<Id> id_in(const std::string& bytes, std::string_view name) {
    const auto id = Id::from(view_of(bytes));
    if (!id) return invalid(name);
    return *id;
}

template <class Hashes>
Result<std::vector<DtbsR>> hashes_in(unsigned algorithm, const Hashes& hashes) {
    std::vector<DtbsR> out;
    if (hashes.empty()) return out;
    if (hashes.size() > most_hashes) return Error{Errc::too_many_signatures};
    if (algorithm < 1 || algorithm > hash_rows.size()) return invalid("hashAlgorithmOID");
    for (const auto& hash : hashes) {
        QSCD_TRY(auto dtbsr, DtbsR::from(static_cast<HashAlgorithm>(algorithm), view_of(hash)));
        out.push_back(std::move(dtbsr));
    }
    return out;
}

// Errors that travel to the gateway say nothing that only the log may say.
Error outward(const Error& error) {
    if (error.code == Errc::factors_wrong) return {Errc::factors_wrong};
    return error;
}

template <class T, class Convert>
Reply<T> through(Responder responder, Convert convert) {
    return [responder, convert](const Result<T>& result) {
        if (result) responder.answer(convert(result.value()));
        else responder.fail(outward(result.error()));
    };
}

pb::CredentialDescription description_of(const cell::Credential& cell) {
    pb::CredentialDescription out;
    out.set_credential(cell.id());
    out.set_signer(cell.signer());
    out.set_status(cell.state() == cell::Credential::ACTIVE     ? pb::CredentialDescription::ACTIVE
                   : cell.state() >= cell::Credential::DISABLED ? pb::CredentialDescription::DISABLED
                                                                : pb::CredentialDescription::ENROLLING);
    out.set_key_kind(cell.key_kind());
    out.set_profile(cell.profile());
    out.set_certificate(cell.certificate());
    return out;
}

void describe_shards(const Shards& shards, pb::SamHealthReport& report) {
    for (const auto& shard : shards.all()) {
        const auto load = shard->load();
        const auto usable = shard->usable();
        auto& out = *report.add_shards();
        out.set_number(load.number);
        out.set_token(shard->settings().token);
        out.set_module(shard->settings().module);
        out.set_usable(usable.has_value());
        if (!usable) out.set_detail(usable.error().detail);
        out.set_accepts_new(load.accepts_new);
        out.set_keys(load.keys);
        out.set_limit(load.limit);
    }
}

Result<ChallengeRequest> parse(const pb::OpenChallenge& in) {
    QSCD_TRY(auto client, ClientId::from(in.client()));
    QSCD_TRY(auto credential, id_in<CredentialId>(in.credential(), "credentialID"));
    QSCD_TRY(auto hashes, hashes_in(in.hash_algorithm(), in.hashes()));
    if (in.factor().size() > 32) return invalid("authObjectID");
    return ChallengeRequest{std::move(client), credential, in.factor(), std::move(hashes)};
}

Result<AuthoriseRequest> parse(pb::Authorise& in) {
    std::vector<FactorValue> factors;
    bool sized = true;
    for (auto& factor : *in.mutable_factors()) {
        sized = sized && factor.id().size() <= 32 && factor.value().size() <= longest_factor;
        factors.push_back({factor.id(), SecretBytes{factor.value()}});
        wipe(*factor.mutable_value());
    }
    QSCD_TRY(auto client, ClientId::from(in.client()));
    QSCD_TRY(auto credential, id_in<CredentialId>(in.credential(), "credentialID"));
    QSCD_TRY(auto hashes, hashes_in(in.hash_algorithm(), in.hashes()));
    if (!sized) return invalid("authData");
    return AuthoriseRequest{std::move(client), credential, std::move(hashes), std::move(factors)};
}

Result<SignRequest> parse(pb::SignHash& in) {
    SecretBytes sad{in.sad()};
    wipe(*in.mutable_sad());
    QSCD_TRY(auto client, ClientId::from(in.client()));
    QSCD_TRY(auto credential, id_in<CredentialId>(in.credential(), "credentialID"));
    QSCD_TRY(auto hashes, hashes_in(in.hash_algorithm(), in.hashes()));
    if (hashes.empty()) return Error{Errc::hashes_empty};
    if (in.scheme() < 1 || in.scheme() > 3) return invalid("signAlgo");
    if (in.idempotency_key().size() > longest_idempotency_key) return invalid("Idempotency-Key");
    if (sad.size() > longest_sad) return invalid("SAD");
    return SignRequest{
        std::move(client),   credential, std::move(sad), std::move(hashes), static_cast<Scheme>(in.scheme()),
        in.idempotency_key()};
}

Result<FactorsRequest> parse(pb::SetFactors& in) {
    SecretBytes pin{in.pin()}, code{in.code()};
    wipe(*in.mutable_pin());
    wipe(*in.mutable_code());
    QSCD_TRY(auto enrolment, id_in<EnrolmentId>(in.enrolment(), "enrolment"));
    QSCD_TRY(auto acceptance, id_in<Sha256Digest>(in.acceptance_digest(), "acceptance_digest"));
    return FactorsRequest{enrolment, std::move(pin), std::move(code), acceptance};
}

}  // namespace

void Service::handle(const std::string& role, ByteView bytes, const Responder& responder) {
    auto decoded = protocol::decode<pb::SamRequest>(bytes);
    if (!decoded) return responder.fail(decoded.error());
    const auto which = decoded.value().request_case();
    const auto refused = [responder](const Error& error) { responder.fail(error); };
    if (!permitted(which, role)) {
        note(Level::alarm, "request-of-another-role", {{"role", role}, {"request", std::to_string(which)}});
        const std::string request{which == pb::SamRequest::REQUEST_NOT_SET
                                      ? "none"
                                      : pb::SamRequest::descriptor()->FindFieldByNumber(which)->name()};
        const Reply<pb::Done> reply = [responder](const Result<pb::Done>& result) { responder.fail(result.error()); };
        return sam_.core->post(
            [=, this](Ledger& ledger) {  // on the record, too [SAM-10]
                refuse(sam_, ledger, role, std::nullopt, request, {Errc::access_denied, "not for " + role}, reply);
            },
            refused);
    }
    auto message = std::make_shared<pb::SamRequest>(std::move(decoded.value()));
    // Parses here, on the channel's thread; the step gets our own type.
    const auto with = [&](auto parsed, auto step) {
        if (!parsed) return responder.fail(parsed.error());
        auto request = std::make_shared<typename decltype(parsed)::value_type>(std::move(parsed.value()));
        sam_.core->post([request, step](Ledger& ledger) { step(ledger, request); }, refused);
    };
    // The same for what hangs on the time of day.
    const auto timely = [&](auto parsed, auto step) {
        const auto told = std::string{pb::SamRequest::descriptor()->FindFieldByNumber(which)->name()};
        return with(std::move(parsed), [=, this](Ledger& ledger, auto request) {
            if (const auto good = clock_.look(); !good)
                return refuse(sam_, ledger, request->client.text(), request->credential, told, good.error(),
                              Reply<pb::Done>{[responder](const auto& result) { responder.fail(result.error()); }});
            step(ledger, request);
        });
    };
    switch (which) {
        case pb::SamRequest::kDescribe:
            return with(id_in<CredentialId>(message->describe().credential(), "credentialID"),
                        [=, this](Ledger& ledger, auto id) {
                            const auto cell = ledger.credential(*id);
                            if (!cell) return responder.fail(cell.error());
                            if (!cell.value()) return responder.fail(invalid("credentialID"));
                            answer_after_commit<pb::CredentialDescription>(
                                sam_, description_of(*cell.value()),
                                through<pb::CredentialDescription>(responder, std::identity{}));
                        });
        case pb::SamRequest::kList:
            return with(id_in<SignerId>(message->list().signer(), "userID"), [=](Ledger& ledger, auto id) {
                const auto signer = ledger.signer(*id);
                if (!signer) return responder.fail(signer.error());
                pb::CredentialList out;
                if (signer.value()) *out.mutable_credentials() = signer.value()->credentials();
                responder.answer(out);
            });
        case pb::SamRequest::kOpenChallenge:
            return timely(parse(message->open_challenge()), [=, this](Ledger& ledger, auto request) {
                authorisation_.open_challenge(ledger, request,
                                              through<std::chrono::seconds>(responder, [](const auto& life) {
                                                  pb::ChallengeOpened out;
                                                  out.set_expires_in(static_cast<unsigned>(life.count()));
                                                  return out;
                                              }));
            });
        case pb::SamRequest::kAuthorise:
            return timely(parse(*message->mutable_authorise()), [=, this](Ledger& ledger, auto request) {
                authorisation_.authorise(ledger, request,
                                         through<AuthorisedSad>(responder, [](const AuthorisedSad& sad) {
                                             pb::Authorised out;
                                             out.set_sad(string_of(sad.sad.reveal()));
                                             out.set_expires_in(static_cast<unsigned>(sad.expires_in.count()));
                                             return out;
                                         }));
            });
        case pb::SamRequest::kSign:
            return timely(parse(*message->mutable_sign()), [=, this](Ledger& ledger, auto request) {
                signing_.sign(ledger, request, through<SignatureList>(responder, [](const SignatureList& signatures) {
                                  pb::Signatures out;
                                  for (const auto& signature : signatures) out.add_signatures(string_of(signature));
                                  return out;
                              }));
            });
        case pb::SamRequest::kBeginEnrolment:
            return sam_.core->post(
                [=, this](Ledger& ledger) {
                    enrolment_.begin(ledger, message->begin_enrolment().grant(),
                                     through<EnrolmentStatus>(responder, [](const EnrolmentStatus& status) {
                                         pb::EnrolmentState out;
                                         out.set_credential(string_of(status.credential.bytes()));
                                         out.set_state(status.state);
                                         return out;
                                     }));
                },
                refused);
        case pb::SamRequest::kSetFactors:
            return with(parse(*message->mutable_set_factors()), [=, this](Ledger& ledger, auto request) {
                enrolment_.set_factors(ledger, request,
                                       through<FactorsAnswer>(responder, [](const FactorsAnswer& factors) {
                                           pb::FactorsSet out;
                                           out.set_totp_secret(string_of(factors.totp_secret.reveal()));
                                           out.set_totp_period(factors.period);
                                           out.set_totp_digits(factors.digits);
                                           return out;
                                       }));
            });
        case pb::SamRequest::kCreateKey:
            return with(
                id_in<EnrolmentId>(message->create_key().enrolment(), "enrolment"), [=, this](Ledger& ledger, auto id) {
                    enrolment_.create_key(ledger, *id, through<pb::Paper>(responder, [](const pb::Paper& paper) {
                                              pb::SignedPaper out;
                                              *out.mutable_paper() = paper;
                                              return out;
                                          }));
                });
        case pb::SamRequest::kActivate:
            return with(id_in<EnrolmentId>(message->activate().enrolment(), "enrolment"),
                        [=, this](Ledger& ledger, auto id) {
                            enrolment_.activate(ledger, {*id, bytes_of(message->activate().certificate())},
                                                through<pb::Paper>(responder, [](const pb::Paper& paper) {
                                                    pb::SignedPaper out;
                                                    *out.mutable_paper() = paper;
                                                    return out;
                                                }));
                        });
        case pb::SamRequest::kSetStatus:
            return with(id_in<CredentialId>(message->set_status().credential(), "credentialID"), [=, this](
                                                                                                     Ledger& ledger,
                                                                                                     auto id) {
                const auto& wanted = message->set_status();
                const Reply<pb::Done> reply = through<pb::Done>(responder, [](const pb::Done& done) { return done; });
                auto cell = active_credential(ledger.credential(*id));
                if (!cell) return refuse(sam_, ledger, role, *id, "set-status", cell.error(), reply);
                if (cell.value().state() > cell::Credential::DISABLED)
                    return refuse(sam_, ledger, role, *id, "set-status",
                                  {Errc::out_of_order, "its key is destroyed: that is for good"}, reply);
                cell.value().set_state(wanted.disabled() ? cell::Credential::DISABLED : cell::Credential::ACTIVE);
                // Its SAD tokens and counters may be older than what was done with them.
                if (cell.value().vouched_epoch() < ledger.floors().locked_before()) {
                    cell.value().clear_sads();
                    cell.value().clear_challenge();
                }
                cell.value().set_vouched_epoch(ledger.epoch());
                ledger.put(cell.value());
                ledger.record({wanted.disabled() ? Event::credential_disabled : Event::credential_enabled,
                               role,
                               *id,
                               "ok",
                               {{"reason", wanted.reason().substr(0, 200)}}});
                answer_after_commit<pb::Done>(sam_, pb::Done{}, reply);
            });
        case pb::SamRequest::kDestroy: {
            const auto& reason = message->destroy().reason();
            if (reason.empty() || reason.size() > longest_reason) return responder.fail(invalid("reason"));
            return with(id_in<CredentialId>(message->destroy().credential(), "credentialID"), [=, this](Ledger& ledger,
                                                                                                        auto id) {
                destruction_.destroy(ledger, role, *id, message->destroy().reason(),
                                     through<pb::Done>(responder, [](const pb::Done& done) { return done; }));
            });
        }
        case pb::SamRequest::kReadLog:
            return sam_.core->post(
                [=](Ledger& ledger) {
                    const auto& wanted = message->read_log();
                    const auto records = ledger.records(wanted.from(), std::min(wanted.count(), most_records),
                                                        records_room);
                    if (!records) return responder.fail(records.error());
                    pb::LogRecords out;
                    for (const auto& record : records.value()) out.add_records(string_of(record));
                    out.set_size(ledger.size());
                    responder.answer(out);
                },
                refused);
        case pb::SamRequest::kReadHeads:
            return sam_.core->post(
                [=](Ledger& ledger) {
                    const auto heads = ledger.heads(message->read_heads().from(), most_heads);
                    if (!heads) return responder.fail(heads.error());
                    pb::LogHeads out;
                    for (const auto& head : heads.value()) {
                        out.add_texts(head.text);
                        out.add_sizes(head.size);
                    }
                    out.set_genesis(string_of(protocol::encode(ledger.custody().genesis())));  // one encoding only
                    out.set_size(ledger.size());
                    responder.answer(out);
                },
                refused);
        case pb::SamRequest::kHealth: {
            const auto report = [this, responder](const Result<void>& condition, std::uint64_t size) {
                pb::SamHealthReport out;
                const auto clock = clock_.look();
                const auto random = sam_.secrets.condition();  // without it the module is of no use
                describe_shards(sam_.shards, out);
                out.set_tokens(sam_.shards.some_usable() && sam_.own_token.reachable() && random &&
                               (condition || condition.error().code != Errc::token_away));
                out.set_store(condition ||
                              (condition.error().code != Errc::store_away && condition.error().code != Errc::sealed));
                if (!condition) out.set_detail(describe(condition.error()));
                out.set_log_size(size);
                for (auto& each : process::confinement().missing()) out.add_missing(std::move(each));
                out.set_clock(clock_.state());
                if (condition && !clock) out.set_detail(describe(clock.error()));
                if (condition && clock && !random) out.set_detail(describe(random.error()));
                responder.answer(out);
            };
            return sam_.core->post([report](Ledger& ledger) { report(success(), ledger.size()); },
                                   [report](const Error& error) { report(error, 0); });
        }
        case pb::SamRequest::kUnseal: {
            const auto& reason = message->unseal().reason();
            if (reason.empty() || reason.size() > longest_reason) return responder.fail(invalid("reason"));
            return sam_.core->unseal({reason}, [responder](const Result<void>& done) {
                if (done) responder.answer(pb::Done{});
                else responder.fail(done.error());
            });
        }
        case pb::SamRequest::kRotateKeys: {
            const auto& reason = message->rotate_keys().reason();
            if (reason.empty() || reason.size() > longest_reason) return responder.fail(invalid("reason"));
            return sam_.core->rotate_keys(reason, [responder](const Result<void>& done) {
                if (done) responder.answer(pb::Done{});
                else responder.fail(done.error());
            });
        }
        case pb::SamRequest::REQUEST_NOT_SET: break;
    }
    responder.fail({Errc::parameter_missing, "no request"});
}

Result<std::unique_ptr<Ledger>> Service::take_over(StateStore& store, Custody& custody, const Opening& opening) {
    // The trial bit is set at genesis only: no configuration turns a SAM that is not for trial into one that is.
    if (sam_.policy.has_trial() && !custody.genesis().trial())
        return Error{Errc::configuration, "the policy has trial profiles and this SAM's genesis is not for trial"};
    if (!has_process_key_) {
        QSCD_TRY(sam_.secrets.ready());
        sam_.process_key = ProcessKey{sam_.secrets.random()};
        has_process_key_ = true;
    }
    // Before anything is served, where the tokens are there; of those that are away, by the roll call when they are back.
    std::vector<Shard*> claimed;
    for (const auto& shard : sam_.shards.all()) {
        if (!shard->usable()) continue;
        const auto claim = shard->check_claim(custody.genesis_digest());
        if (claim && claim.value() == Claim::fresh) claimed.push_back(shard.get());
    }
    auto taken = Ledger::open(store, custody, sam_.clock,
                              {opening.unseal, opening.keys, {{"policy", sam_.policy.version().hex()}}});
    if (!taken) return taken;
    auto& ledger = *taken.value();
    for (auto* shard : claimed) roll_call_.tell_claim(ledger, *shard);
    // An intent without a result: its outcome is not known, and its occurrences stay used. A rotation leaves them open:
    // whoever works on them goes on.
    for (const auto& [seq, intent] : std::map{ledger.open_intents()}) {
        if (intent.key() || opening.keys) continue;
        const auto id = *CredentialId::from(view_of(intent.credential()));
        ledger.record({Event::sign_unknown,
                       "samd",
                       id,
                       std::string{name_of(Errc::internal)},
                       {{"intent", std::to_string(seq)}, {"reason", "found at start"}}});
        QSCD_TRY(auto cell, ledger.credential(id));
        if (!cell) continue;
        for (auto& sad : *cell->mutable_sads())
            for (auto& answer : *sad.mutable_answered()) answer.set_done(true);
        ledger.put(*cell);
    }
    QSCD_TRY(enrolment_.sweep(ledger));
    QSCD_TRY(authorisation_.recall(ledger));
    crash_point("samd.takeover.before-commit");
    QSCD_TRY(ledger.commit());
    crash_point("samd.takeover.after-commit");
    return taken;
}

}  // namespace qscd::sam
