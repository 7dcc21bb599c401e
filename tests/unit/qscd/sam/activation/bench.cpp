#include "tests/unit/qscd/sam/activation/bench.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "authn/pin.hpp"

namespace qscd::sam::bench {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

const std::string totp_secret = "12345678901234567890";
const DeviceId device_id = id<4, DeviceId>();

std::array<bool, 3 * phase_count * 6 * phase_count> seen{};
std::size_t index_of(const Transition& t) {
    return ((static_cast<std::size_t>(t.flow) * phase_count + static_cast<std::size_t>(t.from)) * 6 +
            static_cast<std::size_t>(t.stimulus)) *
               phase_count +
           static_cast<std::size_t>(t.to);
}

cell::Credential credential(const CredentialId& id, const std::string& profile, bool app) {
    cell::Credential cell;
    cell.set_id(string_of(id.bytes()));
    cell.set_state(cell::Credential::ACTIVE);
    cell.set_profile(profile);
    cell.set_key_kind(static_cast<unsigned>(KeyKind::p256));
    cell.set_cka_id(cell.id());
    cell.set_not_after(unix_seconds(noon + std::chrono::days{365}));
    cell.set_phone_device(string_of(device_id.bytes()));
    if (app) cell.set_app_device(cell.phone_device());
    const auto salt = bench::id<5, authn::PinSalt>();
    const auto version = bench::id<6, Sha256Digest>();
    cell.set_pin_salt(string_of(salt.bytes()));
    cell.set_pin_policy(string_of(version.bytes()));
    const auto pin = authn::Pin::from(SecretBytes{right_pin}, 4, 8).value();
    cell.set_pin_verifier(
        string_of(Sam::pin_mac(pin_key, pin.verifier_input(pin_key.bytes(), id, salt, version).reveal())));
    cell.set_pin_tries_left(pin_tries);
    return cell;
}

void take_back_every_use(cell::Credential& cell) {
    for (auto& sad : *cell.mutable_sads())
        for (auto& hash : *sad.mutable_hashes()) hash.set_used(false);
}

}  // namespace

const policy::Policy& trial_policy() {
    static const policy::Policy parsed = [] {
        const std::string pds =
            "pds = [{lang = \"en\", url = \"https://tsp.example/pds-en.pdf\"}]\nkeys = [\"P-256\"]\n";
        const std::string rest = "policy = \"trial\"\npin = {digits = [4, 8], tries = 3}\nmodes = [\"explicit\"]\n";
        const std::string totp = "otp = [\"totp\"]\ntotp = {period = 30}\n", sms = "otp = [\"sms\"]\n";
        return policy::Policy::parse(
                   "public_base = \"http://pki.tsp.example\"\n[profile.totp]\ntype = \"QCP-n-qscd\"\n" + pds + rest +
                       totp + "[profile.sms]\ntype = \"QCP-n-qscd\"\n" + pds + rest + sms +
                       "[profile.lcp]\ntype = \"LCP\"\nkeys = [\"P-256\"]\nmodes = [\"explicit\"]\n" + sms +
                       "[profile.page]\ntype = \"QCP-n-qscd\"\n" + pds + totp,
                   "policy.toml")
            .value();
    }();
    return parsed;
}

DtbsR hash_of(char document) {
    return DtbsR::from(HashAlgorithm::sha256, sha256(view_of(std::string_view{&document, 1})).bytes()).value();
}

// RFC 4226, 5.3, with the step as the counter [RFC 6238].
std::string totp(std::int64_t step) {
    std::array<std::uint8_t, 8> counter{};
    for (std::size_t i = 0; i < 8; ++i) counter[7 - i] = static_cast<std::uint8_t>(step >> (8 * i));
    std::array<std::uint8_t, 20> mac{};
    HMAC(EVP_sha1(), totp_secret.data(), static_cast<int>(totp_secret.size()), counter.data(), counter.size(),
         mac.data(), nullptr);
    const auto at = mac[19] & 15U;
    const auto number = (mac[at] & 127U) << 24 | static_cast<unsigned>(mac[at + 1]) << 16 |
                        static_cast<unsigned>(mac[at + 2]) << 8 | mac[at + 3];
    auto text = std::to_string(number % 1'000'000);
    return std::string(6 - text.size(), '0') + text;
}

