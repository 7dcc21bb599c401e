#include "tests/unit/qscd/sam/trial.hpp"

#include <fstream>
#include <openssl/hmac.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/message.hpp"
#include "qscd/genesis/genesis.hpp"

namespace qscd::sam {
namespace {

namespace fs = std::filesystem;

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

std::pair<Descriptor, Descriptor> socket_pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return {Descriptor{ends[0]}, Descriptor{ends[1]}};
}

EvpPkey public_half(const EvpPkey& key) { return public_key_from_der(der_of(*key, i2d_PUBKEY)).value(); }

void name(X509_NAME& to, const char* attribute, const std::string& value) {
    if (!value.empty())
        X509_NAME_add_entry_by_txt(&to, attribute, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                   static_cast<int>(value.size()), -1, 0);
}

X509Cert issue(const CertificateText& text, const X509_NAME* issuer, EVP_PKEY& key) {
    static std::atomic<long> serial = 1;
    X509Cert out{X509_new()};
    X509_set_version(out.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial++);
    ASN1_TIME_set(X509_getm_notBefore(out.get()), unix_seconds(text.not_before));
    ASN1_TIME_set(X509_getm_notAfter(out.get()), unix_seconds(text.not_after));
    auto& subject = *X509_get_subject_name(out.get());
    name(subject, "C", text.subject.country);
    name(subject, "GN", text.subject.given_name);
    name(subject, "SN", text.subject.surname);
    name(subject, "serialNumber", text.subject.serial_number);
    name(subject, "CN", text.subject.common_name);
    name(subject, "O", text.organisation);
    X509_set_issuer_name(out.get(), issuer != nullptr ? issuer : &subject);
    X509_set_pubkey(out.get(), public_key_from_der(text.public_key).value().get());
    EXPECT_GT(X509_sign(out.get(), &key, EVP_sha256()), 0);
    return certificate_from_der(der_of(*out, i2d_X509)).value();
}

const char* library() {
    return fs::exists("/usr/lib/softhsm/libsofthsm2.so") ? "/usr/lib/softhsm/libsofthsm2.so"
                                                         : "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so";
}

}  // namespace

TrialModule::TrialModule() {
    static std::atomic<int> count = 0;
    folder = fs::temp_directory_path() / ("qscd-sam-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    fs::remove_all(folder);  // of a run that was killed, under the same process id
    load();
}
void TrialModule::load() {
    fs::create_directories(folder / "tokens");
    std::ofstream{folder / "softhsm2.conf"} << "directories.tokendir = " << (folder / "tokens").string()
                                            << "\nobjectstore.backend = file\nlog.level = ERROR\n";
    module = hsm::Module::load(
                 {library(), "", {{"SOFTHSM2_CONF", (folder / "softhsm2.conf").string()}}, folder / "tokens"})
                 .value();
}
TrialModule::~TrialModule() {
    module.reset();
    std::error_code ignored;
    fs::remove_all(folder, ignored);
}
std::unique_ptr<hsm::Token> TrialModule::open(const std::string& label, unsigned threads) {
    const auto there = module->tokens().value();
    if (seen.insert(label).second && std::ranges::count(there, label, &hsm::TokenInfo::label) == 0)
        EXPECT_TRUE(module->initialise_token(label, SecretBytes{"12345678"}, SecretBytes{"1234"}));
    return hsm::Token::open(module, label, SecretBytes{"1234"}, threads).value();
}
std::unique_ptr<hsm::Token> TrialModule::open_sam(const Sha256Digest& policy_version, bool trial) {
    for (int attempt = 1;; ++attempt) {
        auto token = open("qscd-sam");
        const auto made = genesis::make(*token, trial, policy_version);
        if (made) return token;
        // SoftHSM2 may fail to write an object while another session reads its folder: once more, in an empty one.
        EXPECT_TRUE(made.error().code == Errc::token_away && attempt < 3) << describe(made.error());
        if (attempt == 3) return token;
        token.reset();
        module.reset();
        fs::remove_all(folder);
        seen.clear();
        load();
    }
}
void TrialModule::take_away() { fs::rename(folder / "tokens", folder / "away"); }
void TrialModule::bring_back() { fs::rename(folder / "away", folder / "tokens"); }

void wait_until_reachable(const hsm::Token& token) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!token.reachable() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_TRUE(token.reachable());
}

