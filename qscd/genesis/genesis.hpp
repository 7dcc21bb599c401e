// What a SAM is: its own keys in its token, one purpose each [QSCD-18], the unmodifiable object that names them, the
// genesis, and the anchors of a state that is still empty. Made once, by `qscd init` or in a key ceremony; samd unlocks with it and never changes it. [sam-state 1]
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
// The genesis object comes last: keys without one are what an interrupted attempt left, and are made anew.
// Errc::configuration when the token has a genesis already, or anchors of a state that lived.
Result<Bytes> make(hsm::Token& token, bool trial, const Sha256Digest& policy_version);

struct Summary {
    Sha256Digest digest;    // of the genesis object: names this SAM in every head
    Bytes attestation_key;  // SubjectPublicKeyInfo
    CkaId attestation_id;
    Sha256Digest policy_version;
    bool trial;
};
// Nothing while the token has no genesis. Errc::configuration for one of another version.
Result<std::optional<Summary>> read(hsm::Token& token);

// The attestation key's DER signature, ECDSA with SHA-256, over record_domain | 0 | record: a ceremony's record, and no
// paper. Errc::out_of_order without a genesis.
inline constexpr std::string_view record_domain = "qscd/ceremony-record/v1";
Result<Bytes> attest_record(hsm::Token& token, ByteView record);

}  // namespace qscd::genesis