void saw(const Transition& transition) { seen[index_of(transition)] = true; }
bool was_seen(const Transition& transition) { return seen[index_of(transition)]; }

Sam::Sam(const std::string& profile) : app(profile == "totp" || profile == "page") {
    durable.anna = credential(anna, profile, app);
    durable.boris = credential(boris, profile, app);
    durable.device.set_id(string_of(device_id.bytes()));
    if (app) {
        durable.device.set_totp_secret(totp_secret);
        durable.device.set_totp_period(30);
        durable.device.set_totp_digits(6);
    } else {
        durable.device.set_phone("+15550100");
    }
    staged = durable;
    process = std::make_shared<const ProcessKey>(random());
}

Random Sam::random() {
    return [this](std::span<std::uint8_t> out) {
        for (std::size_t at = 0; at < out.size();) {
            const auto number = ++draws;
            const auto block = sha256({reinterpret_cast<const std::uint8_t*>(&number), sizeof number});
            for (const auto byte : block.bytes().first(std::min<std::size_t>(32, out.size() - at))) out[at++] = byte;
        }
    };
}

Bytes Sam::pin_mac(const CkaId& key, ByteView input) {
    const auto digest = sha256({key.bytes(), input});
    return {digest.bytes().begin(), digest.bytes().end()};
}

Bytes Sam::signature(const CkaId& key, const DtbsR& hash) {
    const auto digest = sha256({view_of("signed"), key.bytes(), hash.bytes()});
    return {digest.bytes().begin(), digest.bytes().end()};
}

Cells Sam::cells_for(const CredentialId& credential, Reads reads) const {
    Cells cells;
    if (reads == Reads::nothing) return cells;
    cells.locked_by_floor = locked_by_floor;
    if (credential == anna) cells.credential = std::optional{staged.anna};
    if (credential == boris) cells.credential = std::optional{staged.boris};
    if (reads == Reads::credential_and_device) cells.held_device = std::optional{staged.device};
    return cells;
}

std::vector<Event> Sam::events() const {
    std::vector<Event> out;
    for (const auto& entry : log) out.push_back(entry.event);
    return out;
}

void Sam::restart() {
    staged = durable;
    staged_log.clear();
    if (bug != Bug::challenge_survives_a_start) process = std::make_shared<const ProcessKey>(random());
    if (bug == Bug::tries_come_back_at_start) durable.anna.set_pin_tries_left(pin_tries);
    if (bug == Bug::occurrence_comes_back_after_a_crash) take_back_every_use(durable.anna);
    for (auto& sad : *durable.anna.mutable_sads())  // an outcome that was under way is not known any more
        for (auto& answer : *sad.mutable_answered()) answer.set_done(true);
    staged = durable;
    limits = {};
}

Result<void> Sam::commit() {
    durable = staged;
    log_size += staged_log.size();
    for (auto& entry : staged_log) log.push_back(std::move(entry));
    staged_log.clear();
    return success();
}

