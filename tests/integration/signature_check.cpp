#include "tests/integration/signature_check.hpp"

#include <openssl/rsa.h>

namespace qscd::integration {

bool is_signature(const X509& certificate, Scheme scheme, HashAlgorithm algorithm, ByteView hash, ByteView signature) {
    const auto* md = EVP_get_digestbyname(row_of(algorithm).name.data());
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(X509_get0_pubkey(&certificate), nullptr)};
    if (EVP_PKEY_verify_init(context.get()) != 1) return false;
    if (scheme == Scheme::rsa_pss &&
        (EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) != 1 ||
         EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), static_cast<int>(size_of(algorithm))) != 1))
        return false;
    return EVP_PKEY_CTX_set_signature_md(context.get(), md) == 1 &&
           EVP_PKEY_verify(context.get(), signature.data(), signature.size(), hash.data(), hash.size()) == 1;
}

}  // namespace qscd::integration
