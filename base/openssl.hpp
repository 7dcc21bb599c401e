// C handles of OpenSSL, one line a type; no wrapper class until it adds meaning. Functions borrow EVP_PKEY&, return owners.
#pragma once

#include <memory>
#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace qscd {

template <auto Free>
struct FreeWith {
    void operator()(auto* p) const noexcept { Free(p); }
};
using EvpPkey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using EvpPkeyCtx = std::unique_ptr<EVP_PKEY_CTX, FreeWith<EVP_PKEY_CTX_free>>;
using EvpMdCtx = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using EvpCipherCtx = std::unique_ptr<EVP_CIPHER_CTX, FreeWith<EVP_CIPHER_CTX_free>>;
using X509Cert = std::unique_ptr<X509, FreeWith<X509_free>>;
using X509Revocations = std::unique_ptr<X509_CRL, FreeWith<X509_CRL_free>>;
using X509NamePtr = std::unique_ptr<X509_NAME, FreeWith<X509_NAME_free>>;
using BioPtr = std::unique_ptr<BIO, FreeWith<BIO_free_all>>;
using BigNum = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using CmsContentInfo = std::unique_ptr<CMS_ContentInfo, FreeWith<CMS_ContentInfo_free>>;
using SslContext = std::unique_ptr<SSL_CTX, FreeWith<SSL_CTX_free>>;
using SslConnection = std::unique_ptr<SSL, FreeWith<SSL_free>>;

// The oldest entry of this thread's OpenSSL error queue as text; empties the queue.
std::string openssl_reason();

// i2d_…() into Bytes: der_of(*certificate, i2d_X509).
template <class T, class Encode>
Bytes der_of(const T& object, Encode encode) {
    std::uint8_t* out = nullptr;
    const int size = encode(const_cast<T*>(&object), &out);
    if (size < 0) return {};
    Bytes der(out, out + size);
    OPENSSL_free(out);
    return der;
}

// Strict: the whole input is one object, nothing behind it.
Result<X509Cert> certificate_from_der(ByteView der);
Result<X509Cert> certificate_from_pem(std::string_view pem);  // the first one in the text
Result<EvpPkey> public_key_from_der(ByteView spki);           // SubjectPublicKeyInfo
Result<EvpPkey> public_key_from_pem(std::string_view pem);
Result<EvpPkey> private_key_from_pem(std::string_view pem);  // for keys that live in files: TLS, officers of a trial
std::string pem_of(const X509& certificate);
std::string pem_of_public(const EVP_PKEY& key);
std::string pem_of_private(const EVP_PKEY& key);

// A fresh P-256 key in memory; for keys that do not belong in a token (TLS, officers of a trial, tests).
EvpPkey generate_p256();

// Signature over `message` with the key's own hash: SHA-256 for P-256 and RSA, SHA-384 for P-384. ECDSA in DER.
Result<Bytes> sign_message(EVP_PKEY& key, ByteView message);
bool verify_message(EVP_PKEY& key, ByteView message, ByteView signature);

}  // namespace qscd
