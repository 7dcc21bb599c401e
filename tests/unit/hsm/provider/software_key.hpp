// A key in memory that plays the token: what the provider signs with it, the default provider must verify.
#pragma once

#include <string>
#include <vector>

#include "hsm/provider/provider.hpp"

namespace qscd::hsm {

// One key pair a kind for the whole run: making RSA keys takes seconds.
EVP_PKEY& software_key(KeyKind kind);
ProviderKey provider_key(KeyKind kind);
EvpPkey token_key(KeyKind kind);
EvpPkey token_key_that_fails_with(KeyKind kind, Error error);
EvpPkey public_key(KeyKind kind);  // of the default provider, as read from a certificate

struct Variant {
    KeyKind kind;
    Scheme scheme;
    const char* name;
};
inline const std::vector<Variant> variants{
    {KeyKind::p256, Scheme::ecdsa, "P256"},
    {KeyKind::p384, Scheme::ecdsa, "P384"},
    {KeyKind::rsa3072, Scheme::rsa_pkcs1, "Rsa3072Pkcs1"},
    {KeyKind::rsa3072, Scheme::rsa_pss, "Rsa3072Pss"},
};

}  // namespace qscd::hsm
