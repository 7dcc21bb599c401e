// Account passwords: Argon2id, the second recommended option of RFC 9106, section 4 (64 MiB, 3 passes, 4 lanes), in the
// encoded form that carries its own salt and parameters.
// Thread rules: pure functions; each takes 64 MiB and some tens of milliseconds.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"

namespace qscd::authn {

inline constexpr std::size_t shortest_password = 8, longest_password = 128;  // bytes of UTF-8

// "$argon2id$v=19$m=65536,t=3,p=4$salt$hash" with a fresh salt. Errc::parameter_invalid for a password out of bounds.
Result<std::string> hash_password(const SecretBytes& password);

// False also for a text that is no such hash.
bool verify_password(const std::string& encoded, const SecretBytes& password);

}  // namespace qscd::authn
