// The hashes of a SignerInfo, as DER and as OpenSSL numbers them. Thread rules: pure.
#pragma once

#include <optional>

#include "base/digest.hpp"

namespace qscd::ades {

Bytes hash_identifier(HashAlgorithm hash);  // an AlgorithmIdentifier without parameters [RFC 5754, 2]
// The hash that OpenSSL knows by this number, if it is one of ours.
std::optional<HashAlgorithm> hash_numbered(int nid);
int nid_of(HashAlgorithm hash);

}  // namespace qscd::ades
