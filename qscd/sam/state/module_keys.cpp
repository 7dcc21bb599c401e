#include "qscd/sam/state/module_keys.hpp"

#include "protocol/message.hpp"
#include "qscd/genesis/genesis.hpp"

namespace qscd::sam {
namespace {

// ECDSA with SHA-256 over a message, by a P-256 key in the token.
Result<Bytes> sign(hsm::Token& token, hsm::KeyObject& key, ByteView message) {
    QSCD_TRY(auto dtbsr, DtbsR::from(HashAlgorithm::sha256, sha256(message).bytes()));
    return token.sign(key, Scheme::ecdsa, dtbsr).signature;
}

}  // namespace

Result<ModuleKeys> ModuleKeys::unlock(hsm::Token& token) {
    QSCD_TRY(auto bytes, token.read_data(genesis::object_label));
    if (!bytes) return Error{Errc::configuration, "token " + token.label() + " has no genesis: run `qscd init`"};
    QSCD_TRY(auto genesis, protocol::decode<pb::Genesis>(*bytes));
    QSCD_TRY(auto cell_key, token.find_by_label(genesis::cell_key_label));
    QSCD_TRY(auto data_key, token.hmac(*cell_key, view_of("qscd/cell-data-key/v1")));
    ModuleKeys keys{token, std::move(genesis), sha256(*bytes), SecretBytes{ByteView{data_key}}};
    wipe(data_key);
    QSCD_TRY(keys.pin_, token.find_by_label(genesis::pin_key_label));
    QSCD_TRY(keys.attestation_, token.find_by_label(genesis::attestation_key_label));
    QSCD_TRY(keys.head_, token.find_by_label(genesis::head_key_label));
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
    auto text = log::with_signature(head, genesis::head_key_label, protocol::key_id_of(*head_public_), signature);
    QSCD_TRY(verify_head(text));
    return text;
}

Result<log::Head> ModuleKeys::verify_head(std::string_view text) const {
    return log::verified_head(text, origin(), genesis::head_key_label, *head_public_);
}

}  // namespace qscd::sam
