#include "qscd/cli/init.hpp"

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "base/store/provision.hpp"
#include "ca/issuing/ca_certificates.hpp"
#include "ca/issuing/crl.hpp"
#include "hsm/provider.hpp"
#include "hsm/token.hpp"
#include "policy/deployment.hpp"
#include "policy/module_registry.hpp"
#include "policy/policy.hpp"
#include "qscd/cli/tls_files.hpp"
#include "qscd/genesis/genesis.hpp"

namespace qscd::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t pin_bytes = 12, store_password_bytes = 24;  // random, written in hex
constexpr std::array library_places{"/usr/lib/softhsm/libsofthsm2.so",
                                    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                                    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"};

// Which daemon's folder holds which tokens. The root's folder belongs to nobody that runs: it may be put away.
struct Placement {
    const char* daemon;
    std::vector<std::string> tokens;
};

std::string toml_text(std::string_view text) {
    std::string out{'"'};
    for (const char c : text) (c == '"' || c == '\\') ? (out += '\\') += c : out += c;
    return out += '"';
}

// The server's side of `--store`: asked first, so that what cannot be is said before keys are made; changed last.
struct Rooms {
    store::Server server;
    std::string prefix;
    std::unique_ptr<store::Database> administrator;

    static Error wrong(const Error& error) { return {Errc::configuration, "--store: " + error.detail}; }

    static Result<std::optional<Rooms>> find(const InitSettings& settings) {
        if (settings.store.empty()) return std::optional<Rooms>{};
        auto server = store::Server::parse(settings.store);
        if (!server) return wrong(server.error());
        if (server.value().password || !server.value().schema.empty())
            return Error{Errc::configuration,
                         "--store: a command line is no place for a password (write it to "
                         "--store-password-fd), and the schemas are made here"};
        if (settings.store_password_descriptor >= 0) {
            QSCD_TRY(auto password,
                     secret(settings.store_password_descriptor, "password of the store's administrator: "));
            server.value().password = std::make_shared<const SecretBytes>(std::move(password));
        }
        auto administrator = store::Database::open(server.value());
        if (!administrator) return wrong(administrator.error());
        Rooms out{std::move(server).value(), settings.store_prefix, std::move(administrator).value()};
        if (const auto can = store::can_provision(*out.administrator, out.names()); !can) return wrong(can.error());
        return std::optional{std::move(out)};
    }

    std::vector<std::string> names() const {
        std::vector<std::string> out;
        out.reserve(policy::daemons_with_stores.size());
        for (const auto* daemon : policy::daemons_with_stores) out.push_back(prefix + daemon);
        return out;
    }

    Result<void> make(const fs::path& folder) const {
        std::vector<SecretBytes> passwords;
        std::vector<store::Room> rooms;
        passwords.reserve(policy::daemons_with_stores.size());
        for (const auto* daemon : policy::daemons_with_stores) {
            const auto& password = passwords.emplace_back(to_hex(random_bytes(store_password_bytes)));
            QSCD_TRY(write_file(folder / policy::Deployment::store_secret(daemon), text_of(password.reveal()), 0600));
            rooms.push_back({prefix + daemon, password});
        }
        if (const auto made = store::provision(*administrator, rooms); !made) return wrong(made.error());
        return success();
    }

    std::string configuration() const {
        auto place = server;
        place.role.clear();
        return "\n[store]\nurl = " + toml_text(place.text()) + "\n" +
               (prefix == policy::store_prefix ? "" : "prefix = " + toml_text(prefix) + "\n");
    }
};

struct Setup {
    const Options& options;
    const InitSettings& settings;
    fs::path folder, library;

    Result<void> folders() const {
        std::error_code error;
        for (const auto* name : {"policy", "modules", "db", "tokens", "tls", "pki", "pki/registration-officers",
                                 "secrets", "officers", "log", "outbox", "run"})
            fs::create_directories(folder / name, error);
        if (error)
            return Error{Errc::configuration, "cannot make folders in " + folder.string() + ": " + error.message()};
        fs::permissions(folder / "secrets", fs::perms::owner_all, error);
        fs::permissions(folder / "officers", fs::perms::owner_all, error);
        return success();
    }

    Result<void> copy(const fs::path& from, const fs::path& to) const {
        QSCD_TRY(auto text, read_file(from));
        return write_file(to, text);
    }

    // A fresh token folder with its own softhsm2.conf, opened as its daemon will open it.
    Result<std::shared_ptr<hsm::Module>> module_for(const char* daemon) const {
        const auto home = folder / "tokens" / daemon;
        std::error_code error;
        fs::remove_all(home, error);
        fs::create_directories(home / "tokens", error);
        fs::permissions(home, fs::perms::owner_all, error);
        if (error) return Error{Errc::configuration, "cannot make " + home.string()};
        const auto conf = home / "softhsm2.conf";
        QSCD_TRY(write_file(conf, "directories.tokendir = " + (home / "tokens").string() +
                                      "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
                                      "library.reset_on_fork = false\n"));
        return hsm::Module::load({library, "", {{"SOFTHSM2_CONF", conf.string()}}, home / "tokens"});
    }

    Result<std::unique_ptr<hsm::Token>> token(const std::shared_ptr<hsm::Module>& module,
                                              const std::string& label) const {
        SecretBytes pin{to_hex(random_bytes(pin_bytes))}, so_pin{to_hex(random_bytes(pin_bytes))};
        QSCD_TRY(write_file(folder / "secrets" / (label + ".pin"), text_of(pin.reveal()), 0600));
        QSCD_TRY(write_file(folder / "secrets" / (label + ".so.pin"), text_of(so_pin.reveal()), 0600));
        QSCD_TRY(module->initialise_token(label, so_pin, pin));
        return hsm::Token::open(module, label, std::move(pin), 1);
    }

    Result<void> sam(const policy::Policy& rules) const {
        say(options, "making the signature activation module's tokens and keys");
        QSCD_TRY(auto module, module_for("samd"));
        QSCD_TRY(token(module, "qscd-signers-1"));
        QSCD_TRY(auto own, token(module, policy::sam_token));
        QSCD_TRY(auto spki, genesis::make(*own, rules.has_trial(), rules.version()));
        QSCD_TRY(auto key, public_key_from_der(spki));
        return write_file(folder / "pki" / policy::attestation_key, pem_of_public(*key));
    }

    Result<void> registration() const {
        say(options, "making the registration authority's rule key and an officer's key");
        QSCD_TRY(auto module, module_for("rad"));
        QSCD_TRY(auto own, token(module, policy::ra_token));
        QSCD_TRY(auto rule, own->generate(KeyKind::p256, random_fixed<CkaId>(), "rule"));
        QSCD_TRY(auto key, public_key_from_der(rule.public_key));
        QSCD_TRY(write_file(folder / "pki" / policy::rule_key, pem_of_public(*key)));
        const auto officer = generate_p256();
        QSCD_TRY(write_file(folder / "officers" / "registration-1.key.pem", pem_of_private(*officer), 0600));
        return write_file(folder / "pki" / policy::officer_keys / "registration-1.pub.pem", pem_of_public(*officer));
    }

    Result<void> authorities(const policy::Policy& rules) const {
        say(options, "making the root and two issuing CAs");
        std::vector<Bytes> issuing;
        {
            QSCD_TRY(auto module, module_for("cad"));
            QSCD_TRY(auto own, token(module, policy::ca_token));
            for (const auto& authority : ca::authorities) {
                QSCD_TRY(auto key,
                         own->generate(KeyKind::p384, random_fixed<CkaId>(), std::string{authority.key_label}));
                issuing.push_back(std::move(key.public_key));
            }
        }
        QSCD_TRY(auto module, module_for("root"));
        QSCD_TRY(auto own, token(module, policy::root_token));
        QSCD_TRY(auto made, own->generate(KeyKind::p384, random_fixed<CkaId>(), std::string{ca::root_key_label}));
        QSCD_TRY(auto key, hsm::make_evp_pkey(std::make_shared<hsm::ProviderKey>(
                               hsm::ProviderKey{KeyKind::p384, made.public_key, [&](Scheme scheme, const DtbsR& dtbsr) {
                                                    return own->sign(*made.key, scheme, dtbsr).signature;
                                                }})));
        const auto now = process_clock().now();
        const auto name = [&](const char* what) {
            return ca::AuthorityName{settings.country, settings.organisation, settings.organisation + " " + what};
        };
        QSCD_TRY(auto root_der, ca::root_certificate(name("root CA"), made.public_key, *key, now));
        QSCD_TRY(auto root, certificate_from_der(root_der));
        QSCD_TRY(write_file(folder / "pki" / policy::root_certificate, pem_of(*root)));
        const std::array files{policy::lcp_certificate, policy::qualified_certificate};
        for (std::size_t i = 0; i < ca::authorities.size(); ++i) {
            QSCD_TRY(auto der, ca::issuing_certificate(name(ca::authorities[i].qualified ? "qualified CA" : "LCP CA"),
                                                       issuing[i], *root, *key, now, rules.public_base()));
            QSCD_TRY(auto certificate, certificate_from_der(der));
            QSCD_TRY(write_file(folder / "pki" / files[i], pem_of(*certificate)));
        }
        QSCD_TRY(auto crl, ca::sign_crl({*root, 1, now, now + ca::root_crl_validity}, *key));
        return write_file(folder / "pki" / policy::root_crl, text_of(crl));
    }

    Result<void> configuration(const std::optional<Rooms>& rooms) const {
        return write_file(
            folder / "qscd.toml",
            "# A qscd deployment. Written by `qscd init`; yours to change. docs/operators.md says what each key does.\n"
            "public_url = " +
                toml_text("https://localhost:" + std::to_string(settings.api_port)) +
                "\n\n"
                "[api]\naddress = \"127.0.0.1\"\nport = " +
                std::to_string(settings.api_port) +
                "\n\n"
                "[status]\naddress = \"127.0.0.1\"\nport = " +
                std::to_string(settings.status_port) +
                "\n\n"
                "[service]\nname = " +
                toml_text(settings.name) + "\nregion = " + toml_text(settings.region) +
                "\nlang = \"en\"\n\n"
                "[module]\nentry = " +
                toml_text(settings.module) + "\nlibrary = " + toml_text(library.string()) + "\n" +
                (rooms ? rooms->configuration() : ""));
    }
};

Result<fs::path> library_of(const InitSettings& settings) {
    if (!settings.library.empty()) return settings.library;
    QSCD_TRY(auto registry, policy::ModuleRegistry::load(settings.modules));
    const auto* entry = registry.find(settings.module);
    if (entry == nullptr) return Error{Errc::configuration, "the module registry has no entry " + settings.module};
    if (fs::exists(entry->library)) return fs::path{entry->library};
    for (const auto* place : library_places)
        if (fs::exists(place)) return fs::path{place};
    return Error{Errc::configuration, "the module's library is not installed: " + entry->library};
}

}  // namespace

