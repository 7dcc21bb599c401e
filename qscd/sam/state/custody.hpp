// What the ledger asks of the module that keeps the SAM's own keys: the genesis, a head key for each epoch, attestation,
// the data key, and the anchors. [sam-state 1, 4] [QSCD-18]
// Thread rules: the core's thread; each call waits for the module.
#pragma once

#include "base/identifier.hpp"
#include "base/log/head.hpp"
#include "base/secret.hpp"
#include "protocol/papers.hpp"

namespace qscd::sam {

class Custody {
public:
    virtual ~Custody() = default;

    virtual const pb::Genesis& genesis() const = 0;
    virtual const Sha256Digest& genesis_digest() const = 0;
    virtual const protocol::TrustedKeys& attestation() const = 0;  // K_attest's public key, as the genesis names it

    // Makes the epoch's head key, destroys every other one, and confirms that they are gone: from then on no older owner
    // can sign a head. Returns the SubjectPublicKeyInfo. [sam-state 4, step 1]
    virtual Result<Bytes> begin_epoch(std::uint64_t epoch) = 0;
    // Checkpoint text signed with this epoch's head key, verified with its public key. Errc::fenced when the key is gone.
    virtual Result<std::string> sign_head(const log::Head& head) = 0;
    virtual Result<pb::Paper> attest(const protocol::Unsigned& paper) = 0;

    // What hides the cells that are sealed under this K_cell; kept in locked memory, integrity never rests on it.
    // Errc::internal for a key that is not there.
    virtual Result<const SecretBytes*> data_key(const CkaId& cell_key) = 0;
    // HMAC under a K_pin, which never leaves the module.
    virtual Result<Bytes> pin_mac(const CkaId& pin_key, const SecretBytes& input) = 0;
    // New ones beside the old, for a rotation; and the end of one that nothing hangs on any more.
    virtual Result<CkaId> make_cell_key() = 0;
    virtual Result<CkaId> make_pin_key() = 0;
    virtual Result<std::vector<CkaId>> keys_beside(const CkaId& cell_key, const CkaId& pin_key) = 0;  // the old ones
    virtual Result<void> destroy_key(const CkaId& key) = 0;

    // The anchor objects that are whole, in no order; damaged ones are left out.
    virtual Result<std::vector<pb::Anchor>> anchors() = 0;
    virtual Result<void> anchor(const pb::Anchor& anchor) = 0;  // synced on return

    std::string origin() const;  // of this log: names genesis and shard
};

std::string head_key_name(std::uint64_t epoch);          // "head-7"
std::uint64_t epoch_of_key_name(std::string_view name);  // 0: it is none

}  // namespace qscd::sam
