// What a token can do, found out by trying, so that nothing branches on a vendor's name: unfit tokens are refused loudly
// at start, and a person sees the list by `qscd hsm probe`. [QSCD-29] [pkcs11-and-hsm, section 7]
//
// Names of findings, stable, in this order (docs/hsm/probe.md explains them to people):
//   of the token       login-required  sessions  mechanism-list
//   named mechanisms   ec-key-pairs  ecdsa  secret-keys  hmac  rsa-key-pairs  rsa-pkcs1  rsa-pss  ecdh  aes-keys
//   keys               session-keys  p256-made  p384-made  rsa-made  ec-point  hmac-key-made  p256-signs  p384-signs
//                      rsa-pkcs1-signs  rsa-pss-signs  hmac-signs  parallel-sessions  ecdh-derives  session-copy
//   what is refused    values-hidden  copies-refused  copies-not-weaker  changes-refused  other-uses-refused
//                      allowed-mechanisms-kept  allowed-mechanisms-enforced  wrap-of-unextractable-refused
//   what is told       extractable-told  imported-told  generation-told
//   random, data       random  data-objects  labels-change
//   wrapped keys       kek-made  kek-only-wraps  unwrap-template-enforced  wrap-with-trusted-enforced
//                      wrap-kwp  wrap-key-wrap-pad  wrap-key-wrap  wrap-cbc-pad          (a P-256 key; it signs afterwards)
//                      wrap-rsa-kwp  wrap-rsa-key-wrap-pad  wrap-rsa-key-wrap  wrap-rsa-cbc-pad  (an RSA-3072 key)
//                      wraps-p256  wraps-rsa  tampered-blob-refused (by ProbeReport::wrap_mechanism)  unwrapped-told
//   last               begun-operations-end
//
// Thread rules: pure but for the token; not on the Token's own pool. Makes session objects only, and leaves none; on a
// module that makes no session keys the full probe makes token objects labelled "qscd-probe" and destroys them.
#pragma once

#include <optional>
#include <span>

#include "hsm/module.hpp"

namespace qscd::hsm {

class Session;
class Token;

// `start` is what costs little at each start of a daemon, some 50 ms on a software token: all but RSA keys where the
// module makes elliptic ones, and nothing that writes to the token. `full` is for people.
enum class Depth { start, full };

// What a token may be used for. Each asks for findings of its own.
enum class Use : unsigned {
    sam = 1,                // the SAM's own keys, heads and anchors
    service = 2,            // keys of the registration and certification authorities: P-256 and P-384
    elliptic_signers = 4,   // signers' resident P-256 and P-384 keys
    rsa_signers = 8,        // signers' resident RSA keys
    wrapped_elliptic = 16,  // signers' wrapped P-256 and P-384 keys [QSCD-30]
    wrapped_rsa = 32,       // signers' wrapped RSA keys
};
struct UseRow {
    Use use;
    std::string_view name, means;
};
std::span<const UseRow> use_rows();

struct Finding {
    std::string_view name;   // stable, see above
    std::string_view means;  // for people
    unsigned needed_by;      // sum of Use
    bool tried;              // false: not at this depth, or what it needs was not there
    bool found;
    std::string detail;  // what the module answered; empty when there is nothing to add
};

struct ProbeReport {
    TokenInfo token;
    std::string cryptoki, library;   // "2.40"; the library's description, maker and version
    std::vector<std::string> flags;  // of the token that are set: "login-required", …
    std::uint64_t sessions = 0;      // how many the module allows; 0: it names no limit
    Depth depth = Depth::full;
    std::vector<CK_MECHANISM_TYPE> mechanisms;  // by the second call of C_GetMechanismList
    std::vector<Finding> findings;
    // For wrapped keys: round trips, and refuses tampered blobs, where there is such a one; else round trips only. A blob
    // is for one module family: KEY_WRAP_PAD means different paddings on different modules.
    std::optional<CK_MECHANISM_TYPE> wrap_mechanism;

    const Finding* find(std::string_view name) const;
    bool has(std::string_view name) const;                   // tried and found
    std::vector<std::string_view> lacking(Use use) const;    // findings that this use needs and that were not found
    std::vector<std::string_view> unfit_for(Use use) const;  // those of them that were tried: reasons to refuse
    bool fit(Use use) const { return lacking(use).empty(); }
    bool fit() const;  // a whole deployment: the SAM, the services, and signers of one kind at least
};

// Errc::token_away. What the module cannot do is a finding, not an error.
Result<ProbeReport> probe(Token& token, Depth depth = Depth::full);

// The same on a session of the caller's, inside the module's gate. Private to the room.
Result<ProbeReport> probe_on(Session& session, Depth depth);

// A line a finding, and a line a use.
std::string describe(const ProbeReport& report);

}  // namespace qscd::hsm
