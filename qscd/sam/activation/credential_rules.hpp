// What every flow asks of a credential before it goes on. Pure functions.
#pragma once

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "policy/profile.hpp"
#include "qscd/sam/cells/cell.pb.h"

namespace qscd::sam {

// `found` as the state gave it. Active or disabled; one that is not there, or not bound to a certificate yet, is as
// unknown [QSCD-11] [AUTHN-30].
Result<cell::Credential> active_credential(Result<std::optional<cell::Credential>> found);

// From our own protected status, not from the caller [QSCD-28]. Errc::credential_disabled, certificate_expired.
Result<void> usable(const cell::Credential& cell, TimePoint now);

// At least one hash, and no more than the profile's multisign; all of one algorithm.
Result<void> countable(const std::vector<DtbsR>& hashes, const policy::Profile& profile);

policy::Factor held_factor_of(const cell::Credential& cell);
// The device that the held factor is proven with. Nothing: the cell does not name one.
std::optional<DeviceId> held_device_of(const cell::Credential& cell);

}  // namespace qscd::sam
