#include "qscd/genesis/genesis.hpp"

#include "base/random.hpp"
#include "protocol/message.hpp"
#include "protocol/record.pb.h"

namespace qscd::genesis {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

}  // namespace

Result<Bytes> make(hsm::Token& token, bool trial, const Sha256Digest& policy_version) {
    QSCD_TRY(auto existing, token.read_data(object_label));
    if (existing) return Error{Errc::configuration, "token " + token.label() + " has a genesis already"};
    for (const auto* label : {cell_key_label, pin_key_label}) {
        QSCD_TRY(token.generate_hmac_key(random_fixed<CkaId>(), label));
    }
    QSCD_TRY(auto attestation, token.generate(KeyKind::p256, random_fixed<CkaId>(), attestation_key_label));
    QSCD_TRY(auto head, token.generate(KeyKind::p256, random_fixed<CkaId>(), head_key_label));
    pb::Genesis genesis;
    genesis.set_attestation_key(string_of(attestation.public_key));
    genesis.set_head_key(string_of(head.public_key));
    genesis.set_shard(1);
    genesis.set_trial(trial);
    genesis.set_policy_version(string_of(policy_version.bytes()));
    genesis.set_nonce(string_of(random_bytes(32)));
    QSCD_TRY(token.create_data(object_label, protocol::encode(genesis)));
    return std::move(attestation.public_key);
}

}  // namespace qscd::genesis
