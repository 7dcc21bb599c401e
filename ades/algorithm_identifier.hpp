// The DER AlgorithmIdentifiers of a SignerInfo. Thread rules: pure.
#pragma once

#include <optional>

#include "base/digest.hpp"
#include "base/key_kind.hpp"

namespace qscd::ades {

Bytes hash_identifier(HashAlgorithm hash);  // no parameters [RFC 5754, 2]
// The hash that OpenSSL knows by this number, if it is one of ours.
std::optional<HashAlgorithm> hash_numbered(int nid);
int nid_of(HashAlgorithm hash);

// ECDSA: no parameters [RFC 5754, 3.3]. PKCS#1 v1.5: shaNNNWithRSAEncryption, NULL [RFC 5754, 3.2]. PSS: hash, MGF1
// with it and salt as long as the hash, all written out, NULL inside the hash identifiers [RFC 4056, 3] [RFC 4055, 6].
Bytes signature_identifier(Scheme scheme, HashAlgorithm hash);

}  // namespace qscd::ades
