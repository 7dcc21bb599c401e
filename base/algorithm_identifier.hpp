// The DER AlgorithmIdentifier of a signature: what certificates, CRLs and OCSP answers carry. Thread rules: pure.
#pragma once

#include "base/digest.hpp"
#include "base/key_kind.hpp"

namespace qscd {

// ECDSA: no parameters [RFC 5758, 3.2]. PKCS#1 v1.5: NULL [RFC 4055, 5]. PSS: hash, MGF1 with it and salt as long as
// the hash, all written out, NULL inside the hash identifiers [RFC 4055, 3.1 and 6]. Empty when memory runs out.
Bytes algorithm_identifier(Scheme scheme, HashAlgorithm hash);

}  // namespace qscd