// Spoils what was staged out of `before`, as the planted bug would.
void Sam::plant(Phase before) {
    const bool spent = before == Phase::asked && !staged_log.empty() && staged_log.back().event == Event::factors_spent;
    const bool intended = before == Phase::asked && !staged_log.empty() &&
                          staged_log.back().event == Event::sign_intent;
    auto& now_staged = staged.anna;
    const auto& was = durable.anna;
    if (spent && bug == Bug::code_is_not_spent) {
        staged.device = durable.device;
        now_staged.clear_challenge();
        if (was.has_challenge()) *now_staged.mutable_challenge() = was.challenge();
    }
    if (spent && bug == Bug::pin_try_is_not_spent) now_staged.set_pin_tries_left(was.pin_tries_left());
    if (spent && bug == Bug::wrong_code_costs_a_pin_try) now_staged.set_pin_tries_left(was.pin_tries_left() - 1);
    if (intended && bug == Bug::occurrence_is_not_used_up) take_back_every_use(now_staged);
    if (bug == Bug::result_is_not_recorded)
        std::erase_if(staged_log, [](const Entry& entry) { return entry.event == Event::signed_hashes; });
}

template <class T>
void Sam::stage(Decision<T>& decision, Phase before) {
    struct Put {
        CellSet& set;
        void operator()(const cell::Credential& cell) const {
            (view_of(cell.id())[0] == anna.bytes()[0] ? set.anna : set.boris) = cell;
        }
        void operator()(const cell::Device& cell) const { set.device = cell; }
    };
    for (const auto& cell : decision.cells) std::visit(Put{staged}, cell);
    for (auto& record : decision.records) staged_log.push_back(std::move(record));
    alarms += decision.alarms.size();
    if (bug != Bug::none) plant(before);
}

Result<Bytes> Sam::evaluate(const EvaluatePin& pin, Fault fault) {
    const auto input = pin.input.reveal();
    bool nothing = std::ranges::all_of(input, [](auto byte) { return byte == 0; });
    if (bug == Bug::pin_is_evaluated_after_a_wrong_code) nothing = false;
    ++(nothing ? nothing_evaluated : pins_evaluated);
    input_sizes.push_back(input.size());
    if (fault == Fault::mac_fails) return Error{Errc::token_away, "C_Sign"};
    if (bug == Bug::wrong_pin_is_right || (bug == Bug::pin_is_remembered && pin_was_right_))
        return bytes_of(staged.anna.pin_verifier());
    auto mac = pin_mac(pin.key, input);
    pin_was_right_ = pin_was_right_ || std::ranges::equal(mac, view_of(staged.anna.pin_verifier()));
    return mac;
}

ModuleAnswer Sam::enter(EnterModule permission, Fault fault) {
    const auto key = permission.key;
    std::vector<ModuleOutcome> outcomes;
    for (const auto& hash : permission.activation.hashes()) {
        if (fault == Fault::token_away) {
            outcomes.push_back({Error{Errc::token_away, "C_SignInit"}, false});
            break;
        }
        made.emplace_back(permission.activation.credential(), hash);
        if (fault == Fault::module_fails) {
            outcomes.push_back({Error{Errc::token_away, "C_Sign"}, true});
            break;
        }
        auto bytes = signature(key, hash);
        if (fault == Fault::module_lies) bytes[0] ^= 1;
        outcomes.push_back({std::move(bytes), true});
    }
    return ModuleAnswer::check(
        std::move(permission.activation), std::move(outcomes), [&](const DtbsR& hash, ByteView bytes) {
            return bug == Bug::bad_signature_is_released || std::ranges::equal(bytes, signature(key, hash));
        });
}

