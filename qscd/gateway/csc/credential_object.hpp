// The object that credentials/info answers and credentials/list puts into credentialInfos [CSC API v2.0.0.2, 11.4,
// 11.5]. Thread rules: pure functions.
#pragma once

#include <boost/json/object.hpp>

#include "qscd/gateway/service.hpp"

namespace qscd::gateway {

enum class Certificates { none, single, chain };

struct Wanted {
    Certificates certificates = Certificates::single;
    bool certificate_info = false, authorisation_info = false;
};

// `certificates`, `certInfo`, `authInfo`. Errc::parameter_invalid, Errc::parameter_missing.
Result<Wanted> wanted_in(const json::Object& body);

// Without credentialID and lang. Errc::internal when the certificate cannot be read.
Result<boost::json::object> credential_object(const Service& service, const DescribedCredential& credential,
                                              const Wanted& wanted);

// Enabled, and with a certificate that is within its dates.
Result<bool> is_usable(const Service& service, const DescribedCredential& credential);

}  // namespace qscd::gateway
