// Codes of an authenticator app: TOTP with HMAC-SHA-1 by liboath [RFC 6238] [AUTHN-15] [AUTHN-16] [AUTHN-23].
// Thread rules: pure functions.
#pragma once

#include "base/clock.hpp"
#include "base/secret.hpp"

namespace qscd::authn {

struct TotpRules {
    std::chrono::seconds period;
    unsigned digits;
    unsigned tolerance_steps;  // accepted on either side of the current step
};

inline constexpr std::size_t totp_secret_size = 20;  // bytes: as long as the HMAC's hash [RFC 4226, 4, R6]

// The time step of the code, when it is right at `now` and its step lies above `last_step`. All steps in the window are
// computed and compared in constant time, whichever matches.
std::optional<std::int64_t> matching_step(const SecretBytes& secret, const SecretBytes& code, const TotpRules& rules,
                                          TimePoint now, std::int64_t last_step);

}  // namespace qscd::authn
