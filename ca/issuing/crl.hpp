// Revocation lists: version 2, with authorityKeyIdentifier and CRLNumber, the list itself absent while it is empty.
// [RFC 5280, 5] [EN 319 411-1, CSS-6.3.9] Thread rules: pure functions.
#pragma once

#include "base/clock.hpp"
#include "base/openssl.hpp"

namespace qscd::ca {

inline constexpr std::chrono::hours crl_interval{24}, crl_validity{72};  // of an issuing CA
inline constexpr std::chrono::hours root_crl_validity{365 * 24};         // at most a year [EN 319 411-1, CSS-6.3.9-12]

struct RevocationList {
    const X509& issuer;
    std::uint64_t number;  // strictly larger than every one before
    TimePoint this_update, next_update;
};

// DER, signed by the issuer's key; parsed back and verified with the issuer's certificate before it is given out.
Result<Bytes> sign_crl(const RevocationList& list, EVP_PKEY& key);

// Strict: the whole input is one CRL.
Result<X509Revocations> crl_from_der(ByteView der);

}  // namespace qscd::ca
