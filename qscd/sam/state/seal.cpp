#include "qscd/sam/state/seal.hpp"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/openssl.hpp"
#include "base/random.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t nonce_size = 12, tag_size = 16;

void append(Bytes& out, std::uint64_t number) {
    for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(number >> shift));
}

SecretBytes key_of(const SealContext& context, const CellName& name) {
    Bytes info{context.genesis.bytes().begin(), context.genesis.bytes().end()};
    append(info, context.epoch);
    info.insert(info.end(), name.id.begin(), name.id.end());
    std::array<std::uint8_t, 32> key;
    const std::unique_ptr<EVP_KDF, FreeWith<EVP_KDF_free>> kdf{EVP_KDF_fetch(nullptr, "HKDF", nullptr)};
    const std::unique_ptr<EVP_KDF_CTX, FreeWith<EVP_KDF_CTX_free>> derive{EVP_KDF_CTX_new(kdf.get())};
    char sha[] = "SHA256";
    const auto secret = context.data_key.reveal();
    const std::array parameters{
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, sha, 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::uint8_t*>(secret.data()), secret.size()),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()), OSSL_PARAM_construct_end()};
    if (EVP_KDF_derive(derive.get(), key.data(), key.size(), parameters.data()) != 1) std::abort();
    SecretBytes out{ByteView{key}};
    ::explicit_bzero(key.data(), key.size());
    return out;
}

Bytes associated_data(const SealContext& context, const CellName& name) {
    Bytes out{context.genesis.bytes().begin(), context.genesis.bytes().end()};
    out.push_back(static_cast<std::uint8_t>(name.kind));
    out.insert(out.end(), name.id.begin(), name.id.end());
    append(out, name.version);
    append(out, name.index);
    return out;
}

}  // namespace

Bytes seal(const SealContext& context, const CellName& name, ByteView plain) {
    Bytes out(nonce_size + plain.size() + tag_size);
    fill_random(std::span{out}.first(nonce_size));
    const auto key = key_of(context, name);
    const auto associated = associated_data(context, name);
    const EvpCipherCtx cipher{EVP_CIPHER_CTX_new()};
    int size = 0;
    const bool good =
        EVP_EncryptInit_ex2(cipher.get(), EVP_aes_256_gcm(), key.reveal().data(), out.data(), nullptr) == 1 &&
        EVP_EncryptUpdate(cipher.get(), nullptr, &size, associated.data(), static_cast<int>(associated.size())) == 1 &&
        EVP_EncryptUpdate(cipher.get(), out.data() + nonce_size, &size, plain.data(), static_cast<int>(plain.size())) ==
            1 &&
        EVP_EncryptFinal_ex(cipher.get(), out.data() + nonce_size + plain.size(), &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, tag_size, out.data() + nonce_size + plain.size()) == 1;
    if (!good) std::abort();
    return out;
}

Result<SecretBytes> unseal(const SealContext& context, const CellName& name, ByteView sealed) {
    if (sealed.size() < nonce_size + tag_size) return Error{Errc::internal, "a sealed cell is too short"};
    const auto cipher_text = sealed.subspan(nonce_size, sealed.size() - nonce_size - tag_size);
    const auto tag = sealed.last(tag_size);
    const auto key = key_of(context, name);
    const auto associated = associated_data(context, name);
    const EvpCipherCtx cipher{EVP_CIPHER_CTX_new()};
    Bytes plain(cipher_text.size());
    int size = 0;
    const bool good =
        EVP_DecryptInit_ex2(cipher.get(), EVP_aes_256_gcm(), key.reveal().data(), sealed.data(), nullptr) == 1 &&
        EVP_DecryptUpdate(cipher.get(), nullptr, &size, associated.data(), static_cast<int>(associated.size())) == 1 &&
        EVP_DecryptUpdate(cipher.get(), plain.data(), &size, cipher_text.data(),
                          static_cast<int>(cipher_text.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, tag_size, const_cast<std::uint8_t*>(tag.data())) == 1 &&
        EVP_DecryptFinal_ex(cipher.get(), plain.data() + plain.size(), &size) == 1;
    SecretBytes out{ByteView{plain}};
    wipe(plain);
    if (!good) return Error{Errc::internal, "a cell does not unseal under its own name"};
    return out;
}

}  // namespace qscd::sam
