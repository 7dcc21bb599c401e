// TBS bytes in, signed object out: certificates and CRLs have the same frame. [RFC 5280, 4.1 and 5.1]
// Thread rules: pure functions; the key's owner says whether it may sign on several threads.
#pragma once

#include "base/openssl.hpp"

namespace qscd::ca {

// What an issuer signs with, by its public key: ECDSA with the hash of the curve's length, RSA with SHA-384 [TS 119
// 312].
struct SignatureAlgorithm {
    Bytes identifier;  // AlgorithmIdentifier, DER: the same bytes inside the TBS and behind it
    const EVP_MD* hash;
};
// Errc::not_supported for any key but P-256, P-384 and RSA of 3072 bits or more.
Result<SignatureAlgorithm> signature_algorithm_of(const EVP_PKEY& public_key);

// SEQUENCE { tbs, algorithm, BIT STRING }. Errors are the key's own: token_away stays token_away.
Result<Bytes> sign_object(ByteView to_be_signed, const SignatureAlgorithm& algorithm, EVP_PKEY& key);

}  // namespace qscd::ca
