// What a KeyProof says about where its key lives, judged against the module registry. [QSCD-01] [QSCD-02] [QSCD-03]
// Thread rules: pure functions.
#pragma once

#include "policy/module_registry.hpp"
#include "protocol/papers.hpp"

namespace qscd::ca {

// Names of what the SAM may attest beside the key's CKA_… attributes: what it found when it made the key. A registry
// entry that is no trial needs all four; a trial entry compares those that are there.
inline constexpr std::string_view attested_model = "module.model", attested_firmware = "module.firmware",
                                  attested_configuration = "module.configuration",  // 64 hex digits
    attested_sam_build = "sam.build";                                               // 64 hex digits

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

// "TEST" stands in the subject's common name.
bool says_test(const X509& authority);

}  // namespace qscd::ca
