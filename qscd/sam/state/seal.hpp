// Sealing of cells: AES-256-GCM under a key per cell and epoch, HKDF(data key, genesis | epoch | cell id), random nonce,
// associated data = genesis, kind, id, version, index. It hides phones and seeds; integrity rests on the signed head.
// [sam-state 2] Thread rules: pure functions.
#pragma once

#include <optional>

#include "base/identifier.hpp"
#include "base/secret.hpp"

namespace qscd::sam {

enum class CellKind : std::uint8_t { credential = 1, device = 2, signer = 3 };
constexpr std::optional<CellKind> kind_from(std::int64_t number) {
    if (number < 1 || number > 3) return std::nullopt;
    return static_cast<CellKind>(number);
}

struct CellName {
    CellKind kind;
    std::array<std::uint8_t, 16> id;
    std::uint64_t index, version;
};

struct SealContext {
    const SecretBytes& data_key;
    const Sha256Digest& genesis;
    std::uint64_t epoch;
};

// nonce (12) | ciphertext | tag (16)
Bytes seal(const SealContext& context, const CellName& name, ByteView plain);
// Errc::internal when the blob was not sealed for exactly this name.
Result<SecretBytes> unseal(const SealContext& context, const CellName& name, ByteView sealed);

}  // namespace qscd::sam
