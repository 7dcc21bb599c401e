// Token keys as EVP_PKEY: the OpenSSL 3 provider `qscd-pkcs11`. Certificates, requests, CRLs, OCSP answers, CMS and
// time stamps come from OpenSSL's own encoders; only the signature over the digest is made elsewhere, by
// ProviderKey::sign.
//
// Such an EVP_PKEY signs with SHA-256, SHA-384 and SHA-512: ECDSA, RSA PKCS#1 v1.5, and RSASSA-PSS whose MGF1 hash is
// the digest's and whose salt is as long as the digest (also where no salt length is asked for); anything else is
// refused. It compares equal to the plain public key and has no private part to export. It verifies by the default
// provider; public_key_from_der(spki) does so without the detour. OpenSSL's time stamps (PKCS#7) cannot carry
// RSASSA-PSS.
//
// Thread rules: every function is safe from every thread; a key may sign on several threads at once if its `sign` may.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/digest.hpp"
#include "base/key_kind.hpp"
#include "base/openssl.hpp"

namespace qscd::hsm {

// What the provider needs of a private key that stays in a token.
struct ProviderKey {
    KeyKind kind;
    Bytes spki;  // SubjectPublicKeyInfo, DER
    // Signs a digest, on the thread that called OpenSSL. ECDSA answers DER Ecdsa-Sig-Value; RSA PKCS#1 v1.5 builds its
    // DigestInfo itself; PSS uses MGF1 with the same hash and a salt as long as the hash.
    std::function<Result<Bytes>(Scheme, const DtbsR&)> sign;
};

// Loads the provider into OpenSSL's default library context, once. A process that has threads calls it before they
// start: loading beside another thread's use of OpenSSL has been seen to leave public keys with the wrong provider.
Result<void> load_provider();

// Loads the provider at the first call. The EVP_PKEY and its copies share the
// ProviderKey. Errors: paper_refused for a malformed SubjectPublicKeyInfo, internal for one that is not of `kind`.
Result<EvpPkey> make_evp_pkey(std::shared_ptr<const ProviderKey> key);

// Runs one OpenSSL call that signs (X509_sign, CMS_sign, …; true means it succeeded) and, when it fails, answers what
// the key answered: `token_away` stays `token_away`. A failure of OpenSSL's own is `internal` with its reason.
//   QSCD_TRY(signing("X509_sign", [&] { return X509_sign(certificate.get(), key.get(), EVP_sha256()) > 0; }));
Result<void> signing(std::string_view call, const std::function<bool()>& run);

// Why the last signature on this thread failed; nothing once a later one succeeded, or when none was tried in
// signing().
std::optional<Error> last_signing_error();

}  // namespace qscd::hsm
