// Ends a credential for good: its record says first that its key is to go, then the key is destroyed in its token and
// searched for, and only then the record says destroyed. What comes in between is finished by the roll call. [QSCD-12]
// Thread rules: called inside a step of the core; the token works on the shard's own thread.
#pragma once

#include "protocol/sam.pb.h"
#include "qscd/sam/sam.hpp"

namespace qscd::sam {

class Destruction {
public:
    explicit Destruction(const Sam& sam) : sam_(sam) {}
    // Answers once the key is gone and that is durable; a repeat answers the same. Errc::parameter_invalid: no credential
    // that ever was active. Errc::token_away: it signs no more, and its key goes when the token is back.
    void destroy(Ledger& ledger, const std::string& actor, const CredentialId& id, const std::string& reason,
                 const Reply<pb::Done>& reply);

private:
    const Sam& sam_;
};

}  // namespace qscd::sam
