#include "qscd/cli/setup.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "ca/issuing/ca_certificates.hpp"
#include "ca/issuing/crl.hpp"
#include "hsm/provider/provider.hpp"
#include "policy/module_registry.hpp"

namespace qscd::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t pin_bytes = 12;  // random, written in hex
constexpr const char* rule_label = "rule";
constexpr std::array library_places{"/usr/lib/softhsm/libsofthsm2.so",
                                    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"};
constexpr std::array certificate_files{policy::lcp_certificate, policy::qualified_certificate};

Result<fs::path> library_of(const policy::ModuleEntry& entry, const fs::path& given) {
    if (!given.empty()) return given;
    if (fs::exists(entry.library)) return fs::path{entry.library};
    for (const auto* place : library_places)
        if (fs::exists(place)) return fs::path{place};
    return Error{Errc::configuration, "the module's library is not installed: " + entry.library};
}

Result<void> copy_whole(const fs::path& from, const fs::path& to) {
    QSCD_TRY(const auto text, read_file(from));
    return write_file(to, text);
}

Error has_keys(const std::string& token, const std::string& file) {
    return {Errc::configuration, "token " + token + " has keys already: pki/" + file + " is theirs"};
}

// A key in a token, for OpenSSL to sign with. The token must outlive it.
Result<EvpPkey> key_in(hsm::Token& token, KeyKind kind, const std::string& label, Bytes spki) {
    QSCD_TRY(const auto key, token.find_by_label(label));
    return hsm::make_evp_pkey(std::make_shared<hsm::ProviderKey>(hsm::ProviderKey{
        kind, std::move(spki),
        [&token, key](Scheme scheme, const DtbsR& dtbsr) { return token.sign(*key, scheme, dtbsr).signature; }}));
}

// Whether the token has the private half: by a signature over something new.
bool has_half_of(hsm::Token& token, KeyKind kind, const std::string& label, EVP_PKEY& public_key) {
    const auto key = key_in(token, kind, label, der_of(public_key, i2d_PUBKEY));
    if (!key) return false;
    const auto message = random_bytes(Sha256Digest::size);
    const auto signature = sign_message(*key.value(), message);
    return signature && verify_message(public_key, message, signature.value());
}

Result<EvpPkey> public_key_in(const fs::path& file) {
    QSCD_TRY(const auto pem, read_file(file));
    return public_key_from_pem(pem);
}

// Nothing when the file is absent or holds a certificate for another key or by another issuer.
X509Cert certificate_in(const fs::path& file, EVP_PKEY& subject_key, EVP_PKEY& issuer_key) {
    const auto pem = read_file(file);
    if (!pem) return nullptr;
    auto certificate = certificate_from_pem(pem.value());
    if (!certificate || EVP_PKEY_eq(X509_get0_pubkey(certificate.value().get()), &subject_key) != 1 ||
        X509_verify(certificate.value().get(), &issuer_key) != 1)
        return nullptr;
    return std::move(certificate).value();
}

}  // namespace

const std::vector<Placement>& placements() {
    static const std::vector<Placement> all{{"samd", {policy::first_signer_token, policy::sam_token}},
                                            {"rad", {policy::ra_token}},
                                            {"cad", {policy::ca_token}},
                                            {"root", {policy::root_token}}};
    return all;
}

Result<const Placement*> placement_of(std::string_view daemon) {
    const auto found = std::ranges::find(placements(), daemon, &Placement::daemon);
    if (found == placements().end())
        return Error{Errc::configuration, "no daemon has tokens as " + std::string{daemon}};
    return &*found;
}

Result<std::string_view> daemon_of(std::string_view token) {
    for (const auto& each : placements())
        if (std::ranges::count(each.tokens, token) != 0) return each.daemon;
    return Error{Errc::configuration, "there is no token " + std::string{token}};
}

std::string public_key_file(std::string_view key_label) { return std::string{key_label} + ".pub.pem"; }

Result<Setup> Setup::begin(const fs::path& folder) {
    std::error_code error;
    const auto whole = fs::absolute(folder, error);
    if (fs::exists(whole / "qscd.toml"))
        return Error{Errc::configuration, whole.string() + " holds a deployment already; nothing was changed"};
    return Setup{whole};
}

Result<policy::Policy> Setup::lay_out(const fs::path& policy, const fs::path& modules, const std::string& module,
                                      const fs::path& library) {
    QSCD_TRY(auto rules, policy::Policy::load(policy));
    QSCD_TRY(const auto registry, policy::ModuleRegistry::load(modules));
    const auto* entry = registry.find(module);
    if (entry == nullptr) return Error{Errc::configuration, "the module registry has no entry " + module};
    QSCD_TRY(library_, library_of(*entry, library));
    std::error_code error;
    for (const auto* name : {"policy", "modules", "db", "tokens", "tls", "pki", "pki/registration-officers", "secrets",
                             "officers", "log", "outbox", "run"})
        fs::create_directories(folder_ / name, error);
    if (error) return Error{Errc::configuration, "cannot make folders in " + folder_.string() + ": " + error.message()};
    fs::permissions(folder_ / "secrets", fs::perms::owner_all, error);
    fs::permissions(folder_ / "officers", fs::perms::owner_all, error);
    QSCD_TRY(copy_whole(policy, folder_ / "policy" / "policy.toml"));
    QSCD_TRY(copy_whole(modules / (module + ".toml"), folder_ / "modules" / (module + ".toml")));
    module_ = *entry;
    return rules;
}

