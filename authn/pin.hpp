// The PIN: its form, and what the module's HMAC is computed over. The key stays in the module; here are bytes only.
// [threat model 6.1] [AUTHN-02] [AUTHN-05]. Thread rules: values and pure functions.
#pragma once

#include "base/identifier.hpp"
#include "base/secret.hpp"

namespace qscd::authn {

using PinSalt = FixedBytes<struct PinSaltTag, 32>;

// 4 to 8 decimal digits, and within the profile's own bounds.
class Pin {
public:
    // Errc::parameter_invalid without a word of what was given.
    static Result<Pin> from(SecretBytes digits, unsigned min_digits, unsigned max_digits);

    // "pin/v1" | 0 | key id | credential | salt | policy version | length | PIN: under K_pin this is the verifier.
    SecretBytes verifier_input(ByteView key_id, const CredentialId& credential, const PinSalt& salt,
                               const Sha256Digest& policy_version) const;

private:
    explicit Pin(SecretBytes digits) : digits_(std::move(digits)) {}
    SecretBytes digits_;
};

}  // namespace qscd::authn
