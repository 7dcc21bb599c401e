// Inside of the provider: what its key management, its signatures and its loading share. Not a public header.
#pragma once

#include <openssl/core_dispatch.h>

#include "hsm/provider.hpp"

namespace qscd::hsm::provider {

inline constexpr const char* name = "qscd-pkcs11";

// OpenSSL's idea of our key. Without a signer it is a public key only, imported to be compared.
// The public key belongs to the default provider, which answers all questions about it.
struct KeyData {
    bool elliptic = false;
    EvpPkey public_key;
    std::shared_ptr<const ProviderKey> signer;
};
using SharedKey = std::shared_ptr<KeyData>;  // behind OpenSSL's void*: a signature context outlives its EVP_PKEY

// The parameter of EVP_PKEY_fromdata that brings a token key in; borrowed for the call.
inline constexpr const char* handover_parameter = "qscd-key";
struct Handover {
    std::shared_ptr<const ProviderKey> signer;
    EVP_PKEY* public_key;
};

const OSSL_DISPATCH* rsa_key_management();
const OSSL_DISPATCH* ec_key_management();
const OSSL_DISPATCH* signatures();  // RSA and ECDSA: the key decides

// Keeps the error for signing(), puts it on OpenSSL's queue, and answers OpenSSL's 0.
int refuse(Error error);
void forget_error();

// The compiler checks the function against the type that OpenSSL gives its identity.
template <class Function>
OSSL_DISPATCH entry(int identity, std::type_identity_t<Function>* function) {
    return {identity, reinterpret_cast<void (*)()>(function)};
}

}  // namespace qscd::hsm::provider
