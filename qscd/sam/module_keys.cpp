#include "qscd/sam/module_keys.hpp"

#include "base/random.hpp"
#include "protocol/message.hpp"

namespace qscd::sam {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

// ECDSA with SHA-256 over a message, by a P-256 key in the token.
Result<Bytes> sign(hsm::Token& token, hsm::KeyObject& key, ByteView message) {
    QSCD_TRY(auto dtbsr, DtbsR::from(HashAlgorithm::sha256, sha256(message).bytes()));
    return token.sign(key, Scheme::ecdsa, dtbsr).signature;
}

}  // namespace

Result<Bytes> make_genesis(hsm::Token& token, bool trial, const Sha256Digest& policy_version) {
    QSCD_TRY(auto existing, token.read_data(genesis_label));
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
    QSCD_TRY(token.create_data(genesis_label, protocol::encode(genesis)));
    return std::move(attestation.public_key);
}

Result<ModuleKeys> ModuleKeys::unlock(hsm::Token& token) {
    QSCD_TRY(auto bytes, token.read_data(genesis_label));
    if (!bytes) return Error{Errc::configuration, "token " + token.label() + " has no genesis: run `qscd init`"};
    QSCD_TRY(auto genesis, protocol::decode<pb::Genesis>(*bytes));
    QSCD_TRY(auto cell_key, token.find_by_label(cell_key_label));
    QSCD_TRY(auto data_key, token.hmac(*cell_key, view_of("qscd/cell-data-key/v1")));
    ModuleKeys keys{token, std::move(genesis), sha256(*bytes), SecretBytes{ByteView{data_key}}};
    ::explicit_bzero(data_key.data(), data_key.size());
    QSCD_TRY(keys.pin_, token.find_by_label(pin_key_label));
    QSCD_TRY(keys.attestation_, token.find_by_label(attestation_key_label));
    QSCD_TRY(keys.head_, token.find_by_label(head_key_label));
    QSCD_TRY(keys.attestation_public_, public_key_from_der(view_of(keys.genesis_.attestation_key())));
    QSCD_TRY(keys.head_public_, public_key_from_der(view_of(keys.genesis_.head_key())));
    return keys;
}

std::string ModuleKeys::origin() const {
    return "qscd/sam/" + genesis_digest_.hex() + "/" + std::to_string(genesis_.shard());
}

Result<Bytes> ModuleKeys::pin_mac(const SecretBytes& input) { return token_->hmac(*pin_, input.reveal()); }

Result<pb::Paper> ModuleKeys::attest(const protocol::Unsigned& paper) {
    QSCD_TRY(auto signature, sign(*token_, *attestation_, paper.message));
    if (!verify_message(*attestation_public_, paper.message, signature))
        return Error{Errc::internal, "the attestation key signed wrongly"};
    return protocol::assemble(paper, protocol::key_id_of(*attestation_public_), std::move(signature));
}

Result<std::string> ModuleKeys::sign_head(const log::Head& head) {
    QSCD_TRY(auto signature, sign(*token_, *head_, view_of(log::body_of(head))));
    auto text = log::with_signature(head, head_key_label, protocol::key_id_of(*head_public_), signature);
    QSCD_TRY(verify_head(text));
    return text;
}

Result<log::Head> ModuleKeys::verify_head(std::string_view text) const {
    return log::verified_head(text, origin(), head_key_label, *head_public_);
}

}  // namespace qscd::sam
