// The module: the SAM's own keys in software, two anchor objects, and the signers' keys, whose signatures are digests that
// whoever checks can compute again. It outlives every process that logs in. Thread rules: one thread.
#pragma once

#include <functional>
#include <map>

#include "base/openssl.hpp"
#include "qscd/sam/state/custody.hpp"
#include "tests/simulation/dice.hpp"
#include "tests/simulation/fate.hpp"
#include "tests/simulation/plants.hpp"

namespace qscd::sam::simulation {

class VirtualToken {
public:
    VirtualToken(Dice& dice, Plant plant);

    bool away = false;  // it does not answer at all
    const pb::Genesis& genesis() const { return genesis_; }
    CkaId pin_key() const { return pin_key_; }
    Bytes pin_mac(const CkaId& key, ByteView input) const;  // HMAC-SHA-256
    static Bytes signature(const CkaId& key, const DtbsR& hash);

    // The newest that is whole; none when both are torn.
    const pb::Anchor* newest_anchor() const;
    const protocol::TrustedKeys& attestation_keys() const { return attestation_keys_; }

    // Told what was asked.
    std::function<void(unsigned owner, const CkaId& key, ByteView input)> pin_evaluated;
    std::function<void(unsigned owner)> anchored, fenced_others, head_signed;

private:
    friend class TokenSession;
    struct AnchorObject {
        std::uint64_t counter;
        pb::Anchor content;
        bool whole = true;
    };
    struct HeadKey {
        unsigned owner;
        EvpPkey key;
    };
    Dice& dice_;
    Plant plant_;
    pb::Genesis genesis_;
    std::optional<Sha256Digest> genesis_digest_;
    EvpPkey attestation_;
    protocol::TrustedKeys attestation_keys_;
    CkaId cell_key_, pin_key_;
    std::map<CkaId, Bytes> secrets_;
    std::map<std::uint64_t, HeadKey> head_keys_;  // by handle
    std::uint64_t next_handle_ = 1;
    std::array<AnchorObject, 2> anchors_;
};

// One process's login.
class TokenSession : public Custody {
public:
    // What a start reads instead of the anchor, with Plant::ignored_anchor.
    using StoresWord = std::function<pb::Anchor()>;

    TokenSession(VirtualToken& token, Fate& fate, unsigned owner, StoresWord word)
        : token_(token), fate_(fate), owner_(owner), word_(std::move(word)) {}
    const pb::Genesis& genesis() const override { return token_.genesis_; }
    const Sha256Digest& genesis_digest() const override { return *token_.genesis_digest_; }
    const protocol::TrustedKeys& attestation() const override { return token_.attestation_keys_; }
    Result<Bytes> begin_epoch(std::uint64_t epoch) override;
    Result<std::string> sign_head(const log::Head& head) override;
    Result<pb::Paper> attest(const protocol::Unsigned& paper) override;
    Result<const SecretBytes*> data_key(const CkaId& cell_key) override;
    Result<Bytes> pin_mac(const CkaId& pin_key, const SecretBytes& input) override;
    Result<CkaId> make_cell_key() override;
    Result<CkaId> make_pin_key() override;
    Result<std::vector<CkaId>> keys_beside(const CkaId& cell_key, const CkaId& pin_key) override;
    Result<void> destroy_key(const CkaId& key) override;
    Result<std::vector<pb::Anchor>> anchors() override;
    Result<void> anchor(const pb::Anchor& anchor) override;

private:
    Result<void> present() const;
    Result<CkaId> make_secret();

    VirtualToken& token_;
    Fate& fate_;
    unsigned owner_;
    StoresWord word_;
    std::string head_name_;
    std::uint64_t head_ = 0;  // its handle
    EvpPkey head_public_;
    std::map<CkaId, SecretBytes> data_keys_;
    std::uint64_t anchor_known_ = 0;  // the newest counter that this login read or wrote
};

}  // namespace qscd::sam::simulation
