#include "authn/password.hpp"

#include <argon2.h>

#include "base/random.hpp"

namespace qscd::authn {
namespace {

constexpr std::uint32_t passes = 3, memory_kib = 64 * 1024, lanes = 4;
constexpr std::size_t salt_size = 16, hash_size = 32;

}  // namespace

Result<std::string> hash_password(const SecretBytes& password) {
    if (password.size() < shortest_password || password.size() > longest_password)
        return Error{Errc::parameter_invalid, "a password has 8 to 128 bytes", {"string", "password"}};
    const auto salt = random_bytes(salt_size);
    std::string encoded(argon2_encodedlen(passes, memory_kib, lanes, salt_size, hash_size, Argon2_id), '\0');
    const auto secret = password.reveal();
    const int rc = argon2id_hash_encoded(passes, memory_kib, lanes, secret.data(), secret.size(), salt.data(),
                                         salt.size(), hash_size, encoded.data(), encoded.size());
    if (rc != ARGON2_OK) return Error{Errc::internal, std::string{"Argon2id: "} + argon2_error_message(rc)};
    encoded.resize(encoded.find('\0'));
    return encoded;
}

bool verify_password(const std::string& encoded, const SecretBytes& password) {
    const auto secret = password.reveal();
    return argon2id_verify(encoded.c_str(), secret.data(), secret.size()) == ARGON2_OK;
}

}  // namespace qscd::authn
