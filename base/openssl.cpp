#include "base/openssl.hpp"

#include <array>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace qscd {
namespace {

std::string text_in(BIO& bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(&bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

BioPtr memory(std::string_view text) { return BioPtr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))}; }

const EVP_MD* hash_for(const EVP_PKEY& key) {
    return EVP_PKEY_get_id(&key) == EVP_PKEY_EC && EVP_PKEY_get_bits(&key) == 384 ? EVP_sha384() : EVP_sha256();
}

}  // namespace

std::string openssl_reason() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) return "no reason given";
    std::array<char, 200> text{};
    ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

Result<X509Cert> certificate_from_der(ByteView der) {
    const auto* at = der.data();
    X509Cert out{d2i_X509(nullptr, &at, static_cast<long>(der.size()))};
    if (!out || at != der.data() + der.size()) return Error{Errc::paper_refused, "not a certificate in DER"};
    return out;
}

Result<X509Cert> certificate_from_pem(std::string_view pem) {
    X509Cert out{PEM_read_bio_X509(memory(pem).get(), nullptr, nullptr, nullptr)};
    if (!out) return Error{Errc::configuration, "no certificate in PEM: " + openssl_reason()};
    return out;
}

Result<EvpPkey> public_key_from_der(ByteView spki) {
    const auto* at = spki.data();
    EvpPkey out{d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size()))};
    if (!out || at != spki.data() + spki.size()) return Error{Errc::paper_refused, "not a SubjectPublicKeyInfo"};
    return out;
}

Result<EvpPkey> public_key_from_pem(std::string_view pem) {
    EvpPkey out{PEM_read_bio_PUBKEY(memory(pem).get(), nullptr, nullptr, nullptr)};
    if (!out) return Error{Errc::configuration, "no public key in PEM: " + openssl_reason()};
    return out;
}

Result<EvpPkey> private_key_from_pem(std::string_view pem) {
    EvpPkey out{PEM_read_bio_PrivateKey(memory(pem).get(), nullptr, nullptr, nullptr)};
    if (!out) return Error{Errc::configuration, "no private key in PEM: " + openssl_reason()};
    return out;
}

std::string pem_of(const X509& certificate) {
    const BioPtr bio{BIO_new(BIO_s_mem())};
    PEM_write_bio_X509(bio.get(), &certificate);
    return text_in(*bio);
}

std::string pem_of_public(const EVP_PKEY& key) {
    const BioPtr bio{BIO_new(BIO_s_mem())};
    PEM_write_bio_PUBKEY(bio.get(), &key);
    return text_in(*bio);
}

std::string pem_of_private(const EVP_PKEY& key) {
    const BioPtr bio{BIO_new(BIO_s_mem())};
    PEM_write_bio_PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr);
    return text_in(*bio);
}

EvpPkey generate_p256() { return EvpPkey{EVP_EC_gen("P-256")}; }

Result<Bytes> sign_message(EVP_PKEY& key, ByteView message) {
    const EvpMdCtx context{EVP_MD_CTX_new()};
    std::size_t size = 0;
    if (EVP_DigestSignInit(context.get(), nullptr, hash_for(key), nullptr, &key) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
        return Error{Errc::internal, "EVP_DigestSign: " + openssl_reason()};
    Bytes signature(size);
    if (EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()) != 1)
        return Error{Errc::internal, "EVP_DigestSign: " + openssl_reason()};
    signature.resize(size);
    return signature;
}

bool verify_message(EVP_PKEY& key, ByteView message, ByteView signature) {
    const EvpMdCtx context{EVP_MD_CTX_new()};
    const bool good = EVP_DigestVerifyInit(context.get(), nullptr, hash_for(key), nullptr, &key) == 1 &&
                      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(),
                                       message.size()) == 1;
    if (!good) ERR_clear_error();
    return good;
}

}  // namespace qscd
