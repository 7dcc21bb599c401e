#include "ca/registration/rule_key.hpp"

#include "base/diagnostics.hpp"

namespace qscd::ca {

Result<void> RuleKey::open() {
    if (token_) return success();
    if (given_up_) return *given_up_;
    if (module_ == nullptr) {
        QSCD_TRY(module_, hsm::Module::load(settings_.module));
    } else {
        QSCD_TRY(module_->reinitialise());  // a module that missed its token does not see it come back otherwise
    }
    QSCD_TRY(auto pin, settings_.pin());
    auto opened = hsm::Token::open(module_, settings_.token, std::move(pin), 1);
    if (!opened) {
        if (opened.error().code == Errc::configuration) given_up_ = opened.error();
        return opened.error();
    }
    token_ = std::move(opened.value());
    note("token-opened", {{"token", settings_.token}});
    return success();
}

Result<RuleSignature> RuleKey::sign(ByteView message) {
    const std::lock_guard one{lock_};
    QSCD_TRY(open());
    if (!key_) {
        QSCD_TRY(key_, token_->find_by_label(rule_key_label));
    }
    QSCD_TRY(const auto dtbsr, DtbsR::from(HashAlgorithm::sha256, sha256(message).bytes()));
    QSCD_TRY(auto signature, token_->sign(*key_, Scheme::ecdsa, dtbsr).signature);
    return RuleSignature{settings_.key_id, std::move(signature)};
}

bool RuleKey::reachable() {
    const std::lock_guard one{lock_};
    return open() && token_->reachable();
}

}  // namespace qscd::ca
