// signAlgo, hashAlgorithmOID and signAlgoParams: which OID means which scheme with which hash
// [CSC API v2.0.0.2, 11.10] [RFC 8017, A.2] [RFC 5758, 3.2]. Thread rules: pure functions.
#pragma once

#include <array>

#include "base/digest.hpp"
#include "base/json/object.hpp"
#include "base/key_kind.hpp"

namespace qscd::gateway {

struct SignAlgorithm {
    std::string_view oid;
    Scheme scheme;
    std::optional<HashAlgorithm> hash;  // implied; otherwise hashAlgorithmOID says it, for PSS its parameters
};
inline constexpr std::array sign_algorithms{
    SignAlgorithm{"1.2.840.10045.2.1", Scheme::ecdsa, {}},
    SignAlgorithm{"1.2.840.10045.4.3.2", Scheme::ecdsa, HashAlgorithm::sha256},
    SignAlgorithm{"1.2.840.10045.4.3.3", Scheme::ecdsa, HashAlgorithm::sha384},
    SignAlgorithm{"1.2.840.10045.4.3.4", Scheme::ecdsa, HashAlgorithm::sha512},
    SignAlgorithm{"1.2.840.113549.1.1.1", Scheme::rsa_pkcs1, {}},
    SignAlgorithm{"1.2.840.113549.1.1.11", Scheme::rsa_pkcs1, HashAlgorithm::sha256},
    SignAlgorithm{"1.2.840.113549.1.1.12", Scheme::rsa_pkcs1, HashAlgorithm::sha384},
    SignAlgorithm{"1.2.840.113549.1.1.13", Scheme::rsa_pkcs1, HashAlgorithm::sha512},
    SignAlgorithm{"1.2.840.113549.1.1.10", Scheme::rsa_pss, {}},
};

// RSASSA-PSS-params with this hash, MGF1 over the same hash, and a salt as long as the digest, in DER.
Bytes pss_parameters(HashAlgorithm hash);
// The hash of such parameters; nothing when they say anything else.
std::optional<HashAlgorithm> hash_of_pss(ByteView der);

// Errc::parameter_missing or Errc::parameter_invalid for hashAlgorithmOID.
Result<HashAlgorithm> hash_algorithm_in(const json::Object& body);

struct SigningWay {
    Scheme scheme;
    HashAlgorithm hash;
};
// Reads signAlgo, hashAlgorithmOID and signAlgoParams for a key of this kind. hashAlgorithmOID is ignored where
// signAlgo implies the hash.
Result<SigningWay> signing_way_in(const json::Object& body, KeyKind key);

}  // namespace qscd::gateway
