#include "policy/policy.hpp"

#include <algorithm>

#include "base/file.hpp"
#include "policy/public_url.hpp"

namespace qscd::policy {

Result<Policy> Policy::parse(std::string_view text, std::string_view file_name) {
    QSCD_TRY(auto file, TomlTable::parse(text, file_name));
    QSCD_TRY(auto public_base, file.string("public_base"));
    if (public_base.ends_with('/')) public_base.pop_back();
    // http, not https: validation must not depend on validation [EN 319 412-2, 4.4.1].
    if (const auto fault = fault_of_url(public_base, UrlScheme::http))
        return file.error_at("public_base", fault->problem, fault->remedy);

    QSCD_TRY(auto tables, file.table("profile"));
    Profiles profiles;
    if (tables) {
        for (const auto& name : tables->keys()) {
            QSCD_TRY(auto table, tables->table(name));
            QSCD_TRY(auto profile, Profile::read(name, *table));
            profiles.emplace(name, std::move(profile));
        }
    }
    QSCD_TRY(file.nothing_else());
    if (profiles.empty())
        return file.error_at("profile", "there is no profile", "write at least one [profile.NAME] table");
    return Policy{sha256(view_of(text)), std::move(public_base), std::move(profiles)};
}

Result<Policy> Policy::load(const std::filesystem::path& path) {
    QSCD_TRY(const auto text, read_file(path, 1 << 20));
    return parse(text, path.string());
}

const Profile* Policy::find(std::string_view name) const {
    const auto found = profiles_.find(name);
    return found == profiles_.end() ? nullptr : &found->second;
}

bool Policy::has_trial() const {
    return std::ranges::any_of(profiles_, [](const auto& entry) { return entry.second.regime() == Regime::trial; });
}

}  // namespace qscd::policy