DtbsR hash_of(std::string_view document) {
    return DtbsR::from(HashAlgorithm::sha256, sha256(view_of(document)).bytes()).value();
}

// RFC 6238 with HMAC-SHA-1 and six digits.
std::string totp(ByteView secret, TimePoint at, unsigned period) {
    auto step = static_cast<std::uint64_t>(unix_seconds(at)) / period;
    std::array<std::uint8_t, 8> counter;
    for (std::size_t i = 8; i-- > 0; step >>= 8) counter[i] = static_cast<std::uint8_t>(step);
    std::array<std::uint8_t, 20> mac;
    HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()), counter.data(), counter.size(), mac.data(),
         nullptr);
    const std::size_t at_byte = mac[19] & 15u;
    const unsigned number = (mac[at_byte] & 127u) << 24 | unsigned{mac[at_byte + 1]} << 16 |
                            unsigned{mac[at_byte + 2]} << 8 | mac[at_byte + 3];
    auto out = std::to_string(number % 1'000'000);
    return std::string(6 - out.size(), '0') + out;
}

std::string wrong(std::string code) {
    code.front() = code.front() == '9' ? '0' : static_cast<char>(code.front() + 1);
    return code;
}

Person anna() { return {{"AT", "Anna", "Österreicher", "PNOAT-1234567890", "Anna Österreicher"}, "+436601234567"}; }
Person boris() { return {{"DE", "Boris", "Müller", "PNODE-0987654321", "Boris Müller"}, "+491701234567"}; }

Desk::Desk(TimePoint now) {
    const auto ca_text = [&](const EvpPkey& key, const char* common_name) {
        return CertificateText{
            der_of(*key, i2d_PUBKEY), {"AT", "", "", "", common_name}, now - 24h, now + std::chrono::days{3650}};
    };
    root_certificate = issue(ca_text(root, "TEST Root"), nullptr, *root);
    ca_certificate = issue(ca_text(ca, "TEST CA"), X509_get_subject_name(root_certificate.get()), *root);
}
protocol::TrustedKeys Desk::paper_keys() const {
    protocol::TrustedKeys keys;
    keys.add(protocol::Issuer::registration_officer, public_half(officer));
    keys.add(protocol::Issuer::rule_key, public_half(rule));
    return keys;
}
pb::Paper Desk::sign(const protocol::Unsigned& paper, EVP_PKEY& key) const {
    return protocol::assemble(paper, protocol::key_id_of(key), sign_message(key, paper.message).value());
}

Bytes certificate(const CertificateText& text, X509& issuer, EVP_PKEY& issuer_key) {
    return der_of(*issue(text, X509_get_subject_name(&issuer), issuer_key), i2d_X509);
}

policy::Policy trial_policy() {
    const std::string pds = "pds = [{lang = \"en\", url = \"https://tsp.example/pds-en.pdf\"}]\n";
    const auto profile = [&](const char* name, const char* type, const char* rest) {
        return std::string{"[profile."} + name + "]\ntype = \"" + type + "\"\n" +
               (std::string_view{type} == "LCP" ? "" : pds) + rest;
    };
    const std::string totp = "totp = {period = 30}\n";
    return policy::Policy::parse(
               "public_base = \"http://pki.tsp.example\"\n" +
                   profile(
                       "totp", "QCP-n-qscd",
                       "policy = \"trial\"\nkeys = [\"P-256\", \"RSA-3072\"]\npin = {digits = [4, 8], tries = 3}\n"
                       "otp = [\"totp\"]\nmodes = [\"explicit\", \"page\"]\nmultisign = 5\notp_failures_a_day = 4\n") +
                   totp +
                   profile("sms", "QCP-n-qscd",
                           "policy = \"trial\"\nkeys = [\"P-256\"]\npin = {digits = [4, 8], tries = 3}\n"
                           "otp = [\"sms\"]\nmodes = [\"explicit\", \"page\"]\n") +
                   profile("either", "QCP-n",
                           "policy = \"trial\"\nkeys = [\"P-256\"]\notp = [\"totp\", \"sms\"]\nmodes = [\"explicit\", "
                           "\"page\"]\n") +
                   totp +
                   profile("lcp", "LCP", "keys = [\"P-256\"]\notp = [\"totp\", \"sms\"]\nmodes = [\"explicit\"]\n") +
                   totp + profile("page", "QCP-n-qscd", "keys = [\"P-256\"]\notp = [\"totp\"]\n") + totp,
               "policy.toml")
        .value();
}

