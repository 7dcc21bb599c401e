#include "qscd/sam/state/module_keys.hpp"

#include "base/crash_point.hpp"
#include "base/random.hpp"
#include "protocol/message.hpp"
#include "qscd/genesis/genesis.hpp"

namespace qscd::sam {
namespace {

constexpr std::chrono::milliseconds anchor_patience{1000};

Result<Bytes> digest_signed(hsm::Token::Outcome outcome) { return std::move(outcome.signature); }

Result<DtbsR> hash_of(ByteView message) { return DtbsR::from(HashAlgorithm::sha256, sha256(message).bytes()); }

}  // namespace

Result<std::unique_ptr<ModuleKeys>> ModuleKeys::unlock(hsm::Token& token) {
    QSCD_TRY(auto bytes, token.read_data(genesis::object_label));
    if (!bytes) return Error{Errc::configuration, "token " + token.label() + " has no genesis: run `qscd init`"};
    QSCD_TRY(auto genesis, protocol::decode<pb::Genesis>(*bytes));
    QSCD_TRY(auto anchors, hsm::Anchors::open(token, genesis::anchor_name));
    const auto attestation_id = CkaId::from(view_of(genesis.attestation_key_id()));
    if (!attestation_id || !CkaId::from(view_of(genesis.cell_key())) || !CkaId::from(view_of(genesis.pin_key())))
        return Error{Errc::configuration, "the genesis of token " + token.label() + " is of another version"};
    std::unique_ptr<ModuleKeys> keys{new ModuleKeys{token, std::move(anchors), std::move(genesis), sha256(*bytes)}};
    QSCD_TRY(keys->attestation_, token.find_private(*attestation_id));
    const auto spki = view_of(keys->genesis_.attestation_key());
    QSCD_TRY(keys->attestation_public_, public_key_from_der(spki));
    QSCD_TRY(auto trusted, public_key_from_der(spki));
    keys->attestation_keys_.add(protocol::Issuer::attestation_key, std::move(trusted));
    return keys;
}

Result<Bytes> ModuleKeys::begin_epoch(std::uint64_t epoch) {
    head_name_ = head_key_name(epoch);
    QSCD_TRY(auto made, token_.generate(KeyKind::p256, random_fixed<CkaId>(), head_name_));
    crash_point("samd.takeover.key-made");
    QSCD_TRY(auto all, token_.keys("head-"));
    for (const auto& other : all) {
        if (other.id == made.key->id()) continue;
        QSCD_TRY(token_.destroy(other.id));  // confirmed by a search
    }
    crash_point("samd.takeover.old-destroyed");
    head_ = std::move(made.key);
    QSCD_TRY(head_public_, public_key_from_der(made.public_key));
    // Another one may be taking over at this moment, and have destroyed ours.
    const auto nonce = random_bytes(Sha256Digest::size);
    QSCD_TRY(sign_head({"qscd/probe", epoch, *Sha256Digest::from(nonce)}));
    return std::move(made.public_key);
}

Result<std::string> ModuleKeys::sign_head(const log::Head& head) {
    QSCD_TRY(auto hash, hash_of(view_of(log::body_of(head))));
    auto signature = digest_signed(token_.sign_fenced(*head_, Scheme::ecdsa, hash));
    if (!signature && signature.error().code == Errc::key_gone)
        return Error{Errc::fenced, "the head key " + head_name_ + " is gone: another owner has taken over"};
    if (!signature) return signature.error();
    auto text = log::with_signature(head, head_name_, protocol::key_id_of(*head_public_), signature.value());
    QSCD_TRY(log::verified_head(text, head.origin, head_name_, *head_public_));
    return text;
}

Result<pb::Paper> ModuleKeys::attest(const protocol::Unsigned& paper) {
    QSCD_TRY(auto hash, hash_of(paper.message));
    QSCD_TRY(auto signature, digest_signed(token_.sign(*attestation_, Scheme::ecdsa, hash)));
    if (!verify_message(*attestation_public_, paper.message, signature))
        return Error{Errc::internal, "the attestation key signed wrongly"};
    return protocol::assemble(paper, protocol::key_id_of(*attestation_public_), std::move(signature));
}

Result<const SecretBytes*> ModuleKeys::data_key(const CkaId& cell_key) {
    if (const auto known = data_keys_.find(cell_key); known != data_keys_.end()) return &known->second;
    QSCD_TRY(auto key, token_.find_secret(cell_key));
    QSCD_TRY(auto bytes, token_.hmac(*key, view_of("qscd/cell-data-key/v1")));
    const auto kept = data_keys_.emplace(cell_key, SecretBytes{ByteView{bytes}}).first;
    wipe(bytes);
    return &kept->second;
}

Result<Bytes> ModuleKeys::pin_mac(const CkaId& pin_key, const SecretBytes& input) {
    auto& key = pin_keys_[pin_key];
    if (!key) key = std::make_shared<hsm::KeyObject>(pin_key, CKO_SECRET_KEY);
    return token_.hmac(*key, input.reveal());
}

Result<CkaId> ModuleKeys::make_cell_key() {
    QSCD_TRY(auto key, token_.generate_hmac_key(random_fixed<CkaId>(), genesis::cell_key_label));
    return key->id();
}
Result<CkaId> ModuleKeys::make_pin_key() {
    QSCD_TRY(auto key, token_.generate_hmac_key(random_fixed<CkaId>(), genesis::pin_key_label));
    return key->id();
}
Result<std::vector<CkaId>> ModuleKeys::keys_beside(const CkaId& cell_key, const CkaId& pin_key) {
    std::vector<CkaId> out;
    for (const auto* label : {genesis::cell_key_label, genesis::pin_key_label}) {
        QSCD_TRY(auto found, token_.keys(label));
        for (const auto& each : found)
            if (each.id != cell_key && each.id != pin_key) out.push_back(each.id);
    }
    return out;
}
Result<void> ModuleKeys::destroy_key(const CkaId& key) {
    data_keys_.erase(key);
    pin_keys_.erase(key);
    return token_.destroy(key);
}

Result<std::vector<pb::Anchor>> ModuleKeys::anchors() {
    QSCD_TRY(auto contents, anchors_.read());
    std::vector<pb::Anchor> out;
    for (const auto& content : contents.whole)
        if (auto anchor = protocol::decode<pb::Anchor>(content)) out.push_back(std::move(anchor.value()));
    return out;
}

// The batch is durable already, and without its anchor this process would have to end. Where a module began anew for
// another of its tokens, or refuses an object while somebody else looks at its neighbours, a second attempt is good.
Result<void> ModuleKeys::anchor(const pb::Anchor& anchor) {
    const auto bytes = protocol::encode(anchor);
    auto written = anchors_.write(bytes);
    if (!written && written.error().code == Errc::token_away && token_.wait_until_reachable(anchor_patience))
        written = anchors_.write(bytes);
    return written;
}

}  // namespace qscd::sam
