// The `hashes` of authorize, getChallenge and signHash, and their agreement with numSignatures. Thread rules: pure
// functions.
#pragma once

#include <vector>

#include "base/digest.hpp"
#include "base/json/object.hpp"

namespace qscd::gateway {

inline constexpr std::size_t most_hashes = 100;  // in one request, whatever a profile allows

// Decoded, of any length. `spelled` is the name in the error of an absent array: signHash's row says `hash`.
// Errc::parameter_missing, hashes_empty, too_many_signatures, hash_not_base64.
Result<std::vector<Bytes>> hashes_in(const json::Object& body, std::string_view spelled);

// Errc::hash_wrong_length.
Result<void> check_lengths(const std::vector<Bytes>& hashes, HashAlgorithm algorithm);

// Errc::signature_count_invalid below 1, Errc::too_many_signatures above `most`.
Result<void> check_count(std::int64_t signatures, unsigned most);

}  // namespace qscd::gateway
