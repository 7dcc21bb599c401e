#include "qscd/sam/credential_rules.hpp"

namespace qscd::sam {

Result<cell::Credential> active_credential(Ledger& ledger, const CredentialId& id) {
    QSCD_TRY(auto found, ledger.credential(id));
    if (!found || (found->state() != cell::Credential::ACTIVE && found->state() != cell::Credential::DISABLED))
        return Error{Errc::parameter_invalid, "no such credential", {"string", "credentialID"}};
    return std::move(*found);
}

Result<void> usable(const cell::Credential& cell, TimePoint now) {
    if (cell.state() == cell::Credential::DISABLED) return Error{Errc::credential_disabled};
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

}  // namespace qscd::sam
