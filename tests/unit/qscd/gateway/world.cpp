#include "tests/unit/qscd/gateway/world.hpp"

#include <gtest/gtest.h>
#include <openssl/rand.h>

#include "base/random.hpp"
#include "tests/instruments/cluster/place.hpp"

namespace qscd::gateway {
namespace {

using Name = std::pair<const char*, std::string_view>;

void put_name(X509_NAME* name, std::initializer_list<Name> parts) {
    for (const auto& [type, value] : parts)
        X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                   static_cast<int>(value.size()), -1, 0);
}

void extend(X509& certificate, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, &certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(&certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

X509Cert certificate(EVP_PKEY& subject_key, std::initializer_list<Name> subject, EVP_PKEY& issuer_key, X509* issuer,
                     bool ca, TimePoint from, TimePoint to, std::string_view serial) {
    X509Cert out{X509_new()};
    X509_set_version(out.get(), 2);
    BIGNUM* number = nullptr;
    BN_hex2bn(&number, std::string{serial}.c_str());
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(out.get()));
    BN_free(number);
    ASN1_TIME_set(X509_getm_notBefore(out.get()), unix_seconds(from));
    ASN1_TIME_set(X509_getm_notAfter(out.get()), unix_seconds(to));
    put_name(X509_get_subject_name(out.get()), subject);
    X509_set_issuer_name(out.get(), X509_get_subject_name(issuer != nullptr ? issuer : out.get()));
    X509_set_pubkey(out.get(), &subject_key);
    if (ca) {
        extend(*out, issuer != nullptr ? issuer : out.get(), NID_basic_constraints, "critical,CA:TRUE");
        extend(*out, issuer != nullptr ? issuer : out.get(), NID_key_usage, "critical,keyCertSign");
    }
    X509_sign(out.get(), &issuer_key, EVP_sha256());
    return out;
}

constexpr std::string_view policy_text = R"(public_base = "http://pki.tsp.example"

[profile.app]
type = "LCP"
policy = "%"
proofing = ["document"]
keys = ["P-256"]
otp = ["totp"]
modes = ["explicit", "page"]
multisign = 3

[profile.sms]
type = "QCP-n"
policy = "%"
proofing = ["document"]
keys = ["RSA-3072"]
pds = [{lang = "en", url = "https://tsp.example/pds-en.pdf"}]
otp = ["sms"]
modes = [&"page"]

[profile.page]
type = "QCP-n-qscd"
policy = "%"
proofing = ["document"]
keys = ["P-384"]
pds = [{lang = "en", url = "https://tsp.example/pds-en.pdf"}]
otp = ["sms"]
modes = ["page"]

[profile.either]
type = "LCP"
policy = "%"
proofing = ["document"]
keys = ["RSA-4096"]
otp = ["totp", "sms"]
modes = ["explicit"]
)";

pb::CredentialDescription described_as(const CredentialId& id, const SignerId& signer, KeyKind kind,
                                       const char* profile) {
    pb::CredentialDescription out;
    out.set_credential(string_of(id.bytes()));
    out.set_signer(string_of(signer.bytes()));
    out.set_status(pb::CredentialDescription::ACTIVE);
    out.set_key_kind(static_cast<unsigned>(kind));
    out.set_profile(profile);
    out.set_certificate(string_of(der_of(*pki().signer("Änne \"A\" Example", noon - 24h, noon + 24h), i2d_X509)));
    return out;
}

policy::Deployment deployment_in(const std::filesystem::path& folder) {
    policy::Deployment out{};
    out.folder = folder;
    out.public_url = "https://sign.example:8443";
    out.name = "Trial";
    out.description = "A trial service";
    out.region = "DE";
    out.language = "en";
    return out;
}

CaCertificates authorities() {
    std::vector<X509Cert> out;
    for (const auto* each : {pki().root.get(), pki().issuing.get()})
        out.emplace_back(X509_dup(const_cast<X509*>(each)));
    return CaCertificates{std::move(out)};
}

std::filesystem::path new_folder() {
    const auto path = std::filesystem::temp_directory_path() / ("gateway-" + to_hex(random_bytes(8)));
    std::filesystem::create_directories(path);
    return path;
}

std::unique_ptr<Access> opened(const std::filesystem::path& folder, const Clock& clock) {
    auto access = Access::open(instruments::place_of(folder / "gatewayd.sqlite"), clock);
    EXPECT_TRUE(access);
    return std::move(access).value();
}

}  // namespace

policy::Policy policy_with(std::string_view regime) {
    std::string text;
    for (const char c : policy_text) {
        if (c == '%') text += regime;
        else if (c == '&') text += regime == "trial" ? "\"explicit\", " : "";
        else text += c;
    }
    auto parsed = policy::Policy::parse(text, "policy.toml");
    EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().detail);
    return std::move(parsed).value();
}

Pki::Pki()
    : root_key(generate_p256()),
      issuing_key(generate_p256()),
      root(certificate(*root_key, {{"C", "DE"}, {"CN", "Root"}}, *root_key, nullptr, true, noon - 48h, noon + 480h,
                       "01")),
      issuing(certificate(*issuing_key, {{"C", "DE"}, {"O", "TSP"}, {"CN", "Issuing"}}, *root_key, root.get(), true,
                          noon - 48h, noon + 480h, "02")) {}

X509Cert Pki::signer(std::string_view common_name, TimePoint from, TimePoint to) const {
    static const EvpPkey key = generate_p256();
    return certificate(*key, {{"C", "DE"}, {"CN", common_name}, {"serialNumber", "A1"}}, *issuing_key, issuing.get(),
                       false, from, to, "0A1B2C3D");
}

