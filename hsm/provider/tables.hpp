// Inside of the provider: what its key management, its signatures and its loading share. Not a public header.
#pragma once

#include <openssl/core_dispatch.h>

#include "hsm/provider/provider.hpp"

namespace qscd::hsm::provider {

inline constexpr const char* name = "qscd-pkcs11";

// Where a loaded provider finds the default one, which hashes and answers for public keys. Built in: OpenSSL's default
// context, which the process prepared. As a module in somebody else's process: a context of its own.
struct Surroundings {
    OSSL_LIB_CTX* library = nullptr;
    bool takes_handover = true;  // from make_evp_pkey, which is in the same binary only when the provider is built in
};
inline constexpr const char* default_provider = "provider=default";

// OpenSSL's idea of our key. Without a signer it is a public key only, imported to be compared.
// The public key belongs to the default provider, which answers all questions about it.
struct KeyData {
    const Surroundings* surroundings = nullptr;
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

// The reference that a store's loader brings to KEYMGMT LOAD: whoever takes the key leaves nullptr behind.
struct KeyReference {
    SharedKey* key;
};

// The algorithms of this room for `operation`, or nullptr: the same built in and as a module.
const OSSL_ALGORITHM* algorithms(int operation);

const OSSL_DISPATCH* rsa_key_management();
const OSSL_DISPATCH* ec_key_management();
const OSSL_DISPATCH* signatures();  // RSA and ECDSA: the key decides

// Names this provider in OpenSSL's error texts.
void name_errors();

// Which of our kinds a public key is; none for a curve or a length that we do not use.
std::optional<KeyKind> kind_of(const EVP_PKEY& public_key);

// Keeps the error for signing(), puts it on OpenSSL's queue, and answers OpenSSL's 0.
int refuse(Error error);
void forget_error();

// The compiler checks the function against the type that OpenSSL gives its identity.
template <class Function>
OSSL_DISPATCH entry(int identity, std::type_identity_t<Function>* function) {
    return {identity, reinterpret_cast<void (*)()>(function)};
}

}  // namespace qscd::hsm::provider
