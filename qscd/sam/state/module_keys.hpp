// The SAM's own keys at work, one purpose each [QSCD-18], and the genesis that names them.
// Thread rules: called on the core's thread; each call waits for the module.
#pragma once

#include "base/log/head.hpp"
#include "hsm/token.hpp"
#include "protocol/papers.hpp"
#include "protocol/record.pb.h"

namespace qscd::sam {

class ModuleKeys {
public:
    // Finds the keys and reads the genesis. Errc::token_away; Errc::configuration when the token is not a SAM's.
    static Result<ModuleKeys> unlock(hsm::Token& token);

    const Sha256Digest& genesis_digest() const { return genesis_digest_; }
    const pb::Genesis& genesis() const { return genesis_; }
    std::string origin() const;  // of this log

    // The data key of the cells: an HMAC under K_cell, kept in memory; it hides, it does not protect integrity.
    const SecretBytes& data_key() const { return data_key_; }
    Result<Bytes> pin_mac(const SecretBytes& input);  // under K_pin, which never leaves the module
    const CkaId& pin_key_id() const { return pin_->id(); }
    Result<pb::Paper> attest(const protocol::Unsigned& paper);

    Result<std::string> sign_head(const log::Head& head);  // verified with the public key before it is returned
    Result<log::Head> verify_head(std::string_view text) const;

private:
    ModuleKeys(hsm::Token& token, pb::Genesis genesis, Sha256Digest digest, SecretBytes data_key)
        : token_(&token), genesis_(std::move(genesis)), genesis_digest_(digest), data_key_(std::move(data_key)) {}
    hsm::Token* token_;
    pb::Genesis genesis_;
    Sha256Digest genesis_digest_;
    SecretBytes data_key_;
    std::shared_ptr<hsm::KeyObject> pin_, attestation_, head_;
    EvpPkey attestation_public_, head_public_;
};

}  // namespace qscd::sam
