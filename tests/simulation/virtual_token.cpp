#include "tests/simulation/virtual_token.hpp"

#include <openssl/hmac.h>

#include "protocol/message.hpp"

namespace qscd::sam::simulation {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

Bytes hmac(ByteView key, ByteView input) {
    Bytes out(32);
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), input.data(), input.size(), out.data(), nullptr);
    return out;
}

EvpPkey public_half(EVP_PKEY& key) { return public_key_from_der(der_of(key, i2d_PUBKEY)).value(); }

// Making keys is slow and its randomness is not ours: all runs share this one.
EVP_PKEY& attestation_key() {
    static const EvpPkey key = generate_p256();
    return *key;
}

}  // namespace

VirtualToken::VirtualToken(Dice& dice, Plant plant)
    : dice_(dice), plant_(plant), cell_key_(dice.fixed<CkaId>()), pin_key_(dice.fixed<CkaId>()), anchors_{} {
    EVP_PKEY_up_ref(&attestation_key());
    attestation_.reset(&attestation_key());
    attestation_keys_.add(protocol::Issuer::attestation_key, public_half(*attestation_));
    for (const auto& id : {cell_key_, pin_key_}) {
        const auto secret = dice.fixed<Sha256Digest>();
        secrets_.emplace(id, Bytes{secret.bytes().begin(), secret.bytes().end()});
    }
    genesis_.set_attestation_key(string_of(der_of(*attestation_, i2d_PUBKEY)));
    genesis_.set_attestation_key_id(string_of(dice.fixed<CkaId>().bytes()));
    genesis_.set_cell_key(string_of(cell_key_.bytes()));
    genesis_.set_pin_key(string_of(pin_key_.bytes()));
    genesis_.set_shard(1);
    genesis_.set_trial(true);
    genesis_.set_nonce(string_of(dice.fixed<Sha256Digest>().bytes()));
    genesis_digest_ = sha256(protocol::encode(genesis_));
    anchors_[0].counter = 1;
    anchors_[1].counter = 2;
}

Bytes VirtualToken::pin_mac(const CkaId& key, ByteView input) const { return hmac(secrets_.at(key), input); }

Bytes VirtualToken::signature(const CkaId& key, const DtbsR& hash) {
    const auto digest = sha256({key.bytes(), hash.bytes()});
    return {digest.bytes().begin(), digest.bytes().end()};
}

const pb::Anchor* VirtualToken::newest_anchor() const {
    const AnchorObject* best = nullptr;
    for (const auto& object : anchors_)
        if (object.whole && (best == nullptr || object.counter > best->counter)) best = &object;
    return best == nullptr ? nullptr : &best->content;
}

Result<void> TokenSession::present() const {
    if (token_.away) return Error{Errc::token_away, "the module does not answer"};
    return success();
}

Result<Bytes> TokenSession::begin_epoch(std::uint64_t epoch) {
    QSCD_TRY(present());
    const Error failed{Errc::token_away, "making the head key"};
    if (fate_.fails_at(owner_, Point::before_epoch)) return failed;
    auto key = generate_p256();
    head_name_ = head_key_name(epoch);
    head_public_ = public_half(*key);
    head_ = token_.next_handle_++;
    token_.head_keys_.emplace(head_, VirtualToken::HeadKey{owner_, std::move(key)});
    if (fate_.fails_at(owner_, Point::key_made)) return failed;
    if (token_.plant_ != Plant::old_owner_keeps_its_key)
        std::erase_if(token_.head_keys_, [&](const auto& each) { return each.first != head_; });
    token_.fenced_others(owner_);
    if (fate_.fails_at(owner_, Point::olds_destroyed)) return failed;
    QSCD_TRY(sign_head({"qscd/probe", epoch, sha256(view_of(head_name_))}));
    return der_of(*head_public_, i2d_PUBKEY);
}

Result<std::string> TokenSession::sign_head(const log::Head& head) {
    if (fate_.fails_at(owner_, Point::before_head)) return Error{Errc::token_away, "the head's signature"};
    QSCD_TRY(present());
    const auto key = token_.head_keys_.find(head_);
    if (key == token_.head_keys_.end()) return Error{Errc::fenced, "the head key is gone"};
    token_.head_signed(owner_);
    QSCD_TRY(auto signature, sign_message(*key->second.key, view_of(log::body_of(head))));
    auto text = log::with_signature(head, head_name_, protocol::key_id_of(*head_public_), signature);
    if (fate_.fails_at(owner_, Point::after_head)) return Error{Errc::token_away, "the head's signature"};
    return text;
}

