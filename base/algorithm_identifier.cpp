#include "base/algorithm_identifier.hpp"

#include <openssl/asn1.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "base/openssl.hpp"

namespace qscd {
namespace {

using Algorithm = std::unique_ptr<X509_ALGOR, FreeWith<X509_ALGOR_free>>;
using PssParameters = std::unique_ptr<RSA_PSS_PARAMS, FreeWith<RSA_PSS_PARAMS_free>>;

struct Row {
    HashAlgorithm hash;
    int hash_nid, ecdsa_nid, rsa_nid;
};
constexpr std::array rows{
    Row{HashAlgorithm::sha256, NID_sha256, NID_ecdsa_with_SHA256, NID_sha256WithRSAEncryption},
    Row{HashAlgorithm::sha384, NID_sha384, NID_ecdsa_with_SHA384, NID_sha384WithRSAEncryption},
    Row{HashAlgorithm::sha512, NID_sha512, NID_ecdsa_with_SHA512, NID_sha512WithRSAEncryption},
};

Algorithm algorithm(int nid, int type, void* value = nullptr) {
    Algorithm out{X509_ALGOR_new()};
    if (out) X509_ALGOR_set0(out.get(), OBJ_nid2obj(nid), type, value);
    return out;
}

Algorithm pss(const Row& row) {
    PssParameters out{RSA_PSS_PARAMS_new()};
    if (!out) return nullptr;
    out->hashAlgorithm = algorithm(row.hash_nid, V_ASN1_NULL).release();
    out->maskGenAlgorithm = algorithm(NID_mgf1, V_ASN1_SEQUENCE,
                                      ASN1_item_pack(out->hashAlgorithm, ASN1_ITEM_rptr(X509_ALGOR), nullptr))
                                .release();
    out->saltLength = ASN1_INTEGER_new();
    ASN1_INTEGER_set(out->saltLength, static_cast<long>(size_of(row.hash)));
    return algorithm(NID_rsassaPss, V_ASN1_SEQUENCE,
                     ASN1_item_pack(out.get(), ASN1_ITEM_rptr(RSA_PSS_PARAMS), nullptr));
}

Algorithm identifier(Scheme scheme, const Row& row) {
    switch (scheme) {
        case Scheme::ecdsa: return algorithm(row.ecdsa_nid, V_ASN1_UNDEF);
        case Scheme::rsa_pkcs1: return algorithm(row.rsa_nid, V_ASN1_NULL);
        case Scheme::rsa_pss: return pss(row);
    }
    return nullptr;
}

}  // namespace

Bytes algorithm_identifier(Scheme scheme, HashAlgorithm hash) {
    const auto out = identifier(scheme, rows[static_cast<std::size_t>(hash) - 1]);
    return out ? der_of(*out, i2d_X509_ALGOR) : Bytes{};
}

}  // namespace qscd
