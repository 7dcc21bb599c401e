// What a KeyProof says about where its key lives, judged against the module registry. [QSCD-01] [QSCD-02] [QSCD-03]
// Thread rules: pure functions.
#pragma once

#include "hsm/deployed/attested.hpp"
#include "protocol/papers.hpp"

namespace qscd::ca {

// What the SAM attests beside the key's CKA_… attributes: what it found when it made the key. A registry entry that is no
// trial needs all four; a trial entry compares those that are there.
using hsm::attested_configuration, hsm::attested_firmware, hsm::attested_model, hsm::attested_sam_build;

// CKA_TOKEN, CKA_PRIVATE, CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE and CKA_LOCAL "true",
// CKA_EXTRACTABLE, CKA_MODIFIABLE, CKA_DECRYPT, CKA_UNWRAP and CKA_DERIVE "false", each once. Errc::paper_refused names
// the attribute.
Result<void> check_attributes(const protocol::KeyProof& proof);

// The public key is of the kind the paper names, in its one canonical encoding, and strong [QSCD-10].
// Errc::paper_refused.
Result<void> check_public_key(const protocol::KeyProof& proof);

// Whether QcSSCD may be said of this key. Errc::access_denied otherwise.
Result<void> check_counts_as_qscd(const protocol::KeyProof& proof, const policy::ModuleRegistry& registry,
                                  TimePoint now, bool issuer_says_test);

}  // namespace qscd::ca
