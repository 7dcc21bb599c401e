// Verification under the public half, by the default provider. OpenSSL takes the SIGNATURE that it met first, and
// where a program loaded this provider before the default one that is ours, for everybody's public keys too. Not a
// public header.
#pragma once

#include "hsm/provider/tables.hpp"

namespace qscd::hsm::provider {

class Verification {
public:
    // Of a message that comes in parts; `hash_name` may be nullptr: the key's own. nullptr when OpenSSL refuses.
    static std::unique_ptr<Verification> of_message(const KeyData& key, const char* hash_name,
                                                    const OSSL_PARAM parameters[]);
    // Of a digest.
    static std::unique_ptr<Verification> of_digest(const KeyData& key, const OSSL_PARAM parameters[]);
    std::unique_ptr<Verification> copy() const;

    // Padding, salt and the like are the default provider's to know.
    int set(const OSSL_PARAM parameters[]) { return EVP_PKEY_CTX_set_params(context(), parameters); }
    int get(OSSL_PARAM parameters[]) { return EVP_PKEY_CTX_get_params(context(), parameters); }

    int update(ByteView part) { return EVP_DigestVerifyUpdate(message_.get(), part.data(), part.size()); }
    int finish(ByteView signature) { return EVP_DigestVerifyFinal(message_.get(), signature.data(), signature.size()); }
    int verify(ByteView signature, ByteView digest) {
        return EVP_PKEY_verify(digest_.get(), signature.data(), signature.size(), digest.data(), digest.size());
    }

private:
    EVP_PKEY_CTX* context() const { return digest_ ? digest_.get() : EVP_MD_CTX_get_pkey_ctx(message_.get()); }
    EvpMdCtx message_;
    EvpPkeyCtx digest_;
};

}  // namespace qscd::hsm::provider
