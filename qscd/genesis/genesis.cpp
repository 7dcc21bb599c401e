#include "qscd/genesis/genesis.hpp"

#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "protocol/message.hpp"
#include "protocol/record.pb.h"

namespace qscd::genesis {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

}  // namespace

Result<Bytes> make(hsm::Token& token, bool trial, const Sha256Digest& policy_version) {
    QSCD_TRY(auto existing, token.read_data(object_label));
    if (existing) return Error{Errc::configuration, "token " + token.label() + " has a genesis already"};
    QSCD_TRY(auto anchors, hsm::Anchors::open(token, anchor_name));
    if (anchors.present()) return Error{Errc::configuration, "token " + token.label() + " has anchors already"};
    QSCD_TRY(auto cell_key, token.generate_hmac_key(random_fixed<CkaId>(), cell_key_label));
    QSCD_TRY(auto pin_key, token.generate_hmac_key(random_fixed<CkaId>(), pin_key_label));
    QSCD_TRY(auto attestation, token.generate(KeyKind::p256, random_fixed<CkaId>(), attestation_key_label));
    // Of an empty log, so that a token without an anchor is never taken for a fresh one.
    QSCD_TRY(anchors.create(protocol::encode(pb::Anchor{})));
    pb::Genesis genesis;
    genesis.set_attestation_key(string_of(attestation.public_key));
    genesis.set_attestation_key_id(string_of(attestation.key->id().bytes()));
    genesis.set_cell_key(string_of(cell_key->id().bytes()));
    genesis.set_pin_key(string_of(pin_key->id().bytes()));
    genesis.set_shard(1);
    genesis.set_trial(trial);
    genesis.set_policy_version(string_of(policy_version.bytes()));
    genesis.set_nonce(string_of(random_bytes(32)));
    QSCD_TRY(token.create_data(object_label, protocol::encode(genesis)));
    return std::move(attestation.public_key);
}

}  // namespace qscd::genesis
