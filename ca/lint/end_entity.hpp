// What must hold of a person's certificate, one row a rule: id, source, and a function over the parsed certificate.
// Thread rules: constants and pure functions.
#pragma once

#include <span>

#include "base/openssl.hpp"
#include "policy/certificate_type.hpp"

namespace qscd::ca::lint_rules {

struct Candidate {
    X509& certificate;
    policy::CertificateType type;
    const X509& issuer;
};
struct Rule {
    std::string_view id, source;
    bool (*holds)(const Candidate&);
};
extern const std::span<const Rule> end_entity;

}  // namespace qscd::ca::lint_rules
