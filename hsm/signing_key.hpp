// What signs for one authorised request, wherever the key lives: whoever signs does not ask. [pkcs11-and-hsm, section 1]
// Thread rules: safe to share; not on a Token's own threads. The token must outlive the key.
#pragma once

#include "hsm/token.hpp"

namespace qscd::hsm {

class SigningKey {
public:
    using Done = std::function<void(std::vector<Token::Outcome>)>;
    virtual ~SigningKey() = default;
    // As Token::sign_all: in turn on one session, up to the first failure; `done` runs on one of the token's threads.
    virtual void sign_all(Scheme scheme, std::vector<DtbsR> hashes, Done done) = 0;
};

// A key in the token.
std::shared_ptr<SigningKey> resident_key(Token& token, const CkaId& id);

}  // namespace qscd::hsm
