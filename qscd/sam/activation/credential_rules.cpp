#include "qscd/sam/activation/credential_rules.hpp"

namespace qscd::sam {

Result<cell::Credential> active_credential(Result<std::optional<cell::Credential>> found) {
    QSCD_TRY(auto cell, std::move(found));
    if (!cell || cell->state() < cell::Credential::ACTIVE)
        return Error{Errc::parameter_invalid, "no such credential", {"string", "credentialID"}};
    return std::move(*cell);
}

Result<void> usable(const cell::Credential& cell, TimePoint now) {
    if (cell.state() != cell::Credential::ACTIVE) return Error{Errc::credential_disabled};
    if (now > from_unix(cell.not_after())) return Error{Errc::certificate_expired};
    return success();
}

Result<void> countable(const std::vector<DtbsR>& hashes, const policy::Profile& profile) {
    if (hashes.empty()) return Error{Errc::hashes_empty};
    if (hashes.size() > profile.multisign()) return Error{Errc::too_many_signatures};
    const auto algorithm = hashes.front().algorithm();
    if (!std::ranges::all_of(hashes, [&](const DtbsR& hash) { return hash.algorithm() == algorithm; }))
        return Error{Errc::hash_wrong_length};
    return success();
}

policy::Factor held_factor_of(const cell::Credential& cell) {
    return cell.app_device().empty() ? policy::Factor::sms : policy::Factor::totp;
}

std::optional<DeviceId> held_device_of(const cell::Credential& cell) {
    return DeviceId::from(view_of(cell.app_device().empty() ? cell.phone_device() : cell.app_device()));
}

}  // namespace qscd::sam