namespace {
std::vector<Shards::Opened> opened(TrialModule& tokens, const std::vector<ShardSettings>& shards) {
    std::vector<Shards::Opened> out;
    for (const auto& each : shards) out.push_back({each, tokens.open(each.token, 2)});
    return out;
}
}  // namespace

Running::Running(TrialModule& tokens, const policy::Policy& rules, const Desk& desk, const Clock& time,
                 const std::vector<ShardSettings>& settings)
    : clock(time),
      paper_keys(desk.paper_keys()),
      sam_token(tokens.open("qscd-sam")),
      shards(opened(tokens, settings)),
      signer_token(&shards.all().front()->token()),
      database(store::Database::open(tokens.store()).value()),
      state(*database),
      secrets(
          [](std::span<std::uint8_t> out) -> Result<void> {
              fill_random(out);
              return success();
          },
          [this](std::span<std::uint8_t> out) -> Result<void> {
              std::ranges::fill(out, std::uint8_t{0});
              if (dead_generator) return success();
              QSCD_TRY(const auto bytes, sam_token->random(out.size()));
              std::ranges::copy(bytes.reveal(), out.begin());
              return success();
          },
          tokens.flows_a_seed),
      notifier([this](const std::string&, ByteView request, const protocol::Responder& responder) {
          const auto message = protocol::decode<pb::NotifierRequest>(request).value();
          if (notifier_refuses) return responder.fail({Errc::service_away, "the provider is away"});
          {
              const std::lock_guard guard{outbox_lock};
              outbox.emplace_back(message.notify().to(), message.notify().text());
          }
          responder.answer(pb::Done{});
      }),
      sam{nullptr, rules, paper_keys, issuers, shards, *sam_token, process_key, messenger, clock, secrets},
      service(sam),
      server([this](const std::string& role, ByteView request, const protocol::Responder& responder) {
          service.handle(role, request, responder);
      }) {
    for (auto* issuer : {&issuers.lcp, &issuers.qualified}) {
        X509_up_ref(desk.ca_certificate.get());
        issuer->reset(desk.ca_certificate.get());
    }
    auto [ask, answer] = socket_pair();
    notifier.serve(std::move(answer), "samd");
    to_notifier.connect(std::move(ask));
    core = std::make_unique<Core>([this](const Opening& opening) { return open_ledger(opening); },
                                  [this](const Error& error) {
                                      fenced = error.code == Errc::fenced;
                                      lost = true;
                                  });
    sam.core = core.get();
    service.begin();
    for (auto [client, role] :
         {std::pair{&gateway, "gatewayd"}, std::pair{&bootstrap, "bootstrap"}, std::pair{&stranger, "stranger"}}) {
        auto [near, far] = socket_pair();
        server.serve(std::move(far), role);
        client->connect(std::move(near));
    }
}

Running::~Running() {
    server.stop();
    if (!crashed) core->post([](Ledger& ledger) { ledger.record({Event::stopped, "samd"}); }, [](const Error&) {});
    core->stop();
    shards.stop();
}

Result<std::unique_ptr<Ledger>> Running::open_ledger(const Opening& opening) {
    QSCD_TRY(keys, ModuleKeys::unlock(*sam_token));
    return service.take_over(state, *keys, opening);
}

TrialSam::TrialSam(std::vector<ShardSettings> settings) : shards(std::move(settings)) {
    tokens.open_sam(rules.version());
    start();
}

void TrialSam::in_store(const std::function<void(Ledger&)>& change) {
    const auto token = tokens.open("qscd-sam");
    const auto database = store::Database::open(tokens.store()).value();
    const auto keys = ModuleKeys::unlock(*token).value();
    SqlStateStore state{*database};
    const auto ledger = Ledger::open(state, *keys, clock).value();
    change(*ledger);
    ledger->record({Event::stopped, "samd"});
    EXPECT_TRUE(ledger->commit());
}

