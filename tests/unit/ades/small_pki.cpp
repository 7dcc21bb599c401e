#include "small_pki.hpp"

#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include "ades/hash_identifier.hpp"

namespace qscd::ades {

EvpPkey generate(KeyKind kind) {
    const auto& row = row_of(kind);
    if (row.elliptic) return EvpPkey{EVP_EC_gen(row.group.data())};
    static const EvpPkey rsa{EVP_RSA_gen(3072)};  // one for the run: making it takes seconds
    EVP_PKEY_up_ref(rsa.get());
    return EvpPkey{rsa.get()};
}

Identity issue(const Wish& wish, EvpPkey key, const Identity* issuer) {
    X509Cert out{X509_new()};
    X509_set_version(out.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(out.get()), wish.serial);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "C", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>("CZ"), -1, -1, 0);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(out.get(), X509_get_subject_name(issuer != nullptr ? issuer->certificate.get() : out.get()));
    ASN1_TIME_set(X509_getm_notBefore(out.get()), unix_seconds(wish.from));
    ASN1_TIME_set(X509_getm_notAfter(out.get()), unix_seconds(wish.until));
    X509_set_pubkey(out.get(), key.get());
    for (const auto& [nid, value] :
         {std::pair{NID_basic_constraints, wish.authority ? "critical,CA:TRUE" : "critical,CA:FALSE"},
          std::pair{NID_key_usage, wish.key_usage}}) {
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
        X509_add_ext(out.get(), extension, -1);
        X509_EXTENSION_free(extension);
    }
    EXPECT_GT(X509_sign(out.get(), issuer != nullptr ? issuer->key.get() : key.get(), EVP_sha256()), 0);
    return {std::move(key), certificate_from_der(der_of(*out, i2d_X509)).value()};
}

Bytes sign_hash(EVP_PKEY& key, Scheme scheme, const DtbsR& hash) {
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(&key, nullptr)};
    EVP_PKEY_sign_init(context.get());
    EVP_PKEY_CTX_set_signature_md(context.get(), EVP_get_digestbynid(nid_of(hash.algorithm())));
    if (scheme == Scheme::rsa_pss) {
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST);
    }
    Bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(&key)));
    auto size = out.size();
    EXPECT_EQ(EVP_PKEY_sign(context.get(), out.data(), &size, hash.bytes().data(), hash.bytes().size()), 1);
    out.resize(size);
    return out;
}

}  // namespace qscd::ades
