// Whether a certificate is the one that this credential waits for. [design 5: chain pinned, public key = proof,
// subject = Grant]. Pure functions.
#pragma once

#include "base/clock.hpp"
#include "protocol/papers.hpp"

namespace qscd::sam {

// The issuing CAs, each under the pinned root. A certificate of one kind by the other's issuer is no certificate of ours.
struct IssuingCas {
    X509Cert lcp, qualified;
    const X509& issuer_of(bool qualified_type) const { return qualified_type ? *qualified : *lcp; }
};

// The end of its validity. Errc::paper_refused: not issued by this issuer, another key, another subject, not valid now.
Result<TimePoint> certificate_fits(ByteView der, const X509& issuer, ByteView public_key,
                                   const protocol::Subject& subject, TimePoint now);

}  // namespace qscd::sam