protocol::Grant TrialSam::grant_for(const Person& person, const std::string& profile) const {
    const bool has_app = profile != "sms";
    return {.enrolment = random_fixed<EnrolmentId>(),
            .nonce = random_fixed<Nonce>(),
            .signer = person.signer,
            .subject = person.subject,
            .profile = profile,
            .policy_version = rules.version(),
            .key_kind = KeyKind::p256,
            .phone = person.phone,
            .email = "someone@tsp.example",
            .phone_device = person.phone_device,
            .app_device = has_app ? std::optional{person.app_device} : std::nullopt,
            .evidence = sha256(view_of("evidence")),
            .issued_at = clock.now(),
            .expires_at = clock.now() + 24h};
}

Result<pb::EnrolmentState> TrialSam::begin(const pb::Paper& grant) {
    pb::SamRequest request;
    *request.mutable_begin_enrolment()->mutable_grant() = grant;
    return running->bootstrap.call<pb::EnrolmentState>(request);
}
Result<pb::FactorsSet> TrialSam::set_factors(const EnrolmentId& enrolment, const std::string& pin,
                                             const std::string& code) {
    pb::SamRequest request;
    auto& factors = *request.mutable_set_factors();
    factors.set_enrolment(string_of(enrolment.bytes()));
    factors.set_pin(pin);
    factors.set_code(code);
    factors.set_acceptance_digest(string_of(sha256(view_of("terms")).bytes()));
    return running->bootstrap.call<pb::FactorsSet>(request);
}
Result<pb::SignedPaper> TrialSam::create_key(const EnrolmentId& enrolment) {
    pb::SamRequest request;
    request.mutable_create_key()->set_enrolment(string_of(enrolment.bytes()));
    return running->bootstrap.call<pb::SignedPaper>(request);
}
Result<pb::SignedPaper> TrialSam::activate(const EnrolmentId& enrolment, const Bytes& certificate) {
    pb::SamRequest request;
    request.mutable_activate()->set_enrolment(string_of(enrolment.bytes()));
    request.mutable_activate()->set_certificate(string_of(certificate));
    return running->bootstrap.call<pb::SignedPaper>(request);
}
Bytes TrialSam::certificate_for(const protocol::Grant& grant, const Bytes& public_key) const {
    return certificate({public_key, grant.subject, clock.now() - 60s, clock.now() + std::chrono::days{365}},
                       *desk.ca_certificate, *desk.ca);
}

Credential TrialSam::enrol(const Person& person, const std::string& profile, const std::string& pin) {
    const auto grant = grant_for(person, profile);
    const auto begun = begin(desk.sign(grant));
    EXPECT_TRUE(begun) << describe(begun.error());
    const auto factors = set_factors(grant.enrolment, pin, last_code(person.phone));
    EXPECT_TRUE(factors) << describe(factors.error());
    const auto key = create_key(grant.enrolment);
    EXPECT_TRUE(key) << describe(key.error());
    pb::KeyProof proof;
    proof.ParseFromString(key.value().paper().body());
    auto made = certificate_for(grant, bytes_of(proof.public_key()));
    const auto active = activate(grant.enrolment, made);
    EXPECT_TRUE(active) << describe(active.error());
    return {*CredentialId::from(view_of(begun.value().credential())),
            grant.enrolment,
            bytes_of(proof.public_key()),
            bytes_of(factors.value().totp_secret()),
            std::move(made),
            person.phone};
}

std::string TrialSam::last_sms(const std::string& phone) {
    const std::lock_guard guard{running->outbox_lock};
    for (auto at = running->outbox.rbegin(); at != running->outbox.rend(); ++at)
        if (at->first == phone) return at->second;
    ADD_FAILURE() << "no SMS to " << phone;
    return "000000";
}
std::string TrialSam::last_code(const std::string& phone) {
    const auto text = last_sms(phone);
    return text.substr(text.size() - 6);
}
std::size_t TrialSam::sms_count() {
    const std::lock_guard guard{running->outbox_lock};
    return running->outbox.size();
}

namespace {
template <class Message>
void name_hashes(Message& message, const std::vector<std::string>& documents) {
    if (documents.empty()) return;
    message.set_hash_algorithm(static_cast<unsigned>(HashAlgorithm::sha256));
    for (const auto& document : documents) message.add_hashes(string_of(hash_of(document).bytes()));
}
}  // namespace

