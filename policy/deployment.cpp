#include "policy/deployment.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "policy/toml_reader.hpp"

namespace qscd::policy {
namespace {

constexpr std::uint16_t default_api_port = 8443, default_status_port = 8080;
constexpr std::int64_t largest_port = 65535, most_signing_threads = 64;
constexpr std::array<std::string_view, 4> own_tokens{sam_token, ra_token, ca_token, root_token};

Result<Address> address_in(TomlTable& file, std::string_view key, std::uint16_t port) {
    QSCD_TRY(auto table, file.table(key));
    if (!table) return Address{"127.0.0.1", port};
    QSCD_TRY(auto host, table->string_or("address", "127.0.0.1"));
    QSCD_TRY(auto number, table->integer_or("port", port, 0, largest_port));
    return Address{std::move(host), static_cast<std::uint16_t>(number)};
}

Result<SecretBytes> secret_in(const std::filesystem::path& file) {
    QSCD_TRY(auto text, read_file(file));
    if (text.ends_with('\n')) text.pop_back();
    SecretBytes secret{text};
    wipe(text);
    return secret;
}

Result<store::Server> server_at(const TomlTable& table, const char* key, std::string_view url,
                                const std::string& name) {
    auto server = store::Server::parse(url);
    if (!server) return table.error_at(key, server.error().detail, "postgresql://host:5432/database");
    if (server.value().password)
        return table.error_at(key, "a password stands in it", "the password into secrets/store-DAEMON");
    server.value().origin = table.place(key);
    if (server.value().role.empty()) server.value().role = name;
    if (server.value().schema.empty()) server.value().schema = name;
    return server;
}

// [store] url: of all daemons; a key with a daemon's name: of that one.
Result<std::map<std::string, store::Server, std::less<>>> servers_in(TomlTable& file) {
    std::map<std::string, store::Server, std::less<>> out;
    QSCD_TRY(auto table, file.table("store"));
    if (!table) return out;
    QSCD_TRY(const auto common, table->optional_string("url"));
    QSCD_TRY(const auto prefix, table->string_or("prefix", store_prefix));
    if (!store::is_plain_name(prefix))
        return table->error_at("prefix", "this is no beginning of a role's name", "small letters, digits and _");
    for (const auto* daemon : daemons_with_stores) {
        QSCD_TRY(const auto own, table->optional_string(daemon));
        if (!own && !common) continue;
        QSCD_TRY(auto server, server_at(*table, own ? daemon : "url", own ? *own : *common, prefix + daemon));
        out.emplace(daemon, std::move(server));
    }
    QSCD_TRY(table->nothing_else());
    if (out.empty()) return table->error("it names no store", "url = \"postgresql://host:5432/database\"");
    return out;
}

constexpr std::int64_t highest_shard = 9999, largest_shard = 100'000'000;

Result<std::string> signer_token(const TomlTable& table, std::string_view key, std::string label) {
    if (label.empty() || label.size() > 32 || label.find_first_of("/ ") != std::string::npos)
        return table.error_at(key, "this is no label for a token", "1 to 32 characters without blank and slash");
    if (std::ranges::find(own_tokens, label) != own_tokens.end())
        return table.error_at(key, "this is a token of the service's own", "a token for signers' keys alone");
    return label;
}

// [[shard]], or `signer_tokens` with one label, which is shard 1: a place in a list is no number, as lists are reordered.
Result<std::vector<Shard>> shards_in(TomlTable& file, const std::string& module) {
    std::vector<Shard> out;
    QSCD_TRY(auto tables, file.tables("shard"));
    QSCD_TRY(auto labels, file.strings_or("signer_tokens", {first_signer_token}));
    if (tables.empty()) {
        if (labels.size() != 1)
            return file.error_at("signer_tokens", "a list gives no numbers that last",
                                 "one label, or a [[shard]] table with number and token for each");
        QSCD_TRY(auto token, signer_token(file, "signer_tokens", std::move(labels.front())));
        out.push_back({.number = 1, .token = std::move(token), .module = module, .profiles = {}});
        return out;
    }
    if (file.has("signer_tokens"))
        return file.error_at("signer_tokens", "the [[shard]] tables name the tokens", "leave it out");
    for (auto& table : tables) {
        Shard shard{};
        QSCD_TRY(const auto number, table.integer("number", 1, highest_shard));
        shard.number = static_cast<unsigned>(number);
        QSCD_TRY(auto label, table.string("token"));
        QSCD_TRY(shard.token, signer_token(table, "token", std::move(label)));
        QSCD_TRY(shard.module, table.string_or("module", module));
        QSCD_TRY(shard.accepts_new, table.boolean_or("accepts_new", true));
        QSCD_TRY(const auto limit, table.integer_or("limit", 10'000, 1, largest_shard));
        shard.limit = static_cast<std::uint64_t>(limit);
        QSCD_TRY(shard.profiles, table.strings_or("profiles", {}));
        if (std::ranges::find(out, shard.number, &Shard::number) != out.end())
            return table.error_at("number", "another shard has this number", "a number that no shard ever had");
        if (std::ranges::find(out, shard.token, &Shard::token) != out.end())
            return table.error_at("token", "another shard has this token", "a token of its own");
        out.push_back(std::move(shard));
    }
    std::ranges::sort(out, {}, &Shard::number);
    return out;
}

}  // namespace

Result<Deployment> Deployment::load(const std::filesystem::path& folder) {
    const auto path = folder / "qscd.toml";
    QSCD_TRY(auto text, read_file(path));
    QSCD_TRY(auto file, TomlTable::parse(text, path.string()));
    Deployment out;
    std::error_code error;
    out.folder = std::filesystem::absolute(folder, error);
    QSCD_TRY(out.api, address_in(file, "api", default_api_port));
    QSCD_TRY(out.status, address_in(file, "status", default_status_port));
    QSCD_TRY(out.public_url, file.string_or("public_url", "https://localhost:" + std::to_string(out.api.port)));

    QSCD_TRY(auto service, file.table("service"));
    if (!service) return file.error("there is no [service]", "[service] with name, region and lang");
    QSCD_TRY(out.name, service->string("name"));
    QSCD_TRY(out.description, service->string_or("description", out.name));
    QSCD_TRY(out.region, service->string("region"));
    QSCD_TRY(out.language, service->string_or("lang", "en"));

    QSCD_TRY(auto module, file.table("module"));
    if (!module) return file.error("there is no [module]", "[module] with entry");
    QSCD_TRY(out.module, module->string("entry"));
    QSCD_TRY(auto library, module->string_or("library", ""));
    out.library = library;
    QSCD_TRY(out.reserved, module->optional_string("reserved"));
    QSCD_TRY(auto environment, module->table("environment"));
    if (environment) {
        for (const auto& name : environment->keys()) {
            QSCD_TRY(out.environment[name], environment->string(name));
        }
    }

    QSCD_TRY(out.shards, shards_in(file, out.module));
    if (file.has("signing_threads")) {
        QSCD_TRY(const auto threads, file.integer("signing_threads", 1, most_signing_threads));
        out.signing_threads = static_cast<unsigned>(threads);
    }
    QSCD_TRY(out.servers, servers_in(file));
    QSCD_TRY(out.own_users, file.boolean_or("own_users", true));
    QSCD_TRY(auto sam, file.table("sam"));
    out.require_confinement = false;
    if (sam) {
        QSCD_TRY(out.require_confinement, sam->boolean_or("require_confinement", false));
    }
    QSCD_TRY(auto first, file.integer_or("first_user", 61'200, 1'000, 65'000));
    out.first_user = static_cast<unsigned>(first);
    QSCD_TRY(auto days, file.integer_or("registration_days", 7, 1, 30));
    out.registration_days = static_cast<unsigned>(days);
    QSCD_TRY(file.nothing_else());
    return out;
}

Result<store::Location> Deployment::database(std::string_view daemon) const {
    const auto found = servers.find(daemon);
    if (found == servers.end()) return store::Location{daemon_folder(daemon) / (std::string{daemon} + ".sqlite")};
    auto server = found->second;
    std::error_code error;
    if (const auto file = folder / store_secret(daemon); std::filesystem::exists(file, error)) {
        QSCD_TRY(const auto password, secret_in(file));
        server.password = std::make_shared<const SecretBytes>(password.reveal());
    }
    return store::Location{std::move(server)};
}
std::filesystem::path Deployment::daemon_folder(std::string_view daemon) const { return folder / "db" / daemon; }
std::filesystem::path Deployment::token_folder(std::string_view daemon) const { return folder / "tokens" / daemon; }
std::filesystem::path Deployment::pki(std::string_view file) const { return folder / "pki" / file; }

Result<ModuleWiring> Deployment::wiring(std::string_view daemon, std::string_view entry) const {
    QSCD_TRY(const auto registry, ModuleRegistry::load(folder / "modules"));
    const bool own = entry.empty() || entry == module;
    const auto* found = registry.find(own ? module : entry);
    if (found == nullptr)
        return Error{Errc::configuration, (folder / "modules").string() + ": the module registry has no entry " +
                                              (own ? module : std::string{entry})};
    auto used = *found;
    if (own) {
        if (!library.empty()) used.library = library.string();
        if (reserved) used.reserved = *reserved;
        for (const auto& [variable, text] : environment) used.environment[variable] = text;
    }
    auto start = used.start_in(token_folder(daemon));
    const auto threads = signing_threads.value_or(
        std::min(used.concurrency, static_cast<unsigned>(most_signing_threads)));
    return ModuleWiring{std::move(used), std::move(start), threads};
}

Result<SecretBytes> Deployment::token_pin(const std::string& token) const {
    return secret_in(folder / "secrets" / (token + ".pin"));
}

}  // namespace qscd::policy
