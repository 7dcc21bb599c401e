// What a person's name may be in our certificates. Nothing is changed here: a name that does not fit is refused,
// because what the person accepted is what is certified. NFC is the registration's business.
// [EN 319 412-1, 5.1.3] [EN 319 412-2, 4.2.4] [CA-12] [CA-13]
// Thread rules: pure functions.
#pragma once

#include "policy/certificate_type.hpp"
#include "protocol/papers.hpp"

namespace qscd::ca {

// Errc::paper_refused names the attribute, never its value. Country: two upper-case letters. At least one of given name
// and surname; a common name; names are UTF-8 of 1 to 64 characters without control characters, bidirectional controls,
// noncharacters or blanks at their ends. serialNumber: PrintableString of 1 to 64; in qualified types in the semantic
// form of a natural person: PNO, IDC, PAS or TIN, country, hyphen, identifier.
Result<void> check_subject(const protocol::Subject& subject, policy::CertificateType type);

}  // namespace qscd::ca