Result<policy::Policy> Setup::resume(const fs::path& library) {
    QSCD_TRY(auto rules, policy::Policy::load(folder_ / "policy" / "policy.toml"));
    QSCD_TRY(const auto registry, policy::ModuleRegistry::load(folder_ / "modules"));
    QSCD_TRY(library_, library_of(registry.modules().front(), library));
    module_ = registry.modules().front();
    return rules;
}

Result<std::shared_ptr<hsm::Module>> Setup::load_module(std::string_view daemon) const {
    auto start = module_->start_in(folder_ / "tokens" / daemon);
    return hsm::Module::load(
        {library_, std::move(start.reserved), std::move(start.environment), std::move(start.durable_folder)});
}

Result<void> Setup::need_no_keys(const Placement& placement) const {
    for (const auto& label : placement.tokens)
        for (const auto& file : files_of(label))
            if (fs::exists(folder_ / "pki" / file)) return has_keys(label, file);
    return success();
}

Result<std::vector<hsm::TokenInfo>> Setup::make_tokens(std::string_view daemon, const PinSource& pins) const {
    QSCD_TRY(const auto* placement, placement_of(daemon));
    QSCD_TRY(need_no_keys(*placement));
    QSCD_TRY(remove_tokens(daemon));
    const auto home = folder_ / "tokens" / daemon;
    std::error_code error;
    fs::create_directories(home / "tokens", error);
    fs::permissions(home, fs::perms::owner_all, error);
    if (error) return Error{Errc::configuration, "cannot make " + home.string()};
    QSCD_TRY(write_file(home / "softhsm2.conf", "directories.tokendir = " + (home / "tokens").string() +
                                                    "\nobjectstore.backend = file\nlog.level = ERROR\n"
                                                    "slots.removable = false\nlibrary.reset_on_fork = false\n"));
    QSCD_TRY(const auto module, load_module(daemon));
    std::vector<hsm::TokenInfo> out;
    for (const auto& label : placement->tokens) {
        QSCD_TRY(const auto drawn, pins(label));
        QSCD_TRY(module->initialise_token(label, drawn.so, drawn.user));
        QSCD_TRY(auto info, module->find(label));
        QSCD_TRY(module_->check({info.label, info.manufacturer, info.model, info.firmware}));
        out.push_back(std::move(info));
    }
    return out;
}

Result<void> Setup::add_signer_token(const std::string& label, const PinSource& pins) const {
    QSCD_TRY(const auto module, load_module("samd"));
    QSCD_TRY(const auto drawn, pins(label));
    QSCD_TRY(module->initialise_token(label, drawn.so, drawn.user));
    QSCD_TRY(const auto info, module->find(label));
    return module_->check({info.label, info.manufacturer, info.model, info.firmware});
}

Result<SecretBytes> Setup::draw_pin(const std::string& file) const {
    auto random = random_bytes(pin_bytes);
    auto text = to_hex(random);
    SecretBytes pin{text};
    wipe(random);
    wipe(text);
    QSCD_TRY(write_file(folder_ / "secrets" / file, text_of(pin.reveal()), 0600));
    return pin;
}

Result<std::unique_ptr<hsm::Token>> Setup::open_token(const std::string& label, std::optional<SecretBytes> pin) const {
    QSCD_TRY(const auto daemon, daemon_of(label));
    QSCD_TRY(auto module, load_module(daemon));
    if (!pin) {
        QSCD_TRY(auto text, read_file(folder_ / "secrets" / (label + ".pin")));
        pin.emplace(text);
        wipe(text);
    }
    return hsm::Token::open(std::move(module), label, std::move(*pin), 1);
}

Result<genesis::Summary> Setup::make_sam_keys(hsm::Token& token, const policy::Policy& rules) const {
    QSCD_TRY(auto made, genesis::read(token));
    if (!made) {
        QSCD_TRY(genesis::make(token, rules.has_trial(), rules.version()));
        QSCD_TRY(made, genesis::read(token));
    }
    if (!made) return Error{Errc::internal, "the genesis cannot be read back"};
    if (made->policy_version != rules.version())
        return Error{Errc::configuration, "the genesis of token " + token.label() + " was made under another policy"};
    QSCD_TRY(const auto key, public_key_from_der(made->attestation_key));
    QSCD_TRY(write_file(folder_ / "pki" / policy::attestation_key, pem_of_public(*key)));
    return std::move(*made);
}

