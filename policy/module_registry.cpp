#include "policy/module_registry.hpp"

#include <algorithm>

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

Result<std::optional<QscdEntry>> read_qscd(TomlTable& file) {
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
    std::optional<TimePoint> expires;
    if (last_day) expires = std::chrono::sys_days{*last_day} + std::chrono::days{1};
    return std::optional{
        QscdEntry{trial, external, std::move(certificate), std::move(firmware), sam_build, configuration, expires}};
}

std::string_view without_padding(std::string_view text) { return text.substr(0, text.find_last_not_of(' ') + 1); }

// A trial may leave fields out; what it writes must match all the same.
bool matches(const auto& wanted, const auto& observed) { return !wanted || *wanted == observed; }

}  // namespace

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
    if (quirks) {
        QSCD_TRY(syncs, quirks->boolean_or("syncs", true));
    }
    QSCD_TRY(auto qscd, read_qscd(file));
    QSCD_TRY(file.nothing_else());
    return ModuleEntry{std::move(name),
                       std::move(library),
                       std::move(model),
                       std::move(manufacturer),
                       syncs,
                       static_cast<unsigned>(concurrency),
                       std::move(qscd)};
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
