// What a SAM is: its own keys in its token, one purpose each [QSCD-18], the unmodifiable object that names them, the
// genesis, and the anchors of a state that is still empty. Made once, by `qscd init`; samd unlocks with it and never changes it. [sam-state 1]
// Thread rules: waits for the module.
#pragma once

#include "base/digest.hpp"
#include "hsm/token.hpp"

namespace qscd::genesis {

// Labels in the SAM's token.
inline constexpr const char* cell_key_label = "K_cell";
inline constexpr const char* pin_key_label = "K_pin";
inline constexpr const char* attestation_key_label = "K_attest";
inline constexpr const char* anchor_name = "qscd-sam";  // of the anchor objects [hsm/anchor.hpp]
inline constexpr const char* object_label = "genesis";

// Makes the keys, the anchors and the genesis object in a fresh token; each start of samd makes a head key of its own. Returns the attestation key's SubjectPublicKeyInfo.
// Errc::configuration when the token has a genesis or anchors already.
Result<Bytes> make(hsm::Token& token, bool trial, const Sha256Digest& policy_version);

}  // namespace qscd::genesis
