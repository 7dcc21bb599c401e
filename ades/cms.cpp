#include "ades/cms.hpp"

#include <openssl/err.h>

#include "ades/hash_identifier.hpp"

namespace qscd::ades {
namespace {

int number_of(const X509_ALGOR& algorithm) {
    const ASN1_OBJECT* object = nullptr;
    X509_ALGOR_get0(&object, nullptr, nullptr, &algorithm);
    return OBJ_obj2nid(object);
}

// OpenSSL's numbers of hash and key in a signature algorithm. RSASSA-PSS and rsaEncryption name no hash.
bool fits_key_and_hash(int algorithm, int key, HashAlgorithm hash) {
    if (key == EVP_PKEY_RSA && (algorithm == NID_rsaEncryption || algorithm == NID_rsassaPss)) return true;
    int named_hash = 0, named_key = 0;
    return OBJ_find_sigid_algs(algorithm, &named_hash, &named_key) == 1 && named_key == key &&
           named_hash == nid_of(hash);
}

}  // namespace

Result<CmsContentInfo> cms_from_der(ByteView der) {
    const auto* at = der.data();
    CmsContentInfo out{d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(der.size()))};
    ERR_clear_error();
    if (!out || at != der.data() + der.size()) return Error{Errc::paper_refused, "not a CMS object in DER"};
    if (OBJ_obj2nid(CMS_get0_type(out.get())) != NID_pkcs7_signed)
        return Error{Errc::paper_refused, "a CMS object, but not a signature"};
    return out;
}

Result<CMS_SignerInfo*> only_signer(CMS_ContentInfo& cms) {
    auto* signers = CMS_get0_SignerInfos(&cms);
    if (signers == nullptr || sk_CMS_SignerInfo_num(signers) != 1)
        return Error{Errc::paper_refused, "not exactly one signer"};
    return sk_CMS_SignerInfo_value(signers, 0);
}

Result<HashAlgorithm> hash_of(CMS_SignerInfo& signer) {
    X509_ALGOR* algorithm = nullptr;
    CMS_SignerInfo_get0_algs(&signer, nullptr, nullptr, &algorithm, nullptr);
    const auto hash = hash_numbered(number_of(*algorithm));
    if (!hash) return Error{Errc::paper_refused, "a hash other than SHA-256, SHA-384 and SHA-512"};
    return *hash;
}

Result<void> check_signature_algorithm(CMS_SignerInfo& signer, X509& certificate) {
    QSCD_TRY(const auto hash, hash_of(signer));
    X509_ALGOR* algorithm = nullptr;
    CMS_SignerInfo_get0_algs(&signer, nullptr, nullptr, nullptr, &algorithm);
    const auto* key = X509_get0_pubkey(&certificate);
    if (key == nullptr || !fits_key_and_hash(number_of(*algorithm), EVP_PKEY_get_base_id(key), hash))
        return Error{Errc::paper_refused, "the signature algorithm does not fit the signer's key and hash"};
    return success();
}

std::string reasons() {
    std::string out;
    const char* data = nullptr;
    int flags = 0;
    while (const auto code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
        const char* reason = ERR_reason_error_string(code);
        std::string text = reason != nullptr ? reason : "unknown reason";
        if ((flags & ERR_TXT_STRING) != 0 && *data != '\0') text += std::string{" ("} + data + ")";
        if (!out.empty()) text.append(", ").append(out);
        out = std::move(text);
    }
    return out.empty() ? "no reason given" : out;
}

}  // namespace qscd::ades