// The file is written last: a key without it is what an interrupted attempt left.
Result<void> Setup::make_key(hsm::Token& token, KeyKind kind, const std::string& label, const std::string& file) const {
    const auto path = folder_ / "pki" / file;
    if (fs::exists(path)) {
        QSCD_TRY(const auto public_key, public_key_in(path));
        if (has_half_of(token, kind, label, *public_key)) return success();
        return Error{Errc::configuration, "token " + token.label() + " has not the key of " + path.string()};
    }
    QSCD_TRY(const auto left, token.keys(label));
    for (const auto& key : left) {
        if (key.label != label) continue;
        QSCD_TRY(token.destroy(key.id));
    }
    QSCD_TRY(const auto made, token.generate(kind, random_fixed<CkaId>(), label));
    QSCD_TRY(const auto key, public_key_from_der(made.public_key));
    return write_file(path, pem_of_public(*key));
}

Result<void> Setup::make_rule_key(hsm::Token& token) const {
    return make_key(token, KeyKind::p256, rule_label, policy::rule_key);
}

Result<void> Setup::make_issuing_keys(hsm::Token& token) const {
    for (const auto& authority : ca::authorities) {
        QSCD_TRY(
            make_key(token, KeyKind::p384, std::string{authority.key_label}, public_key_file(authority.key_label)));
    }
    return success();
}

Result<void> Setup::make_root_key(hsm::Token& token) const {
    return make_key(token, KeyKind::p384, std::string{ca::root_key_label}, public_key_file(ca::root_key_label));
}

Result<void> Setup::make_certificates(hsm::Token& token, const policy::Policy& rules, const Owner& owner) const {
    const auto pki = folder_ / "pki";
    QSCD_TRY(const auto root_public, public_key_in(pki / public_key_file(ca::root_key_label)));
    const auto root_spki = der_of(*root_public, i2d_PUBKEY);
    QSCD_TRY(const auto key, key_in(token, KeyKind::p384, std::string{ca::root_key_label}, root_spki));
    const auto now = process_clock().now();
    const auto name = [&](const char* what) {
        return ca::AuthorityName{owner.country, owner.organisation, owner.organisation + " " + what};
    };
    auto root = certificate_in(pki / policy::root_certificate, *root_public, *root_public);
    if (!root) {
        QSCD_TRY(const auto der, ca::root_certificate(name("root CA"), root_spki, *key, now));
        QSCD_TRY(root, certificate_from_der(der));
        QSCD_TRY(write_file(pki / policy::root_certificate, pem_of(*root)));
    }
    for (std::size_t i = 0; i < ca::authorities.size(); ++i) {
        const auto& authority = ca::authorities[i];
        QSCD_TRY(const auto subject_key, public_key_in(pki / public_key_file(authority.key_label)));
        if (certificate_in(pki / certificate_files[i], *subject_key, *root_public)) continue;
        QSCD_TRY(const auto der,
                 ca::issuing_certificate(name(authority.qualified ? "qualified CA" : "LCP CA"),
                                         der_of(*subject_key, i2d_PUBKEY), *root, *key, now, rules.public_base()));
        QSCD_TRY(const auto certificate, certificate_from_der(der));
        QSCD_TRY(write_file(pki / certificate_files[i], pem_of(*certificate)));
    }
    if (fs::exists(pki / policy::root_crl)) return success();
    QSCD_TRY(const auto crl, ca::sign_crl({*root, 1, now, now + ca::root_crl_validity}, *key));
    return write_file(pki / policy::root_crl, text_of(crl));
}

Result<void> Setup::make_registration_officer() const {
    const auto officer = generate_p256();
    QSCD_TRY(write_file(folder_ / "officers" / "registration-1.key.pem", pem_of_private(*officer), 0600));
    return write_file(folder_ / "pki" / policy::officer_keys / "registration-1.pub.pem", pem_of_public(*officer));
}

std::vector<std::string> Setup::files_of(std::string_view token) {
    if (token == policy::sam_token) return {policy::attestation_key};
    if (token == policy::ra_token) return {policy::rule_key};
    std::vector<std::string> out;
    if (token == policy::root_token)
        out = {policy::root_crl, policy::root_certificate, public_key_file(ca::root_key_label)};
    if (token == policy::root_token || token == policy::ca_token)
        for (std::size_t i = 0; i < ca::authorities.size(); ++i) {
            out.emplace_back(certificate_files[i]);
            if (token == policy::ca_token) out.push_back(public_key_file(ca::authorities[i].key_label));
        }
    return out;
}

Result<void> Setup::remove_files_of(std::string_view token) const {
    std::error_code error;
    for (const auto& file : files_of(token)) fs::remove(folder_ / "pki" / file, error);
    if (error) return Error{Errc::configuration, "cannot clear " + (folder_ / "pki").string() + ": " + error.message()};
    return success();
}

Result<void> Setup::remove_tokens(std::string_view daemon) const {
    QSCD_TRY(const auto* placement, placement_of(daemon));
    std::error_code error;
    fs::remove_all(folder_ / "tokens" / daemon, error);
    for (const auto& label : placement->tokens)
        for (const auto* ending : {".pin", ".so.pin"}) fs::remove(folder_ / "secrets" / (label + ending), error);
    if (error) return Error{Errc::configuration, "cannot clear the tokens of " + std::string{daemon}};
    return success();
}

}  // namespace qscd::cli
