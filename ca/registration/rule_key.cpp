#include "ca/registration/rule_key.hpp"

namespace qscd::ca {

Result<RuleSignature> RuleKey::sign(ByteView message) {
    const std::lock_guard one{lock_};
    if (!key_) {
        QSCD_TRY(key_, token_->find_by_label(rule_key_label));
    }
    QSCD_TRY(const auto dtbsr, DtbsR::from(HashAlgorithm::sha256, sha256(message).bytes()));
    QSCD_TRY(auto signature, token_->sign(*key_, Scheme::ecdsa, dtbsr).signature);
    return RuleSignature{key_id_, std::move(signature)};
}

}  // namespace qscd::ca
