#include "ca/issuing/ca_token.hpp"

#include "hsm/provider/provider.hpp"

namespace qscd::ca {
namespace {

std::optional<KeyKind> kind_of(const EVP_PKEY& key) {
    const bool elliptic = EVP_PKEY_get_base_id(&key) == EVP_PKEY_EC;
    for (const auto& row : key_kind_rows)
        if (row.elliptic == elliptic && static_cast<int>(row.bits) == EVP_PKEY_get_bits(&key)) return row.kind;
    return std::nullopt;
}

}  // namespace

Result<std::shared_ptr<EVP_PKEY>> CaToken::load_key(const Authority& authority) {
    const auto* public_key = X509_get0_pubkey(&hierarchy_.issuing(authority));
    const auto kind = kind_of(*public_key);
    if (!kind) return Error{Errc::configuration, "the key of an issuing CA is of no kind that we use"};
    auto found = token_->find_by_label(std::string{authority.key_label});
    if (!found && found.error().code == Errc::parameter_invalid)
        return Error{Errc::configuration,
                     "the token " + token_->label() + " has no key " + std::string{authority.key_label}};
    if (!found) return found.error();
    auto sign = [token = token_, object = found.value()](Scheme scheme, const DtbsR& dtbsr) {
        return token->sign(*object, scheme, dtbsr).signature;
    };
    const auto key = std::make_shared<const hsm::ProviderKey>(
        hsm::ProviderKey{*kind, der_of(*public_key, i2d_PUBKEY), std::move(sign)});
    QSCD_TRY(auto made, hsm::make_evp_pkey(key));
    return std::shared_ptr<EVP_PKEY>{std::move(made)};
}

Result<std::shared_ptr<EVP_PKEY>> CaToken::key_of(const Authority& authority) {
    const std::lock_guard one{lock_};
    auto& key = keys_[authority.key_label];
    if (!key) {
        QSCD_TRY(key, load_key(authority));
    }
    return key;
}

}  // namespace qscd::ca
