#include "qscd/cli/init.hpp"

#include "base/clock.hpp"
#include "base/file.hpp"
#include "base/random.hpp"
#include "base/store/provision.hpp"
#include "qscd/cli/setup.hpp"
#include "qscd/cli/tls_files.hpp"

namespace qscd::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t store_password_bytes = 24;  // random, written in hex

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

std::string signer_token(unsigned number) { return "qscd-signers-" + std::to_string(number); }

// Nothing for one: that is what a configuration without tables means.
std::string shard_tables(unsigned count) {
    std::string out;
    for (unsigned number = 1; count > 1 && number <= count; ++number)
        out += "\n[[shard]]\nnumber = " + std::to_string(number) + "\ntoken = " + toml_text(signer_token(number)) +
               "\n";
    return out;
}

Result<void> write_configuration(const Setup& setup, const InitSettings& settings, const std::optional<Rooms>& rooms) {
    return write_file(
        setup.folder() / "qscd.toml",
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
            toml_text(setup.module_entry()) + "\nlibrary = " + toml_text(setup.library().string()) + "\n" +
            (rooms ? rooms->configuration() : "") + shard_tables(settings.shards));
}

// Every token with PINs drawn here, every key, every certificate.
Result<void> make_keys(const Options& options, const Setup& setup, const policy::Policy& rules, const Owner& owner,
                       unsigned shards) {
    const PinSource draw = [&](const std::string& label) -> Result<Pins> {
        QSCD_TRY(auto user, setup.draw_pin(label + ".pin"));
        QSCD_TRY(auto so, setup.draw_pin(label + ".so.pin"));
        return Pins{std::move(so), std::move(user)};
    };
    for (const auto& each : placements()) {
        for (const auto& token : each.tokens) {
            QSCD_TRY(setup.remove_files_of(token));
        }
        QSCD_TRY(setup.make_tokens(each.daemon, draw));
    }
    for (unsigned number = 2; number <= shards; ++number) {
        QSCD_TRY(setup.add_signer_token(signer_token(number), draw));
    }
    say(options, "making the signature activation module's keys");
    {
        QSCD_TRY(const auto token, setup.open_token(policy::sam_token));
        QSCD_TRY(setup.make_sam_keys(*token, rules));
    }
    say(options, "making the registration authority's rule key and an officer's key");
    {
        QSCD_TRY(const auto token, setup.open_token(policy::ra_token));
        QSCD_TRY(setup.make_rule_key(*token));
    }
    say(options, "making the root and two issuing CAs");
    {
        QSCD_TRY(const auto token, setup.open_token(policy::ca_token));
        QSCD_TRY(setup.make_issuing_keys(*token));
    }
    QSCD_TRY(const auto token, setup.open_token(policy::root_token));
    QSCD_TRY(setup.make_root_key(*token));
    return setup.make_certificates(*token, rules, owner);
}

// Whether one was begun: refused attempts leave an empty folder.
bool ceremonies_in(const fs::path& folder) {
    std::error_code none;
    for (fs::directory_iterator each{folder / ceremonies_folder, none}, end; !none && each != end; each.increment(none))
        if (fs::exists(each->path() / ceremony_journal)) return true;
    return false;
}

Result<void> need_all_keys(const Setup& setup) {
    for (const auto& each : placements())
        for (const auto& token : each.tokens)
            for (const auto& file : Setup::files_of(token))
                if (!fs::exists(setup.folder() / "pki" / file))
                    return Error{Errc::configuration, "pki/" + file + " is missing: a ceremony has not ended"};
    return success();
}

}  // namespace

Result<void> init(const Options& options, const InitSettings& settings) {
    QSCD_TRY(auto setup, Setup::begin(options.deployment));
    const auto& folder = setup.folder();
    const bool has_ceremonies = ceremonies_in(folder);
    if (has_ceremonies != settings.after_ceremonies)
        return Error{Errc::configuration, has_ceremonies ? folder.string() +
                                                               " has keys that were made in a ceremony: "
                                                               "use them with --after-ceremonies"
                                                         : "no ceremony was held in " + folder.string()};
    QSCD_TRY(const auto rooms, Rooms::find(settings));
    if (settings.after_ceremonies && settings.shards != 1)
        return Error{Errc::configuration, "--shards: after ceremonies add the other [[shard]] tables to qscd.toml"};
    if (settings.after_ceremonies) {
        QSCD_TRY(setup.resume(settings.library));
        QSCD_TRY(need_all_keys(setup));
    } else {
        if (settings.policy.empty() || settings.modules.empty())
            return Error{Errc::configuration, "--policy and --modules are required"};
        QSCD_TRY(const auto rules, setup.lay_out(settings.policy, settings.modules, settings.module, settings.library));
        QSCD_TRY(make_keys(options, setup, rules, {settings.country, settings.organisation}, settings.shards));
    }
    QSCD_TRY(setup.make_registration_officer());
    say(options, "making the certificate of the HTTPS port");
    QSCD_TRY(make_tls_files(folder / "tls", process_clock().now()));
    if (rooms) {
        say(options, "making the daemons' roles and schemas");
        QSCD_TRY(rooms->make(folder));
    }
    QSCD_TRY(write_configuration(setup, settings, rooms));
    answer(options,
           "the deployment is in " + folder.string() + "\nstart it with: qscd --deployment " + folder.string() + " up",
           {{"deployment", folder.string()}});
    return success();
}

}  // namespace qscd::cli
