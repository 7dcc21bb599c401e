// What every flow asks of a credential before it goes on. Pure functions.
#pragma once

#include "policy/profile.hpp"
#include "qscd/sam/state/ledger.hpp"

namespace qscd::sam {

// Active or disabled; one that is not there, or not bound to a certificate yet, is as unknown [QSCD-11] [AUTHN-30].
Result<cell::Credential> active_credential(Ledger& ledger, const CredentialId& id);

// From our own protected status, not from the caller [QSCD-28]. Errc::credential_disabled, certificate_expired.
Result<void> usable(const cell::Credential& cell, TimePoint now);

// At least one hash, and no more than the profile's multisign; all of one algorithm.
Result<void> countable(const std::vector<DtbsR>& hashes, const policy::Profile& profile);

policy::Factor held_factor_of(const cell::Credential& cell);

}  // namespace qscd::sam
