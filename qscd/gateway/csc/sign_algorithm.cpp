#include "qscd/gateway/csc/sign_algorithm.hpp"

#include <openssl/rsa.h>

#include "base/openssl.hpp"

namespace qscd::gateway {
namespace {

using PssParameters = std::unique_ptr<RSA_PSS_PARAMS, FreeWith<RSA_PSS_PARAMS_free>>;
using Algorithm = std::unique_ptr<X509_ALGOR, FreeWith<X509_ALGOR_free>>;

constexpr std::size_t longest_oid = 128, longest_parameters = 1024;

Error invalid(const char* name) { return {Errc::parameter_invalid, "", {"string", name}}; }

std::optional<HashAlgorithm> hash_named(std::string_view oid) {
    for (const auto& row : hash_rows)
        if (row.oid == oid) return row.algorithm;
    return std::nullopt;
}

std::optional<HashAlgorithm> hash_of(const X509_ALGOR* algorithm) {
    if (algorithm == nullptr) return std::nullopt;  // the default is SHA-1
    const ASN1_OBJECT* object = nullptr;
    int type = V_ASN1_UNDEF;
    X509_ALGOR_get0(&object, &type, nullptr, algorithm);
    if (type != V_ASN1_NULL && type != V_ASN1_UNDEF) return std::nullopt;
    std::array<char, longest_oid> oid{};
    const auto size = OBJ_obj2txt(oid.data(), static_cast<int>(oid.size()), object, 1);
    if (size <= 0 || static_cast<std::size_t>(size) >= oid.size()) return std::nullopt;
    return hash_named({oid.data(), static_cast<std::size_t>(size)});
}

std::optional<HashAlgorithm> hash_of_mask(const X509_ALGOR* mask) {
    if (mask == nullptr || OBJ_obj2nid(mask->algorithm) != NID_mgf1 || mask->parameter == nullptr) return std::nullopt;
    const Algorithm inner{
        static_cast<X509_ALGOR*>(ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), mask->parameter))};
    return hash_of(inner.get());
}

}  // namespace

Bytes pss_parameters(HashAlgorithm hash) {
    const Bytes algorithm{
        0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, static_cast<std::uint8_t>(hash),
        0x05, 0x00};
    const Bytes mask{0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08};
    const Bytes salt{0xa2, 0x03, 0x02, 0x01, static_cast<std::uint8_t>(size_of(hash))};
    Bytes out{0x30, 0x34, 0xa0, 0x0f};
    for (const auto* part : {&algorithm, &mask, &algorithm, &salt}) out.insert(out.end(), part->begin(), part->end());
    return out;
}

std::optional<HashAlgorithm> hash_of_pss(ByteView der) {
    const auto* at = der.data();
    const PssParameters parameters{d2i_RSA_PSS_PARAMS(nullptr, &at, static_cast<long>(der.size()))};
    if (!parameters) {
        openssl_reason();
        return std::nullopt;
    }
    if (!std::ranges::equal(der_of(*parameters, i2d_RSA_PSS_PARAMS), der)) return std::nullopt;
    const auto hash = hash_of(parameters->hashAlgorithm);
    if (!hash || hash_of_mask(parameters->maskGenAlgorithm) != hash) return std::nullopt;
    const auto salt = parameters->saltLength != nullptr ? ASN1_INTEGER_get(parameters->saltLength) : 20;
    if (salt != static_cast<long>(size_of(*hash))) return std::nullopt;
    if (parameters->trailerField != nullptr && ASN1_INTEGER_get(parameters->trailerField) != 1) return std::nullopt;
    return hash;
}

Result<HashAlgorithm> hash_algorithm_in(const json::Object& body) {
    QSCD_TRY(const auto oid, body.string("hashAlgorithmOID", longest_oid));
    const auto hash = hash_named(oid);
    if (!hash) return invalid("hashAlgorithmOID");
    return *hash;
}

Result<SigningWay> signing_way_in(const json::Object& body, KeyKind key) {
    QSCD_TRY(const auto oid, body.string("signAlgo", longest_oid));
    const auto row = std::ranges::find(sign_algorithms, std::string_view{oid}, &SignAlgorithm::oid);
    if (row == sign_algorithms.end() || !fits(row->scheme, key)) return invalid("signAlgo");
    if (row->hash) return SigningWay{row->scheme, *row->hash};
    if (row->scheme == Scheme::rsa_pss) {
        QSCD_TRY(const auto parameters, body.string("signAlgoParams", longest_parameters));
        const auto der = from_base64(parameters);
        const auto hash = der ? hash_of_pss(*der) : std::nullopt;
        if (!hash) return invalid("signAlgoParams");
        return SigningWay{row->scheme, *hash};
    }
    QSCD_TRY(const auto hash, hash_algorithm_in(body));
    return SigningWay{row->scheme, hash};
}

}  // namespace qscd::gateway
