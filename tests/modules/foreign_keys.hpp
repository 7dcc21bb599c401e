// Keys as another program would make them in the token: only what a template must say, nothing read back. For modules
// whose keys Token refuses, so that finding, signing and destroying are tested on them all the same.
#pragma once

#include "base/identifier.hpp"
#include "base/key_kind.hpp"
#include "hsm/module.hpp"

namespace qscd::modules {

// The token must be logged in. Answers the public key, SubjectPublicKeyInfo in DER.
Result<Bytes> make_foreign_pair(hsm::Module& module, const std::string& token, KeyKind kind, const CkaId& id,
                                const std::string& label);
// 32 bytes for HMAC.
Result<void> make_foreign_hmac_key(hsm::Module& module, const std::string& token, const CkaId& id,
                                   const std::string& label);

}  // namespace qscd::modules
