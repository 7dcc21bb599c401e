// Signers, portals, and whoever acts in their name.
#include "authn/pin.hpp"
#include "qscd/sam/activation/sad_verifier.hpp"
#include "tests/simulation/world.hpp"

namespace qscd::sam::simulation {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

std::string wrong(std::string digits) {
    digits.back() = digits.back() == '9' ? '0' : static_cast<char>(digits.back() + 1);
    return digits;
}

std::uint64_t short_name(ByteView bytes) {
    std::uint64_t out = 0;
    std::memcpy(&out, bytes.data(), sizeof out);
    return out;
}

}  // namespace

std::string World::current_code(const Signer& signer) const {
    if (signer.enrolled.totp_secret.empty()) return signer.last_code;
    return totp_code(signer.enrolled.totp_secret, unix_seconds(clock_.now()) / totp_period);
}

std::size_t World::make_signer() {
    const auto index = signers_.size();
    const bool app = dice_.chance(0.7);
    const auto id = dice_.fixed<CredentialId>();
    const std::string profile = !app ? "sms" : dice_.chance(0.5) ? "app" : "app-long";
    const auto* rules = around_.policy.find(profile);
    Signer signer{{id, {}, rules->pin().tries, {}, index}, {}, {}, {}};
    for (int i = 0; i < 6; ++i) signer.enrolled.pin += static_cast<char>('0' + dice_.below(10));
    // Now and then a second credential on the same app.
    const bool shared = app && index > 0 && signers_[index - 1].device.totp_period() != 0 && dice_.chance(0.2);
    if (shared) {
        signer.device = signers_[index - 1].device;
        signer.enrolled.device = signers_[index - 1].enrolled.device;
    } else {
        signer.device.set_id(string_of(dice_.fixed<DeviceId>().bytes()));
        if (app) {
            signer.device.set_totp_secret(string_of(ByteView{dice_.fixed<Sha256Digest>().bytes()}.first(20)));
            signer.device.set_totp_period(totp_period);
            signer.device.set_totp_digits(6);
        } else {
            signer.device.set_phone("+1555" + std::to_string(1'000'000 + index));
            by_phone_[signer.device.phone()] = index;
        }
    }
    signer.enrolled.totp_secret = bytes_of(signer.device.totp_secret());
    auto& cell = signer.cell;
    cell.set_id(string_of(id.bytes()));
    cell.set_state(cell::Credential::ACTIVE);
    cell.set_profile(profile);
    cell.set_key_kind(static_cast<unsigned>(KeyKind::p256));
    cell.set_cka_id(cell.id());
    cell.set_not_after(unix_seconds(clock_.now() + std::chrono::days{900}));
    cell.set_phone_device(signer.device.id());
    if (app) cell.set_app_device(signer.device.id());
    const auto salt = dice_.fixed<authn::PinSalt>();
    const auto version = around_.policy.version();
    cell.set_pin_salt(string_of(salt.bytes()));
    cell.set_pin_policy(string_of(version.bytes()));
    cell.set_pin_key(string_of(token_.pin_key().bytes()));
    const auto pin = authn::Pin::from(SecretBytes{signer.enrolled.pin}, 4, 8).value();
    cell.set_pin_verifier(string_of(
        token_.pin_mac(token_.pin_key(), pin.verifier_input(token_.pin_key().bytes(), id, salt, version).reveal())));
    cell.set_pin_tries_left(signer.enrolled.tries);
    books_.enrolled(signer.enrolled);
    signers_.push_back(std::move(signer));
    return index;
}

// As registration would leave it.
void World::enrol(std::size_t index) {
    auto* life = route();
    if (life == nullptr) return;
    life->owner.post([this, index, life](Ledger& ledger) {
        auto& signer = signers_[index];
        if (ledger.knows(signer.enrolled.credential))
            return life->owner.after_commit(
                [this, index](const Result<void>& committed) { signers_[index].live = static_cast<bool>(committed); });
        signer.cell.set_vouched_epoch(ledger.epoch());
        const auto device = ledger.device(*DeviceId::from(view_of(signer.device.id())));
        if (!device) return;
        if (!device.value()) ledger.put(signer.device);
        ledger.put(signer.cell);
        ledger.record({Event::credential_active, "registration", signer.enrolled.credential});
        life->owner.after_commit([this, index](const Result<void>& committed) {
            signers_[index].live = static_cast<bool>(committed);
            happened(Kind::enrolled, index, committed ? 0 : static_cast<unsigned>(committed.error().code));
        });
    });
}

