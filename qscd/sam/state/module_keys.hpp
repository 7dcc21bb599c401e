// Custody by a token: the SAM's own keys, one purpose each [QSCD-18], found by CKA_ID as the genesis and the epochs' papers
// name them, never by label. Thread rules: called on the core's thread; each call waits for the module.
#pragma once

#include <map>

#include "hsm/anchor.hpp"
#include "hsm/token.hpp"
#include "qscd/sam/state/custody.hpp"

namespace qscd::sam {

class ModuleKeys : public Custody {
public:
    // Reads the genesis and finds the anchors. Errc::token_away; Errc::configuration when the token is not a SAM's.
    static Result<std::unique_ptr<ModuleKeys>> unlock(hsm::Token& token);

    const pb::Genesis& genesis() const override { return genesis_; }
    const Sha256Digest& genesis_digest() const override { return genesis_digest_; }
    const protocol::TrustedKeys& attestation() const override { return attestation_keys_; }
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
    ModuleKeys(hsm::Token& token, hsm::Anchors anchors, pb::Genesis genesis, Sha256Digest digest)
        : token_(token), anchors_(std::move(anchors)), genesis_(std::move(genesis)), genesis_digest_(digest) {}
    hsm::Token& token_;
    hsm::Anchors anchors_;
    pb::Genesis genesis_;
    Sha256Digest genesis_digest_;
    protocol::TrustedKeys attestation_keys_;
    std::shared_ptr<hsm::KeyObject> attestation_, head_;
    EvpPkey attestation_public_, head_public_;
    std::string head_name_;
    std::map<CkaId, SecretBytes> data_keys_;
    std::map<CkaId, std::shared_ptr<hsm::KeyObject>> pin_keys_;
};

}  // namespace qscd::sam
