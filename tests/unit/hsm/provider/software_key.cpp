#include "software_key.hpp"

#include <map>
#include <mutex>
#include <openssl/rsa.h>

namespace qscd::hsm {
namespace {

EvpPkey generate(KeyKind kind) {
    const auto& row = row_of(kind);
    return EvpPkey{row.elliptic ? EVP_EC_gen(row.group.data()) : EVP_RSA_gen(row.bits)};
}

const EVP_MD* implementation_of(HashAlgorithm algorithm) {
    return EVP_get_digestbyname(row_of(algorithm).name == "SHA-256"   ? "SHA256"
                                : row_of(algorithm).name == "SHA-384" ? "SHA384"
                                                                      : "SHA512");
}

Result<Bytes> sign_in_memory(EVP_PKEY& key, Scheme scheme, const DtbsR& digest) {
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(&key, nullptr)};
    EVP_PKEY_sign_init(context.get());
    EVP_PKEY_CTX_set_signature_md(context.get(), implementation_of(digest.algorithm()));
    if (scheme != Scheme::ecdsa)
        EVP_PKEY_CTX_set_rsa_padding(context.get(),
                                     scheme == Scheme::rsa_pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING);
    if (scheme == Scheme::rsa_pss) EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST);
    Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(&key)));
    auto size = out.size();
    if (EVP_PKEY_sign(context.get(), out.data(), &size, digest.bytes().data(), digest.bytes().size()) != 1)
        return Error{Errc::internal, openssl_reason()};
    out.resize(size);
    return out;
}

}  // namespace

EVP_PKEY& software_key(KeyKind kind) {
    static std::mutex mutex;
    static std::map<KeyKind, EvpPkey> keys;
    const std::scoped_lock lock{mutex};
    auto& key = keys[kind];
    if (!key) key = generate(kind);
    return *key;
}

ProviderKey provider_key(KeyKind kind) {
    auto& key = software_key(kind);
    return {kind, der_of(key, i2d_PUBKEY),
            [&key](Scheme scheme, const DtbsR& digest) { return sign_in_memory(key, scheme, digest); }};
}

EvpPkey token_key(KeyKind kind) {
    return make_evp_pkey(std::make_shared<const ProviderKey>(provider_key(kind))).value();
}

EvpPkey token_key_that_fails_with(KeyKind kind, Error error) {
    auto key = provider_key(kind);
    key.sign = [error](Scheme, const DtbsR&) -> Result<Bytes> { return error; };
    return make_evp_pkey(std::make_shared<const ProviderKey>(std::move(key))).value();
}

EvpPkey public_key(KeyKind kind) { return public_key_from_der(provider_key(kind).spki).value(); }

}  // namespace qscd::hsm
