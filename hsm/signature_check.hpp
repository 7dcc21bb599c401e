// Whether a signature as Token::sign answers it belongs to a public key. Thread rules: pure function.
#pragma once

#include <openssl/types.h>

#include "base/digest.hpp"
#include "base/key_kind.hpp"

namespace qscd::hsm {

// ECDSA in DER; PSS with MGF1 over the same hash and a salt as long as the hash.
bool verifies(EVP_PKEY& public_key, Scheme scheme, const DtbsR& dtbsr, ByteView signature);

}  // namespace qscd::hsm
