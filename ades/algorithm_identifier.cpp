#include "ades/algorithm_identifier.hpp"

#include <openssl/objects.h>

#include "ades/der.hpp"

namespace qscd::ades {
namespace {

struct Row {
    HashAlgorithm hash;
    int nid, ecdsa_nid, rsa_nid;
};
constexpr std::array rows{
    Row{HashAlgorithm::sha256, NID_sha256, NID_ecdsa_with_SHA256, NID_sha256WithRSAEncryption},
    Row{HashAlgorithm::sha384, NID_sha384, NID_ecdsa_with_SHA384, NID_sha384WithRSAEncryption},
    Row{HashAlgorithm::sha512, NID_sha512, NID_ecdsa_with_SHA512, NID_sha512WithRSAEncryption},
};
const Row& row_for(HashAlgorithm hash) { return rows[static_cast<std::size_t>(hash) - 1]; }

const Bytes null{0x05, 0x00};

// RSASSA-PSS-params, each field under its explicit tag [RFC 4055, 3.1]; the trailer field stays at its default.
Bytes pss_parameters(const Row& row) {
    const auto hash = der::sequence({der::object(row.nid), null});
    const auto mask = der::sequence({der::object(NID_mgf1), hash});
    const auto salt = der::small_integer(static_cast<std::uint8_t>(size_of(row.hash)));
    return der::sequence(
        {der::element(der::context_0, hash), der::element(der::context_1, mask), der::element(der::context_2, salt)});
}

}  // namespace

Bytes hash_identifier(HashAlgorithm hash) { return der::sequence({der::object(row_for(hash).nid)}); }

std::optional<HashAlgorithm> hash_numbered(int nid) {
    for (const auto& row : rows)
        if (row.nid == nid) return row.hash;
    return std::nullopt;
}

int nid_of(HashAlgorithm hash) { return row_for(hash).nid; }

Bytes signature_identifier(Scheme scheme, HashAlgorithm hash) {
    const auto& row = row_for(hash);
    switch (scheme) {
        case Scheme::ecdsa: return der::sequence({der::object(row.ecdsa_nid)});
        case Scheme::rsa_pkcs1: return der::sequence({der::object(row.rsa_nid), null});
        case Scheme::rsa_pss: return der::sequence({der::object(NID_rsassaPss), pss_parameters(row)});
    }
    return {};
}

}  // namespace qscd::ades
