#include "tests/unit/ca/trial.hpp"

#include <atomic>
#include <fstream>
#include <openssl/rsa.h>
#include <unistd.h>

namespace qscd::ca {

Folder::Folder() {
    static std::atomic<int> count = 0;
    path_ = std::filesystem::temp_directory_path() /
            ("qscd-ca-" + std::to_string(::getpid()) + "-" + std::to_string(++count));
    std::filesystem::create_directories(path_);
}
Folder::~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

TimePoint at(int year, unsigned month, unsigned day, int hour) {
    return std::chrono::sys_days{std::chrono::year{year} / std::chrono::month{month} / std::chrono::day{day}} +
           std::chrono::hours{hour};
}

EvpPkey software_key(KeyKind kind) {
    const auto& row = row_of(kind);
    return EvpPkey{row.elliptic ? EVP_EC_gen(row.group.data()) : EVP_RSA_gen(row.bits)};
}
Bytes spki_of(const EVP_PKEY& key) { return der_of(key, i2d_PUBKEY); }

TrialPki::TrialPki(const std::string& word)
    : root_key(software_key(KeyKind::p384)),
      lcp_key(software_key(KeyKind::p384)),
      qualified_key(software_key(KeyKind::p384)) {
    const auto born = at(2026, 1, 1);
    const std::string base = "http://pki.qscd-test.example";
    const auto root = root_certificate({"AT", "Demo Trust", word + " Root"}, spki_of(*root_key), *root_key, born);
    hierarchy.root = certificate_from_der(root.value()).value();
    const auto issuing = [&](const std::string& name, EVP_PKEY& key) {
        const auto der = issuing_certificate({"AT", "Demo Trust", word + " " + name}, spki_of(key), *hierarchy.root,
                                             *root_key, born, base);
        return certificate_from_der(der.value()).value();
    };
    hierarchy.lcp = issuing("LCP", *lcp_key);
    hierarchy.qualified = issuing("Qualified", *qualified_key);
}

policy::Policy trial_policy(std::string_view public_base) {
    std::string text = "public_base = \"" + std::string{public_base} + "\"\n";
    text += R"(
[profile.qscd]
type = "QCP-n-qscd"
keys = ["P-256", "P-384", "RSA-3072", "RSA-4096"]
pds = [{lang = "en", url = "https://pki.qscd-test.example/pds-en.pdf"}]
proofing = ["demo"]
otp = ["totp"]
[profile.qscd-sms]
type = "QCP-n-qscd"
keys = ["P-256"]
pds = [{lang = "en", url = "https://pki.qscd-test.example/pds-en.pdf"}]
proofing = ["demo"]
otp = ["sms"]
[profile.qcp-n]
type = "QCP-n"
keys = ["P-256", "P-384"]
own_policy = "1.3.6.1.4.1.99999.1.2"
pds = [{lang = "en", url = "https://pki.qscd-test.example/pds-en.pdf"}, {lang = "de", url = "https://pki.qscd-test.example/pds-de.pdf"}]
proofing = ["demo"]
otp = ["totp"]
[profile.lcp]
type = "LCP"
keys = ["P-256", "RSA-3072"]
proofing = ["demo"]
otp = ["totp"]
)";
    return policy::Policy::parse(text, "policy.toml").value();
}

policy::ModuleRegistry registry_of(std::string_view qscd_table) {
    const Folder folder;
    std::ofstream{folder / "softhsm2.toml"} << "name = \"softhsm2\"\nlibrary = \"/usr/lib/libsofthsm2.so\"\n"
                                               "model = \"SoftHSM v2\"\nmanufacturer = \"SoftHSM project\"\n"
                                               "firmware = [\"2.6\"]\nconcurrency = 2\n"
                                            << qscd_table;
    return policy::ModuleRegistry::load(folder.path()).value();
}

protocol::TrustedKeys Desk::trusted() const {
    const auto public_half = [](const EvpPkey& key) { return public_key_from_der(spki_of(*key)).value(); };
    protocol::TrustedKeys keys;
    keys.add(protocol::Issuer::registration_officer, public_half(officer));
    keys.add(protocol::Issuer::rule_key, public_half(rule));
    keys.add(protocol::Issuer::attestation_key, public_half(attestation));
    return keys;
}

pb::Paper sign_paper(const protocol::Unsigned& paper, EVP_PKEY& key) {
    return protocol::assemble(paper, protocol::key_id_of(key), sign_message(key, paper.message).value());
}

Enrolment::Enrolment(std::string profile, KeyKind kind, TimePoint now, const Sha256Digest& policy_version)
    : grant{.enrolment = random_fixed<EnrolmentId>(),
            .nonce = random_fixed<Nonce>(),
            .signer = random_fixed<SignerId>(),
            .subject = anna,
            .profile = std::move(profile),
            .policy_version = policy_version,
            .key_kind = kind,
            .phone = "+436601234567",
            .email = "anna@qscd-test.example",
            .phone_device = random_fixed<DeviceId>(),
            .app_device = random_fixed<DeviceId>(),
            .evidence = sha256(view_of("evidence")),
            .issued_at = now - std::chrono::hours{1},
            .expires_at = now + std::chrono::days{6}},
      proof{.grant = sha256(ByteView{}),
            .enrolment = grant.enrolment,
            .credential = random_fixed<CredentialId>(),
            .key_kind = kind,
            .public_key = spki_of(*software_key(kind)),
            .module_entry = "softhsm2",
            .attributes = {{"CKA_TOKEN", "true"},
                           {"CKA_PRIVATE", "true"},
                           {"CKA_SENSITIVE", "true"},
                           {"CKA_EXTRACTABLE", "false"},
                           {"CKA_MODIFIABLE", "false"},
                           {"CKA_COPYABLE", "false"},
                           {"CKA_SIGN", "true"},
                           {"CKA_DECRYPT", "false"},
                           {"CKA_UNWRAP", "false"},
                           {"CKA_DERIVE", "false"},
                           {"CKA_ALWAYS_SENSITIVE", "true"},
                           {"CKA_NEVER_EXTRACTABLE", "true"},
                           {"CKA_LOCAL", "true"}},
            .acceptance = sha256(view_of("acceptance")),
            .made_at = now} {}

Enrolment::Papers Enrolment::sign(EVP_PKEY& approver, EVP_PKEY& attestation) const {
    const auto unsigned_grant = protocol::to_paper(grant);
    auto bound = proof;
    if (proof_names_its_grant) bound.grant = sha256(unsigned_grant.message);
    return {sign_paper(unsigned_grant, approver), sign_paper(protocol::to_paper(bound), attestation)};
}

std::unique_ptr<Issuing> TrialCa::issuing() {
    return std::make_unique<Issuing>(Issuing::Parts{policy, registry_of(modules), desk.trusted(), pki.hierarchy,
                                                    *certificates, keys, clock, serials});
}

}  // namespace qscd::ca