Result<void> init(const Options& options, const InitSettings& settings) {
    std::error_code error;
    const auto folder = fs::absolute(options.deployment, error);
    if (fs::exists(folder / "qscd.toml"))
        return Error{Errc::configuration, folder.string() + " holds a deployment already; nothing was changed"};
    QSCD_TRY(auto rules, policy::Policy::load(settings.policy));
    QSCD_TRY(auto library, library_of(settings));
    QSCD_TRY(const auto rooms, Rooms::find(settings));
    const Setup setup{options, settings, folder, library};
    QSCD_TRY(setup.folders());
    QSCD_TRY(setup.copy(settings.policy, folder / "policy" / "policy.toml"));
    QSCD_TRY(
        setup.copy(settings.modules / (settings.module + ".toml"), folder / "modules" / (settings.module + ".toml")));
    QSCD_TRY(setup.sam(rules));
    QSCD_TRY(setup.registration());
    QSCD_TRY(setup.authorities(rules));
    say(options, "making the certificate of the HTTPS port");
    QSCD_TRY(make_tls_files(folder / "tls", process_clock().now()));
    if (rooms) {
        say(options, "making the daemons' roles and schemas");
        QSCD_TRY(rooms->make(folder));
    }
    QSCD_TRY(setup.configuration(rooms));
    answer(options,
           "the deployment is in " + folder.string() + "\nstart it with: qscd --deployment " + folder.string() + " up",
           {{"deployment", folder.string()}});
    return success();
}

}  // namespace qscd::cli
