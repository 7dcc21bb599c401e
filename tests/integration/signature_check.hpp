// Whether a signature is one, by OpenSSL alone. Thread rules: pure function.
#pragma once

#include "base/digest.hpp"
#include "base/key_kind.hpp"
#include "base/openssl.hpp"

namespace qscd::integration {

// Over a hash that was made by `algorithm`. For PSS the salt must be as long as the hash.
bool is_signature(const X509& certificate, Scheme scheme, HashAlgorithm algorithm, ByteView hash, ByteView signature);

}  // namespace qscd::integration