const Pki& pki() {
    static const Pki one;
    return one;
}

FakeSam::FakeSam() {
    report.set_tokens(true);
    report.set_store(true);
    credentials.emplace(annas_app, described_as(annas_app, anna, KeyKind::p256, "app"));
    credentials.emplace(annas_sms, described_as(annas_sms, anna, KeyKind::rsa3072, "sms"));
    credentials.emplace(annas_page, described_as(annas_page, anna, KeyKind::p384, "page"));
    auto enrolling = described_as(annas_new, anna, KeyKind::p256, "app");
    enrolling.set_status(pb::CredentialDescription::ENROLLING);
    enrolling.clear_certificate();
    credentials.emplace(annas_new, enrolling);
    credentials.emplace(boriss, described_as(boriss, boris, KeyKind::p256, "app"));
}

Result<pb::CredentialDescription> FakeSam::describe(const CredentialId& credential) {
    ++describes;
    if (at_describe) {
        QSCD_TRY(at_describe());
    }
    const auto found = credentials.find(credential);
    if (found == credentials.end()) return Error{Errc::parameter_invalid, "", {"string", "credential"}};
    return found->second;
}
Result<std::vector<CredentialId>> FakeSam::list(const SignerId& signer) {
    if (at_list) {
        QSCD_TRY(at_list());
    }
    std::vector<CredentialId> out;
    for (const auto& [id, each] : credentials)
        if (each.signer() == text_of(signer.bytes())) out.push_back(id);
    return out;
}
Result<void> FakeSam::open_challenge(const pb::OpenChallenge& request) {
    if (at_open) {
        QSCD_TRY(at_open());
    }
    opened.push_back(request);
    return success();
}
Result<pb::Authorised> FakeSam::authorise(pb::Authorise& request) {
    authorised.push_back(request);
    if (at_authorise) {
        QSCD_TRY(at_authorise());
    }
    pb::Authorised out;
    out.set_sad("\xff\xfe the sad token, 32 bytes of it");
    out.set_expires_in(120);
    return out;
}
Result<pb::Signatures> FakeSam::sign(pb::SignHash& request) {
    signed_hashes.push_back(request);
    if (at_sign) {
        QSCD_TRY(at_sign());
    }
    pb::Signatures out;
    for (const auto& hash : request.hashes()) out.add_signatures("signature of " + hash);
    return out;
}
Result<pb::SamHealthReport> FakeSam::health() {
    ++healths;
    if (at_health) {
        QSCD_TRY(at_health());
    }
    return report;
}

FakeRegistration::FakeRegistration() : signers{{"anna", anna}, {"boris", boris}} {
    report.set_store(true);
    report.set_token(true);
}
Result<SignerId> FakeRegistration::find_signer(const std::string& username) {
    ++finds;
    if (at_find) {
        QSCD_TRY(at_find());
    }
    const auto found = signers.find(username);
    if (found == signers.end()) return Error{Errc::parameter_invalid, "", {"string", "username"}};
    return found->second;
}
Result<pb::RaHealthReport> FakeRegistration::health() { return report; }

World::World()
    : folder(new_folder()),
      policy(policy_with("trial")),
      deployment(deployment_in(folder)),
      authorities(gateway::authorities()),
      access(opened(folder, clock)),
      directory(sam, registration, *access, policy),
      health(sam, registration, *access, policy),
      administration(*access, health, policy),
      service{sam, *access, directory, health, authorities, policy, deployment, clock},
      door(service) {
    const auto client = [](const char* id, const char* secret, std::set<SignerId> signers) {
        return Client{ClientId::from(id).value(), "A portal", sha256(view_of(secret)), "https://portal.example/cb",
                      std::move(signers)};
    };
    EXPECT_TRUE(access->put(client("acme", acme_secret, {anna})));
    EXPECT_TRUE(access->put(client("other", "another secret", {boris})));
    bearer = token_of("acme");
}

World::~World() {
    access.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
}

std::string World::token_of(const char* client, std::chrono::seconds life) {
    return access->issue_token(ClientId::from(client).value(), life).value();
}

net::Response World::send(net::Request request) { return door.answer(request); }

net::Response World::post(std::string_view method, std::string_view body, net::Headers more) {
    net::Request request;
    request.method = "POST";
    request.path = request.target = "/csc/v2/" + std::string{method};
    request.headers = {{"authorization", "Bearer " + bearer}, {"content-type", "application/json"}};
    request.headers.insert(request.headers.end(), more.begin(), more.end());
    request.body = body;
    return send(std::move(request));
}

net::Response World::post_form(std::string_view body, net::Headers more, std::string_view path) {
    net::Request request;
    request.method = "POST";
    request.path = request.target = path;
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
    request.headers.insert(request.headers.end(), more.begin(), more.end());
    request.body = body;
    return send(std::move(request));
}

std::string base64_hash(char fill, std::size_t size) { return to_base64(view_of(std::string(size, fill))); }

json::Object object_in(const net::Response& response) {
    auto object = json::Object::parse(response.body.empty() ? "{}" : response.body);
    EXPECT_TRUE(object) << response.body;
    return std::move(object).value();
}
std::string error_in(const net::Response& response) {
    return object_in(response).optional_string("error", 1000).value().value_or("");
}
std::string description_in(const net::Response& response) {
    return object_in(response).optional_string("error_description", 1000).value().value_or("");
}
std::optional<std::string> header_of(const net::Response& response, std::string_view name) {
    for (const auto& [known, value] : response.headers)
        if (known == name) return value;
    return std::nullopt;
}

}  // namespace qscd::gateway
