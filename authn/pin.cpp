#include "authn/pin.hpp"

namespace qscd::authn {
namespace {

constexpr std::size_t shortest = 4, longest = 8;  // floors of the product, whatever a policy says [AUTHN-02]
constexpr std::string_view domain{"pin/v1\0", 7};

bool is_digit(std::uint8_t c) { return c >= '0' && c <= '9'; }

}  // namespace

Result<Pin> Pin::from(SecretBytes digits, unsigned min_digits, unsigned max_digits) {
    const auto size = digits.size();
    if (size < shortest || size > longest || size < min_digits || size > max_digits ||
        !std::ranges::all_of(digits.reveal(), is_digit))
        return Error{Errc::parameter_invalid, "a PIN of the wrong form", {"string", "PIN"}};
    return Pin{std::move(digits)};
}

SecretBytes Pin::verifier_input(ByteView key_id, const CredentialId& credential, const PinSalt& salt,
                                const Sha256Digest& policy_version) const {
    Bytes input = bytes_of(domain);
    for (const auto part : {key_id, credential.bytes(), salt.bytes(), policy_version.bytes()})
        input.insert(input.end(), part.begin(), part.end());
    input.reserve(input.size() + 1 + longest);  // no growth, and so no copy left behind, once the PIN is in
    input.push_back(static_cast<std::uint8_t>(digits_.size()));
    input.insert(input.end(), digits_.reveal().begin(), digits_.reveal().end());
    SecretBytes out{ByteView{input}};
    wipe(input);
    return out;
}

}  // namespace qscd::authn