// An officer looks at the signer's papers and lets the credential go on.
void World::vouch(std::size_t index) {
    auto* life = route();
    if (life == nullptr || signers_[index].vouching) return;
    signers_[index].vouching = true;
    life->owner.post([this, index](Ledger& ledger) {
        auto& signer = signers_[index];
        signer.vouching = false;
        const auto& id = signer.enrolled.credential;
        auto cell = active_credential(ledger.credential(id));
        if (!cell) {
            if (cell.error().code == Errc::parameter_invalid) signer.gone = true;
            return;
        }
        cell.value().set_state(cell::Credential::ACTIVE);
        // Which of their occurrences were used may be what was lost.
        if (cell.value().vouched_epoch() < ledger.floors().locked_before() && plant_ != Plant::sads_kept_by_officer)
            cell.value().clear_sads();
        cell.value().set_vouched_epoch(ledger.epoch());
        ledger.put(cell.value());
        ledger.record({Event::credential_enabled, "officer", id});
        happened(Kind::vouched, index);
    });
}

void World::begin_errand() {
    struct Weight {
        Plan plan;
        unsigned weight;
    };
    static constexpr std::array legal{Weight{Plan::plain, 10}, Weight{Plan::in_parts, 2}, Weight{Plan::with_key, 3}};
    static constexpr std::array hostile{Weight{Plan::wrong_pin, 8},
                                        Weight{Plan::wrong_code, 3},
                                        Weight{Plan::wrong_both, 1},
                                        Weight{Plan::old_code, 5},
                                        Weight{Plan::same_code, 5},
                                        Weight{Plan::replayed_sad, 6},
                                        Weight{Plan::burst, 6},
                                        Weight{Plan::more_hashes, 3},
                                        Weight{Plan::other_hash, 3},
                                        Weight{Plan::other_portal, 3},
                                        Weight{Plan::other_credential, 3},
                                        Weight{Plan::late_sad, 4},
                                        Weight{Plan::unknown_credential, 1},
                                        Weight{Plan::missing_factor, 2},
                                        Weight{Plan::hoarded_sad, 2},
                                        Weight{Plan::other_documents, 3},
                                        Weight{Plan::stolen_sad, 4}};
    const auto pick = [&](const auto& weights) {
        unsigned total = 0;
        for (const auto& each : weights) total += each.weight;
        auto at = dice_.below(total);
        for (const auto& each : weights) {
            if (at < each.weight) return each.plan;
            at -= each.weight;
        }
        return weights[0].plan;
    };
    const auto plan = dice_.chance(hostile_) ? pick(hostile) : pick(legal);
    if (plan == Plan::stolen_sad) return replay_loot();
    auto index = dice_.below(signers_.size());
    if (plan == Plan::wrong_pin && dice_.chance(0.7)) index = victims_[dice_.below(victims_.size())];
    auto& signer = signers_[index];
    if (signer.gone) return;
    if (!signer.live) return enrol(index);  // nobody heard that it was done
    const auto errand = std::make_shared<Errand>(
        Errand{plan, index, portals_[dice_.below(portals_.size())], {}, signer.enrolled.pin, {}, {}, {}});
    const auto count = plan == Plan::in_parts ? dice_.between(2, 4) : dice_.chance(0.8) ? 1 : dice_.between(2, 5);
    for (std::uint64_t i = 0; i < count; ++i)
        errand->hashes.push_back(i > 0 && dice_.chance(0.3) ? errand->hashes.back() : some_hash());
    if (plan == Plan::wrong_pin || plan == Plan::wrong_both) errand->pin = wrong(errand->pin);
    if (signer.enrolled.totp_secret.empty()) return challenge(errand);
    // After an unclean start the codes of a minute are spent: most people wait for the next one.
    if (now_ < patience_until_ && dice_.chance(0.95))
        return in(patience_until_ - now_ + static_cast<std::int64_t>(dice_.below(60'000)),
                  [this, errand] { authorise(errand); });
    authorise(errand);
}

void World::challenge(const ErrandPtr& errand) {
    auto* life = route();
    if (life == nullptr) return happened(Kind::nobody_serves);
    const auto& signer = signers_[errand->signer];
    auto hashes = errand->hashes;
    if (dice_.chance(0.1)) hashes.clear();
    if (errand->plan == Plan::other_documents) hashes = {some_hash()};
    happened(Kind::challenge_asked, errand->signer);
    errand->at = Errand::At::challenge;
    errand->owner = life->owner.number();
    expecting_[errand->signer].push_back(errand);
    life->waiting.push_back(errand);
    life->owner.ask(std::make_shared<const ChallengeRequest>(
                        ChallengeRequest{errand->client, signer.enrolled.credential, "SMS", std::move(hashes)}),
                    [this, errand](const Result<std::chrono::seconds>& answer) {
                        if (answer) return;
                        std::erase(expecting_[errand->signer], errand);
                        if (answer.error().code == Errc::credential_locked)
                            in(2000, [this, errand] { vouch(errand->signer); });
                    });
}

void World::message_came(const std::string& phone, const std::string& text) {
    const auto index = by_phone_.at(phone);
    happened(Kind::message_came, index, text.size());
    auto& signer = signers_[index];
    const auto old = std::exchange(signer.last_code, text.substr(text.size() - 6));
    for (const auto& errand : std::exchange(expecting_[index], {})) {
        errand->code = errand->plan == Plan::old_code && !old.empty() ? old : signer.last_code;
        in(static_cast<std::int64_t>(dice_.between(10, 3000)), [this, errand] { authorise(errand); });
    }
}

void World::authorise(const ErrandPtr& errand) {
    auto* life = route();
    if (life == nullptr) return happened(Kind::nobody_serves);
    auto& signer = signers_[errand->signer];
    const bool app = !signer.enrolled.totp_secret.empty();
    if (app && errand->code.empty()) {
        errand->code = current_code(signer);
        if (errand->plan == Plan::old_code && !signer.last_code.empty()) errand->code = signer.last_code;
        else signer.last_code = errand->code;
    }
    if (errand->plan == Plan::wrong_code || errand->plan == Plan::wrong_both) errand->code = wrong(errand->code);
    const auto credential = errand->plan == Plan::unknown_credential ? dice_.fixed<CredentialId>()
                                                                     : signer.enrolled.credential;
    const unsigned times = errand->plan == Plan::same_code ? 2 : 1;
    for (unsigned i = 0; i < times; ++i) {
        ++activations_;
        std::vector<FactorValue> factors;
        factors.push_back({"PIN", SecretBytes{errand->pin}});
        if (errand->plan != Plan::missing_factor)
            factors.push_back({app ? "TOTP" : "SMS", SecretBytes{std::string_view{errand->code}}});
        happened(Kind::authorise_asked, errand->signer, static_cast<unsigned>(errand->plan));
        errand->at = Errand::At::authorise;
        errand->owner = life->owner.number();
        life->waiting.push_back(errand);
        life->owner.ask(std::make_shared<const AuthoriseRequest>(
                            AuthoriseRequest{errand->client, credential, errand->hashes, std::move(factors)}),
                        [this, errand](const Result<AuthorisedSad>& answer) { authorised(errand, answer); });
    }
}

void World::authorised(const ErrandPtr& errand, const Result<AuthorisedSad>& answer) {
    errand->at = Errand::At::nowhere;
    const auto index = errand->signer;
    if (!answer) {
        const auto code = answer.error().code;
        happened(Kind::authorise_refused, index, static_cast<unsigned>(code));
        if (code == Errc::parameter_invalid && errand->plan != Plan::unknown_credential && !signers_[index].gone) {
            signers_[index].gone = true;  // enrolled in a history that was given up
            in(5000, [this] { enrol(make_signer()); });
        }
        if (code == Errc::credential_locked || code == Errc::credential_disabled) {
            if (!books_.is_blocked(signers_[index].enrolled.credential) && dice_.chance(0.7))
                in(static_cast<std::int64_t>(dice_.between(1000, 60'000)), [this, index] { vouch(index); });
            else if (!signers_[index].gone) {  // a new credential instead
                signers_[index].gone = true;
                in(5000, [this] { enrol(make_signer()); });
            }
        }
        return;
    }
    errand->sad = {answer.value().sad.reveal().begin(), answer.value().sad.reveal().end()};
    happened(Kind::sad_given, index, short_name(errand->sad));
    loot_.push_back(errand);
    if (loot_.size() > 400) loot_.erase(loot_.begin(), loot_.begin() + 200);
    in(static_cast<std::int64_t>(dice_.between(5, 2000)), [this, errand] { use_sad(errand); });
}

void World::use_sad(const ErrandPtr& errand) {
    const auto twin = [&] { return std::make_shared<Errand>(*errand); };
    const auto& all = errand->hashes;
    switch (errand->plan) {
        case Plan::hoarded_sad: return;
        case Plan::in_parts:
            for (const auto& hash : all) {
                const auto part = twin();
                in(static_cast<std::int64_t>(dice_.below(3000)), [this, part, hash] { sign(part, {hash}); });
            }
            return;
        case Plan::with_key: {
            const auto key = "key-" + std::to_string(dice_.roll() % 1000);
            for (auto i = dice_.between(1, 3); i > 0; --i) {
                const auto again = twin();
                in(static_cast<std::int64_t>(dice_.below(4 * static_cast<std::uint64_t>(round_))),
                   [this, again, key] { sign(again, again->hashes, key); });
            }
            return;
        }
        case Plan::burst:
            for (auto i = dice_.between(2, 5); i > 0; --i) sign(twin(), all);
            return;
        case Plan::more_hashes: {
            auto more = all;
            more.push_back(all.front());
            sign(twin(), std::move(more));
            break;
        }
        case Plan::other_hash: sign(twin(), {some_hash()}); break;
        case Plan::other_portal: {
            const auto other = twin();
            other->client = portals_[dice_.below(portals_.size())];
            sign(other, all);
            break;
        }
        case Plan::other_credential: {
            const auto other = twin();
            other->signer = dice_.below(signers_.size());
            sign(other, all);
            break;
        }
        case Plan::late_sad: {
            const auto late = twin();
            in(static_cast<std::int64_t>(dice_.between(50'000, 310'000)), [this, late] { sign(late, late->hashes); });
            return;
        }
        default: break;
    }
    sign(errand, all);
}

void World::sign(const ErrandPtr& errand, std::vector<DtbsR> hashes, std::string key) {
    auto* life = route();
    if (life == nullptr) return happened(Kind::nobody_serves);
    happened(Kind::sign_asked, errand->signer, hashes.size());
    errand->at = Errand::At::sign;
    errand->owner = life->owner.number();
    errand->signing = hashes;
    errand->key = key;
    life->waiting.push_back(errand);
    life->owner.ask(std::make_shared<const SignRequest>(SignRequest{
                        errand->client, signers_[errand->signer].enrolled.credential,
                        SecretBytes{ByteView{errand->sad}}, std::move(hashes), Scheme::ecdsa, std::move(key)}),
                    [this, errand](const Result<SignatureList>& answer) { signature_came(errand, answer); });
}

void World::signature_came(const ErrandPtr& errand, const Result<SignatureList>& answer) {
    errand->at = Errand::At::nowhere;
    if (!answer) happened(Kind::sign_refused, errand->signer, static_cast<unsigned>(answer.error().code));
    else happened(Kind::signatures_given, errand->signer, short_name(answer.value().front()));
    const bool once_more = errand->again > 0 && (errand->plan == Plan::replayed_sad ||
                                                 (!answer && (answer.error().code == Errc::token_away ||
                                                              answer.error().code == Errc::store_away ||
                                                              answer.error().code == Errc::internal)));
    if (!once_more) return;
    --errand->again;
    in(static_cast<std::int64_t>(dice_.between(100, 20'000)),
       [this, errand] { sign(errand, errand->signing, errand->key); });
}

// No answer came. Whoever wants the signature asks again; whoever wants more than he may have, too.
void World::owner_died(const ErrandPtr& errand) {
    const auto at = std::exchange(errand->at, Errand::At::nowhere);
    if (at == Errand::At::nowhere || errand->again == 0) return;
    --errand->again;
    const auto pause = static_cast<std::int64_t>(dice_.between(500, 20'000));
    if (at == Errand::At::sign) in(pause, [this, errand] { sign(errand, errand->signing, errand->key); });
    else if (at == Errand::At::authorise && dice_.chance(0.5))
        in(pause, [this, errand] { authorise(errand); });  // with the code that may be used up
}

// Old SAD tokens that somebody kept.
void World::replay_loot() {
    if (loot_.empty()) return;
    const auto& kept = loot_[loot_.size() - 1 - dice_.below(std::min<std::size_t>(loot_.size(), 100))];
    const auto again = std::make_shared<Errand>(*kept);
    again->plan = Plan::stolen_sad;
    again->again = 0;
    sign(again, again->hashes);
}

}  // namespace qscd::sam::simulation
