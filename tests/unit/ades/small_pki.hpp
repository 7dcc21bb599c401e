// Root, issuing CA and signers in memory, for tests of signature formats.
#pragma once

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/key_kind.hpp"
#include "base/openssl.hpp"

namespace qscd::ades {

inline const TimePoint noon = from_unix(1795176000);  // 2026-11-20T12:00:00Z

EvpPkey generate(KeyKind kind);

struct Identity {
    EvpPkey key;
    X509Cert certificate;
    Bytes der() const { return der_of(*certificate, i2d_X509); }
};

struct Wish {
    std::string common_name;
    long serial = 1;
    bool authority = false;
    const char* key_usage = "critical,nonRepudiation";
    TimePoint from = noon - std::chrono::hours{24}, until = noon + std::chrono::hours{24};
};

// Without issuer: self-signed. The key may be shared with another identity.
Identity issue(const Wish& wish, EvpPkey key, const Identity* issuer = nullptr);

struct SmallPki {
    Identity root = issue({.common_name = "Root", .authority = true, .key_usage = "critical,keyCertSign"},
                          generate_p256());
    Identity ca = issue({.common_name = "Issuing CA", .authority = true, .key_usage = "critical,keyCertSign"},
                        generate_p256(), &root);
    Identity signer(KeyKind kind) const { return issue({.common_name = "Žofie Ångström"}, generate(kind), &ca); }
    std::vector<Bytes> chain(const Identity& signer) const { return {signer.der(), ca.der()}; }
};

// What a remote signing service does with a hash.
Bytes sign_hash(EVP_PKEY& key, Scheme scheme, const DtbsR& hash);

}  // namespace qscd::ades
