#include "qscd/genesis/genesis.hpp"

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "protocol/message.hpp"
#include "protocol/record.pb.h"

namespace qscd::genesis {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

// What an earlier attempt left that was interrupted before its genesis stood. Anchors that say more than an empty log
// belong to a state that lived, whose genesis was lost: nothing is touched.
Result<void> put_aside(hsm::Token& token, hsm::Anchors& anchors) {
    const auto empty = protocol::encode(pb::Anchor{});
    if (anchors.present()) {
        QSCD_TRY(const auto contents, anchors.read());
        for (const auto& content : contents.whole)
            if (content != empty) return Error{Errc::configuration, "token " + token.label() + " has anchors already"};
    }
    for (const auto* label : {cell_key_label, pin_key_label, attestation_key_label}) {
        QSCD_TRY(const auto left, token.keys(label));
        for (const auto& key : left) {
            QSCD_TRY(token.destroy(key.id));
        }
    }
    return success();
}

// An empty log, so that a token without an anchor is never taken for a fresh one. The second write mends what an
// interrupted create() left.
Result<void> anchor_nothing(hsm::Anchors& anchors) {
    const auto empty = protocol::encode(pb::Anchor{});
    return anchors.present() ? anchors.write(empty) : anchors.create(empty);
}

}  // namespace

Result<Bytes> make(hsm::Token& token, bool trial, const Sha256Digest& policy_version) {
    QSCD_TRY(auto existing, token.read_data(object_label));
    if (existing) return Error{Errc::configuration, "token " + token.label() + " has a genesis already"};
    QSCD_TRY(auto anchors, hsm::Anchors::open(token, anchor_name));
    QSCD_TRY(put_aside(token, anchors));
    QSCD_TRY(auto cell_key, token.generate_hmac_key(random_fixed<CkaId>(), cell_key_label));
    QSCD_TRY(auto pin_key, token.generate_hmac_key(random_fixed<CkaId>(), pin_key_label));
    QSCD_TRY(auto attestation, token.generate(KeyKind::p256, random_fixed<CkaId>(), attestation_key_label));
    QSCD_TRY(anchor_nothing(anchors));
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

Result<std::optional<Summary>> read(hsm::Token& token) {
    QSCD_TRY(const auto bytes, token.read_data(object_label));
    if (!bytes) return std::optional<Summary>{};
    QSCD_TRY(const auto genesis, protocol::decode<pb::Genesis>(*bytes));
    const auto id = CkaId::from(view_of(genesis.attestation_key_id()));
    const auto policy_version = Sha256Digest::from(view_of(genesis.policy_version()));
    if (!id || !policy_version)
        return Error{Errc::configuration, "the genesis of token " + token.label() + " is of another version"};
    return std::optional{
        Summary{sha256(*bytes), bytes_of(genesis.attestation_key()), *id, *policy_version, genesis.trial()}};
}

Result<Bytes> attest_record(hsm::Token& token, ByteView record) {
    QSCD_TRY(const auto genesis, read(token));
    if (!genesis) return Error{Errc::out_of_order, "token " + token.label() + " has no genesis yet"};
    Bytes message = bytes_of(record_domain);
    message.push_back(0);
    message.insert(message.end(), record.begin(), record.end());
    QSCD_TRY(const auto hash, DtbsR::from(HashAlgorithm::sha256, sha256(message).bytes()));
    QSCD_TRY(const auto key, token.find_private(genesis->attestation_id));
    auto signature = token.sign(*key, Scheme::ecdsa, hash).signature;
    if (!signature) return signature.error();
    QSCD_TRY(const auto public_key, public_key_from_der(genesis->attestation_key));
    if (!verify_message(*public_key, message, signature.value()))
        return Error{Errc::internal, "the attestation key signed wrongly"};
    return signature;
}

}  // namespace qscd::genesis
