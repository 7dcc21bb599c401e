// The RA's rule key, in the token qscd-ra by the label "rule": approves LCP requests by rule. Opened when first needed
// and again when it was away. [CA-17] Thread rules: safe from every thread; a call may wait for the module.
#pragma once

#include "ca/registration/registration.hpp"
#include "hsm/token.hpp"

namespace qscd::ca {

inline constexpr const char* rule_key_label = "rule";

class RuleKey {
public:
    struct Settings {
        hsm::ModuleSettings module;
        std::string token;
        std::function<Result<SecretBytes>()> pin;
        Sha256Digest key_id;  // of the public key in pki/
    };
    explicit RuleKey(Settings settings) : settings_(std::move(settings)) {}

    // ECDSA P-256 over SHA-256 of the message. Errors as hsm::Token has them; a wrong PIN is never tried again.
    Result<RuleSignature> sign(ByteView message);
    bool reachable();  // opens the token when that has not been done yet

private:
    Result<void> open();
    Settings settings_;
    std::mutex lock_;
    std::optional<Error> given_up_;
    std::shared_ptr<hsm::Module> module_;
    std::unique_ptr<hsm::Token> token_;
    std::shared_ptr<hsm::KeyObject> key_;
};

}  // namespace qscd::ca