template <class FlowType>
Result<typename FlowType::AnswerType> Sam::drive(FlowType flow, Fault fault) {
    using T = typename FlowType::AnswerType;
    constexpr bool signing = FlowType::flow == Flow::signing;
    const Error crash{Errc::service_away, "the SAM stopped"};
    std::optional<Result<T>> answer;
    Stimulus stimulus = Begin{};
    unsigned commits = 0;
    const auto source = random();
    crashed = false;
    const auto stop = [&] {
        crashed = true;
        restart();
        return crash;
    };
    for (;;) {
        const auto before = flow.phase();
        const auto kind = kind_of(stimulus);
        auto cells = cells_for(flow.request().credential, flow.reads(kind));
        if (signing && bug == Bug::disabled_signs && cells.credential.value())
            cells.credential.value()->set_state(cell::Credential::ACTIVE);
        const auto at = signing && bug == Bug::sad_lives_for_ever ? noon : now;
        auto decision = step(flow, std::move(stimulus), std::move(cells), given(source, at));
        stage(decision, before);
        auto& next = decision.next;
        if (auto* given_now = std::get_if<Answer<T>>(&next)) {
            answer.emplace(std::move(given_now->result));
            if (flow.phase() != Phase::unrecorded) return std::move(*answer);
            stimulus = TryAgain{};
            fault = Fault::none;
        } else if (std::holds_alternative<Rest>(next)) {
            return std::move(*answer);
        } else if (auto* pin = std::get_if<EvaluatePin>(&next)) {
            stimulus = PinEvaluated{evaluate(*pin, fault)};
        } else if (auto* message = std::get_if<SendCode>(&next)) {
            const auto text = std::string{text_of(message->text.reveal())};
            last_code = text.substr(text.size() - 6);
            ++messages;
            stimulus = Sent{fault == Fault::code_not_sent ? Result<void>{Error{Errc::service_away, "notifierd"}}
                                                          : Result<void>{success()}};
        } else if (auto* permission = std::get_if<EnterModule>(&next)) {
            auto came = enter(std::move(*permission), fault);
            if (fault == Fault::crash_in_module) return stop();
            stimulus = ModuleAnswered{std::move(came)};
        } else if (std::holds_alternative<OutOfPhase>(next)) {
            ADD_FAILURE() << "out of phase";
            return crash;
        } else {
            ++commits;
            if (fault == (commits == 1 ? Fault::crash_at_first_commit : Fault::crash_at_second_commit)) return stop();
            Result<void> outcome = success();
            if (fault == (commits == 1 ? Fault::first_commit_fails : Fault::second_commit_fails)) {
                staged = durable;
                staged_log.clear();
                outcome = Error{Errc::token_away, "the head's signature"};
            } else if (!(bug == Bug::answered_before_the_commit && flow.phase() == Phase::answer_staged) &&
                       !(bug == Bug::module_is_asked_before_the_commit && flow.phase() == Phase::intent_staged)) {
                outcome = commit();
            }
            if (fault == Fault::disabled_meanwhile && commits == 1) {
                staged.anna.set_state(cell::Credential::DISABLED);
                durable = staged;
            }
            stimulus = Committed{std::move(outcome)};
        }
    }
}

Result<std::chrono::seconds> Sam::open_challenge(std::vector<DtbsR> hashes, Fault fault, const ClientId& client,
                                                 const std::string& factor) {
    return drive(ChallengeFlow{std::make_shared<const ChallengeRequest>(
                     ChallengeRequest{client, anna, factor, std::move(hashes)})},
                 fault);
}

Result<Bytes> Sam::authorise(const Ask& ask, Fault fault) {
    std::vector<FactorValue> factors;
    if (ask.factors.empty()) {
        factors.push_back({"PIN", SecretBytes{ask.pin}});
        factors.push_back({app ? "TOTP" : "SMS", SecretBytes{ask.code}});
    }
    for (const auto& [name, value] : ask.factors) factors.push_back({name, SecretBytes{value}});
    QSCD_TRY(auto given_sad, drive(AuthorisationFlow{std::make_shared<const AuthoriseRequest>(
                                       AuthoriseRequest{ask.client, anna, ask.hashes, std::move(factors)})},
                                   fault));
    return Bytes{given_sad.sad.reveal().begin(), given_sad.sad.reveal().end()};
}

Result<SignatureList> Sam::sign(const SignAsk& ask, Fault fault) {
    return drive(SigningFlow{std::make_shared<const SignRequest>(SignRequest{
                     ask.client, ask.credential, SecretBytes{ByteView{ask.sad}}, ask.hashes, ask.scheme, ask.key})},
                 fault);
}

}  // namespace qscd::sam::bench
