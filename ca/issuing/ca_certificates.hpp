// The certificates of our own authorities, made once by `qscd init`: a root and, under it, one issuing CA for LCP and
// one for qualified certificates. [EN 319 412-3] [RFC 5280] [certificate profile, section 4]
// Thread rules: pure functions.
#pragma once

#include <array>

#include "base/clock.hpp"
#include "base/openssl.hpp"

namespace qscd::ca {

// An issuing CA: its name in URLs and in the register, and the label of its key in the token qscd-ca.
struct Authority {
    std::string_view name, key_label;
    bool qualified;  // issues the qualified types, and no other
};
inline constexpr std::array authorities{
    Authority{"lcp", "issuing-lcp", false},
    Authority{"qualified", "issuing-qualified", true},
};
constexpr const Authority& authority_for(bool qualified) { return authorities[qualified ? 1 : 0]; }
inline constexpr std::string_view root_name = "root";       // in URLs
inline constexpr std::string_view root_key_label = "root";  // in the token qscd-root
inline constexpr int root_years = 25, issuing_years = 12;

// An authority is a legal person: country, organisation and common name, one of each. A trial says TEST in the common
// name.
struct AuthorityName {
    std::string country, organisation, common_name;
};

// DER. `public_key` is the SubjectPublicKeyInfo of the certified key; `key` signs: the same key for the root, the
// root's for an issuing CA. What was signed is parsed back and verified. Errors: parameter_invalid for a name that
// cannot be, access_denied for an issuing CA that would outlive its root, the key's own.
Result<Bytes> root_certificate(const AuthorityName& name, ByteView public_key, EVP_PKEY& key, TimePoint now);
Result<Bytes> issuing_certificate(const AuthorityName& name, ByteView public_key, const X509& root, EVP_PKEY& root_key,
                                  TimePoint now, std::string_view public_base);

}  // namespace qscd::ca