Result<pb::Authorised> TrialSam::authorise(const Credential& credential, const Ask& ask) {
    pb::SamRequest request;
    auto& authorise = *request.mutable_authorise();
    authorise.set_client(ask.client);
    authorise.set_credential(string_of(credential.id.bytes()));
    name_hashes(authorise, ask.documents);
    auto factors = ask.factors;
    if (factors.empty()) factors = {{"PIN", ask.pin}, {ask.held, ask.code}};
    for (const auto& [id, value] : factors) {
        auto& factor = *authorise.add_factors();
        factor.set_id(id);
        factor.set_value(value);
    }
    return running->gateway.call<pb::Authorised>(request);
}
Result<pb::ChallengeOpened> TrialSam::challenge(const Credential& credential, const std::vector<std::string>& documents,
                                                const std::string& client, const std::string& factor) {
    pb::SamRequest request;
    auto& open = *request.mutable_open_challenge();
    open.set_client(client);
    open.set_credential(string_of(credential.id.bytes()));
    open.set_factor(factor);
    name_hashes(open, documents);
    return running->gateway.call<pb::ChallengeOpened>(request);
}
Result<pb::Signatures> TrialSam::sign(const Credential& credential, const std::string& sad,
                                      const std::vector<std::string>& documents, const std::string& key, Scheme scheme,
                                      const std::string& client) {
    pb::SamRequest request;
    auto& sign = *request.mutable_sign();
    sign.set_client(client);
    sign.set_credential(string_of(credential.id.bytes()));
    sign.set_sad(sad);
    name_hashes(sign, documents);
    sign.set_scheme(static_cast<unsigned>(scheme));
    sign.set_idempotency_key(key);
    return running->gateway.call<pb::Signatures>(request);
}
Result<pb::Done> TrialSam::destroy(const Credential& credential) {
    pb::SamRequest request;
    request.mutable_destroy()->set_credential(string_of(credential.id.bytes()));
    request.mutable_destroy()->set_reason("revoked");
    return running->bootstrap.call<pb::Done>(request);
}
Result<pb::Done> TrialSam::set_disabled(const Credential& credential, bool disabled) {
    pb::SamRequest request;
    request.mutable_set_status()->set_credential(string_of(credential.id.bytes()));
    request.mutable_set_status()->set_disabled(disabled);
    return running->bootstrap.call<pb::Done>(request);
}
std::string TrialSam::approved(const Credential& credential, const std::vector<std::string>& documents) {
    next_step();
    const auto sad = authorise(credential, {.code = code(credential), .documents = documents});
    EXPECT_TRUE(sad) << describe(sad.error());
    return sad ? sad.value().sad() : "";
}

Result<pb::Done> TrialSam::unseal(const std::string& reason) {
    pb::SamRequest request;
    request.mutable_unseal()->set_reason(reason);
    return running->bootstrap.call<pb::Done>(request);
}

Result<pb::Done> TrialSam::rotate_keys(const std::string& reason) {
    pb::SamRequest request;
    request.mutable_rotate_keys()->set_reason(reason);
    return running->bootstrap.call<pb::Done>(request);
}

std::vector<pb::LogRecord> TrialSam::records() {
    std::vector<pb::LogRecord> out;
    for (;;) {
        pb::SamRequest request;
        request.mutable_read_log()->set_from(out.size());
        request.mutable_read_log()->set_count(1000);
        const auto some = running->bootstrap.call<pb::LogRecords>(request);
        EXPECT_TRUE(some);
        if (!some || some.value().records().empty()) return out;
        for (const auto& record : some.value().records())
            out.push_back(protocol::decode<pb::LogRecord>(view_of(record)).value());
    }
}
std::vector<pb::LogRecord> TrialSam::records(std::string_view type) {
    auto all = records();
    std::erase_if(all, [&](const auto& record) { return record.type() != type; });
    return all;
}

std::string field(const pb::LogRecord& record, std::string_view wanted) {
    for (const auto& each : record.fields())
        if (each.name() == wanted) return each.value();
    return {};
}

bool verifies(const Credential& credential, std::string_view document, const std::string& signature) {
    const auto key = public_key_from_der(credential.public_key).value();
    return verify_message(*key, view_of(document), view_of(signature));
}

}  // namespace qscd::sam
