// The RA's rule key, in the token qscd-ra by the label "rule": approves LCP requests by rule. [CA-17] Thread rules: safe from every thread; a call may wait for the module.
#pragma once

#include "ca/registration/registration.hpp"
#include "hsm/token.hpp"

namespace qscd::ca {

inline constexpr const char* rule_key_label = "rule";

class RuleKey {
public:
    // `key_id` is of the public key in pki/.
    RuleKey(std::unique_ptr<hsm::Token> token, const Sha256Digest& key_id)
        : token_(std::move(token)), key_id_(key_id) {}

    // ECDSA P-256 over SHA-256 of the message. Errors as hsm::Token has them.
    Result<RuleSignature> sign(ByteView message);
    bool reachable() const { return token_->reachable(); }

private:
    std::unique_ptr<hsm::Token> token_;
    Sha256Digest key_id_;
    std::mutex lock_;
    std::shared_ptr<hsm::KeyObject> key_;
};

}  // namespace qscd::ca
