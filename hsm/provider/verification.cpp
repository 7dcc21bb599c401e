#include "hsm/provider/verification.hpp"

namespace qscd::hsm::provider {

std::unique_ptr<Verification> Verification::of_message(const KeyData& key, const char* hash_name,
                                                       const OSSL_PARAM parameters[]) {
    auto out = std::make_unique<Verification>();
    out->message_.reset(EVP_MD_CTX_new());
    if (!out->message_ || EVP_DigestVerifyInit_ex(out->message_.get(), nullptr, hash_name, key.surroundings->library,
                                                  default_provider, key.public_key.get(), parameters) != 1)
        return nullptr;
    return out;
}

std::unique_ptr<Verification> Verification::of_digest(const KeyData& key, const OSSL_PARAM parameters[]) {
    auto out = std::make_unique<Verification>();
    out->digest_.reset(EVP_PKEY_CTX_new_from_pkey(key.surroundings->library, key.public_key.get(), default_provider));
    if (!out->digest_ || EVP_PKEY_verify_init_ex(out->digest_.get(), parameters) != 1) return nullptr;
    return out;
}

std::unique_ptr<Verification> Verification::copy() const {
    auto out = std::make_unique<Verification>();
    if (digest_) {
        out->digest_.reset(EVP_PKEY_CTX_dup(digest_.get()));
        return out->digest_ ? std::move(out) : nullptr;
    }
    out->message_.reset(EVP_MD_CTX_new());
    if (!out->message_ || EVP_MD_CTX_copy_ex(out->message_.get(), message_.get()) != 1) return nullptr;
    return out;
}

}  // namespace qscd::hsm::provider
