// Whether a certificate is the one that this credential waits for. [design 5: chain pinned, public key = proof,
// subject = Grant]. Pure functions.
#pragma once

#include "base/clock.hpp"
#include "protocol/papers.hpp"

namespace qscd::sam {

// The end of its validity. Errc::paper_refused: not issued by a pinned issuer, another key, another subject, expired.
Result<TimePoint> certificate_fits(ByteView der, const std::vector<X509Cert>& issuers, ByteView public_key,
                                   const protocol::Subject& subject, TimePoint now);

}  // namespace qscd::sam