Result<pb::Paper> TokenSession::attest(const protocol::Unsigned& paper) {
    QSCD_TRY(present());
    QSCD_TRY(auto signature, sign_message(*token_.attestation_, paper.message));
    return protocol::assemble(paper, protocol::key_id_of(*token_.attestation_), std::move(signature));
}

Result<const SecretBytes*> TokenSession::data_key(const CkaId& cell_key) {
    if (const auto known = data_keys_.find(cell_key); known != data_keys_.end()) return &known->second;
    QSCD_TRY(present());
    const auto secret = token_.secrets_.find(cell_key);
    if (secret == token_.secrets_.end()) return Error{Errc::internal, "no such K_cell"};
    return &data_keys_.emplace(cell_key, SecretBytes{ByteView{hmac(secret->second, view_of("data key"))}})
                .first->second;
}

Result<Bytes> TokenSession::pin_mac(const CkaId& pin_key, const SecretBytes& input) {
    QSCD_TRY(present());
    if (fate_.fails_at(owner_, Point::pin_mac)) return Error{Errc::token_away, "the PIN's HMAC"};
    if (!token_.secrets_.contains(pin_key)) return Error{Errc::internal, "no such K_pin"};
    token_.pin_evaluated(owner_, pin_key, input.reveal());
    return token_.pin_mac(pin_key, input.reveal());
}

Result<CkaId> TokenSession::make_secret() {
    QSCD_TRY(present());
    const auto id = token_.dice_.fixed<CkaId>();
    const auto secret = token_.dice_.fixed<Sha256Digest>();
    token_.secrets_.emplace(id, Bytes{secret.bytes().begin(), secret.bytes().end()});
    return id;
}
Result<CkaId> TokenSession::make_cell_key() { return make_secret(); }
Result<CkaId> TokenSession::make_pin_key() { return make_secret(); }
Result<std::vector<CkaId>> TokenSession::keys_beside(const CkaId& cell_key, const CkaId& pin_key) {
    QSCD_TRY(present());
    std::vector<CkaId> out;
    for (const auto& [id, secret] : token_.secrets_)
        if (id != cell_key && id != pin_key) out.push_back(id);
    return out;
}
Result<void> TokenSession::destroy_key(const CkaId& key) {
    QSCD_TRY(present());
    data_keys_.erase(key);
    token_.secrets_.erase(key);
    return success();
}

Result<std::vector<pb::Anchor>> TokenSession::anchors() {
    QSCD_TRY(present());
    std::vector<pb::Anchor> out;
    anchor_known_ = 0;
    for (const auto& object : token_.anchors_) {
        if (!object.whole) continue;
        out.push_back(object.content);
        anchor_known_ = std::max(anchor_known_, object.counter);
    }
    if (token_.plant_ == Plant::ignored_anchor) out = {word_()};
    return out;
}

// The older one is overwritten, the torn one first; who finds that another login wrote is fenced.
Result<void> TokenSession::anchor(const pb::Anchor& anchor) {
    const Error failed{Errc::token_away, "the anchor"};
    if (fate_.fails_at(owner_, Point::before_anchor)) return failed;
    QSCD_TRY(present());
    std::uint64_t newest = 0;
    for (const auto& object : token_.anchors_) newest = std::max(newest, object.whole ? object.counter : 0);
    if (newest > anchor_known_) return Error{Errc::fenced, "the anchors were changed by somebody else"};
    if (token_.plant_ == Plant::anchor_not_written) return success();
    auto& older = *std::ranges::min_element(token_.anchors_, {},
                                            [](const auto& object) { return object.whole ? object.counter : 0; });
    const auto put = [&] { older = {newest + 1, anchor, true}; };
    // At a crash: the old one, the new one, or half of each.
    const auto left_half_done = [&] {
        const auto left = token_.dice_.below(3);
        if (left == 1) put();
        if (left == 2) older.whole = false;
        if (left == 1) token_.anchored(owner_);
    };
    try {
        if (fate_.fails_at(owner_, Point::inside_anchor)) {
            left_half_done();
            return failed;
        }
    } catch (const Killed&) {
        left_half_done();
        throw;
    }
    put();
    anchor_known_ = newest + 1;
    token_.anchored(owner_);
    if (fate_.fails_at(owner_, Point::after_anchor)) return failed;
    return success();
}

}  // namespace qscd::sam::simulation
