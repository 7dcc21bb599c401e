#include "policy/module_registry.hpp"

#include <algorithm>
#include <array>

#include "base/file.hpp"
#include "policy/toml_reader.hpp"

namespace qscd::policy {
namespace {

// A text that must fit a fixed field of a PKCS#11 structure.
Result<std::string> read_name(TomlTable& table, std::string_view key, std::size_t longest) {
    QSCD_TRY(auto text, table.string(key));
    if (text.empty() || text.size() > longest || text.front() == ' ' || text.back() == ' ')
        return table.error_at(key, "this is not as C_GetTokenInfo reports it, without padding",
                              "write 1 to " + std::to_string(longest) + " characters");
    return text;
}

Result<std::optional<Sha256Digest>> read_digest(TomlTable& table, std::string_view key) {
    QSCD_TRY(const auto text, table.optional_string(key));
    if (!text) return std::optional<Sha256Digest>{};
    auto digest = Sha256Digest::from_hex(*text);
    if (!digest) return table.error_at(key, "this is not a SHA-256 digest", "write 64 hex digits");
    return digest;
}

Result<std::optional<QscdEntry>> read_qscd(TomlTable& file, const std::vector<std::string>& accepted) {
    QSCD_TRY(auto table, file.table("qscd"));
    if (!table) return std::optional<QscdEntry>{};
    QSCD_TRY(const bool trial, table->boolean("trial"));
    QSCD_TRY(const bool external, table->boolean_or("external_key_storage", false));
    QSCD_TRY(auto certificate, table->optional_string("certificate"));
    QSCD_TRY(auto firmware, table->optional_string("firmware"));
    QSCD_TRY(auto sam_build, read_digest(*table, "sam_build"));
    QSCD_TRY(auto configuration, read_digest(*table, "configuration"));
    QSCD_TRY(const auto last_day, table->optional_date("expires"));
    if (!trial) {
        for (const auto* key : {"certificate", "firmware", "sam_build", "configuration", "expires"})
            if (!table->has(key))
                return table->error_at(key, "is missing, and an entry that is no trial needs it [QSCD-03]",
                                       "add it, or write trial = true");
    }
    if (firmware && std::ranges::find(accepted, *firmware) == accepted.end())
        return table->error_at("firmware", "this version is not among those that the entry accepts",
                               "add it to the entry's firmware");
    std::optional<TimePoint> expires;
    if (last_day) expires = std::chrono::sys_days{*last_day} + std::chrono::days{1};
    return std::optional{
        QscdEntry{trial, external, std::move(certificate), std::move(firmware), sam_build, configuration, expires}};
}

constexpr std::string_view token_folder_mark = "{tokens}";

std::string filled_in(std::string text, const std::filesystem::path& token_folder) {
    for (std::size_t at = 0; (at = text.find(token_folder_mark, at)) != std::string::npos;
         at += token_folder.string().size())
        text.replace(at, token_folder_mark.size(), token_folder.string());
    return text;
}

// A text that may name the token folder, and no other place.
Result<std::string> read_pattern(TomlTable& table, std::string_view key, std::string text) {
    auto rest = text;
    for (std::size_t at = 0; (at = rest.find(token_folder_mark)) != std::string::npos;)
        rest.erase(at, token_folder_mark.size());
    if (rest.find_first_of("{}") != std::string::npos)
        return table.error_at(key, "braces that mean nothing", "write {tokens} for the daemon's token folder");
    if (text.find('\0') != std::string::npos) return table.error_at(key, "it has a zero byte", "leave it out");
    return text;
}

bool is_version(std::string_view text) {  // CK_VERSION: two numbers of a byte each
    const auto dot = text.find('.');
    const auto is_byte = [](std::string_view part) {
        return !part.empty() && part.size() <= 3 && part.find_first_not_of("0123456789") == std::string_view::npos &&
               (part.size() == 1 || part.front() != '0') && std::stoi(std::string{part}) <= 255;
    };
    return dot != std::string_view::npos && is_byte(text.substr(0, dot)) && is_byte(text.substr(dot + 1));
}

Result<std::vector<std::string>> read_firmware(TomlTable& table) {
    QSCD_TRY(auto versions, table.strings("firmware"));
    if (versions.empty() || !std::ranges::all_of(versions, is_version))
        return table.error_at("firmware", "this is no list of versions",
                              "write [\"2.6\"], as C_GetTokenInfo reports it");
    return versions;
}

Result<std::map<std::string, std::string>> read_environment(TomlTable& file) {
    std::map<std::string, std::string> out;
    QSCD_TRY(auto table, file.table("environment"));
    if (!table) return out;
    for (const auto& name : table->keys()) {
        constexpr std::string_view first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
        if (name.find_first_not_of(std::string{first} + "0123456789") != std::string::npos ||
            first.find(name.front()) == std::string_view::npos)
            return table->error_at(name, "this is no name of a variable", "write letters, digits and _");
        QSCD_TRY(auto text, table->string(name));
        QSCD_TRY(auto value, read_pattern(*table, name, std::move(text)));
        out.emplace(name, std::move(value));
    }
    return out;
}

Result<std::optional<Certification>> read_certification(TomlTable& file, const std::vector<std::string>& accepted) {
    QSCD_TRY(auto table, file.table("certification"));
    if (!table) return std::optional<Certification>{};
    QSCD_TRY(auto certificate, table->string("certificate"));
    QSCD_TRY(auto firmware, read_firmware(*table));
    for (const auto& each : firmware)
        if (std::ranges::find(accepted, each) == accepted.end())
            return table->error_at("firmware", "a certified version is not among those that the entry accepts",
                                   "add it to the entry's firmware");
    QSCD_TRY(auto configuration, table->string("configuration"));
    QSCD_TRY(const auto last_day, table->optional_date("expires"));
    if (!last_day) return table->error_at("expires", "is missing", "write the certificate's last day: 2030-12-31");
    return std::optional{Certification{std::move(certificate), std::move(firmware), std::move(configuration),
                                       std::chrono::sys_days{*last_day} + std::chrono::days{1}}};
}

std::string_view without_padding(std::string_view text) { return text.substr(0, text.find_last_not_of(' ') + 1); }

// A trial may leave fields out; what it writes must match all the same.
bool matches(const auto& wanted, const auto& observed) { return !wanted || *wanted == observed; }

}  // namespace

bool Certification::covers(std::string_view reported_firmware, TimePoint at) const {
    return at < expires && std::ranges::find(firmware, reported_firmware) != firmware.end();
}

Result<void> ModuleEntry::check(const ReportedToken& reported) const {
    std::string accepted;
    for (const auto& each : firmware) accepted += (accepted.empty() ? "" : ", ") + each;
    struct Row {
        std::string_view what;
        const std::string &says, &wanted;
        bool good;
    };
    const std::array rows{
        Row{"manufacturer", reported.manufacturer, manufacturer, reported.manufacturer == manufacturer},
        Row{"model", reported.model, model, reported.model == model},
        Row{"firmware", reported.firmware, accepted, std::ranges::find(firmware, reported.firmware) != firmware.end()}};
    for (const auto& row : rows)
        if (!row.good)
            return Error{Errc::configuration, "token " + reported.label + " reports " + std::string{row.what} + " \"" +
                                                  row.says + "\"; the module registry's entry " + name + " says \"" +
                                                  row.wanted + "\" [QSCD-04]"};
    return success();
}

ModuleStart ModuleEntry::start_in(const std::filesystem::path& token_folder) const {
    ModuleStart out{library, filled_in(reserved, token_folder), {}, {}};
    for (const auto& [variable, value] : environment) out.environment.emplace(variable, filled_in(value, token_folder));
    if (!syncs) out.durable_folder = filled_in(files, token_folder);
    return out;
}

bool ModuleEntry::counts_as_qscd(const ObservedModule& observed, TimePoint at, bool ca_says_test) const {
    return qscd && (!qscd->trial || ca_says_test) && (!qscd->expires || at < *qscd->expires) &&
           model == without_padding(observed.model) && matches(qscd->firmware, observed.firmware) &&
           matches(qscd->sam_build, observed.sam_build) && matches(qscd->configuration, observed.configuration);
}

Result<ModuleEntry> ModuleRegistry::parse(std::string_view text, std::string_view file_name,
                                          std::string_view expected_name) {
    QSCD_TRY(auto file, TomlTable::parse(text, file_name));
    QSCD_TRY(auto name, file.string("name"));
    if (name != expected_name)
        return file.error_at("name", "this is not the file's name", "write \"" + std::string{expected_name} + "\"");
    QSCD_TRY(auto library, file.string("library"));
    if (!std::filesystem::path{library}.is_absolute())
        return file.error_at("library", "this is not an absolute path", "write the path of the PKCS#11 library");
    QSCD_TRY(auto model, read_name(file, "model", 16));
    QSCD_TRY(auto manufacturer, read_name(file, "manufacturer", 32));
    QSCD_TRY(const auto concurrency, file.integer("concurrency", 1, 1024));
    QSCD_TRY(auto quirks, file.table("quirks"));
    bool syncs = true;
    std::string files;
    if (quirks) {
        QSCD_TRY(syncs, quirks->boolean_or("syncs", true));
        if (syncs && quirks->has("files"))
            return quirks->error_at("files", "a module that syncs what it writes needs no help",
                                    "leave it out, or write syncs = false");
        if (!syncs) {
            QSCD_TRY(auto pattern, quirks->string("files"));
            QSCD_TRY(files, read_pattern(*quirks, "files", std::move(pattern)));
        }
    }
    QSCD_TRY(auto firmware, read_firmware(file));
    QSCD_TRY(auto said, file.string_or("reserved", ""));
    QSCD_TRY(auto reserved, read_pattern(file, "reserved", std::move(said)));
    QSCD_TRY(auto environment, read_environment(file));
    QSCD_TRY(auto certification, read_certification(file, firmware));
    QSCD_TRY(auto qscd, read_qscd(file, firmware));
    QSCD_TRY(file.nothing_else());
    return ModuleEntry{std::move(name),          std::move(library),
                       std::move(model),         std::move(manufacturer),
                       std::move(firmware),      syncs,
                       std::move(files),         static_cast<unsigned>(concurrency),
                       std::move(reserved),      std::move(environment),
                       std::move(certification), std::move(qscd)};
}

Result<ModuleRegistry> ModuleRegistry::load(const std::filesystem::path& folder) {
    std::error_code failure;
    std::vector<std::filesystem::path> paths;
    for (std::filesystem::directory_iterator entry{folder, failure}, end; !failure && entry != end;
         entry.increment(failure))
        if (entry->path().extension() == ".toml") paths.push_back(entry->path());
    if (failure) return Error{Errc::configuration, folder.string() + ": " + failure.message()};
    if (paths.empty())
        return Error{Errc::configuration, folder.string() + ": no module here; write one TOML file a model"};
    std::ranges::sort(paths);
    std::vector<ModuleEntry> modules;
    for (const auto& path : paths) {
        QSCD_TRY(const auto text, read_file(path, 1 << 20));
        QSCD_TRY(auto module, parse(text, path.string(), path.stem().string()));
        modules.push_back(std::move(module));
    }
    return ModuleRegistry{std::move(modules)};
}

const ModuleEntry* ModuleRegistry::find(std::string_view name) const {
    const auto found = std::ranges::find(modules_, name, &ModuleEntry::name);
    return found == modules_.end() ? nullptr : &*found;
}

}  // namespace qscd::policy
