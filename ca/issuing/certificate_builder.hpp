// The certificate of a person, as bytes to be signed: LCP, QCP-n, QCP-n-qscd. Policy OID, key usage and QcStatements
// follow from the profile's type. [EN 319 412-2] [EN 319 412-5] [RFC 5280] [CA-08] [CA-09] [CA-10] [CA-11] [CA-46]
// Thread rules: pure functions.
#pragma once

#include "policy/profile.hpp"
#include "protocol/papers.hpp"

namespace qscd::ca {

struct EndEntity {
    const policy::Profile& profile;
    const protocol::Subject& subject;  // as check_subject lets it pass
    ByteView public_key;               // SubjectPublicKeyInfo
    const X509& issuer;
    std::string_view issuer_name;  // in URLs: "lcp", "qualified"
    ByteView serial;               // see random_serial
    TimePoint not_before;
    std::string_view public_base;  // "http://pki.tsp.example"
};

// Errc::access_denied where the certificate would outlive its issuer: it is refused, never shortened [CA-08].
Result<Bytes> to_be_signed(const EndEntity& wanted);

// The qcStatements extension's value; empty for types that have none. Order as policy::qc_rows, then pkixQCSyntax-v2
// with the semantics of natural persons [EN 319 412-1, 5.1.3].
Bytes qc_statements(policy::Qc statements, const std::vector<policy::PdsLocation>& pds);

}  // namespace qscd::ca
