// The methods of the CSC API v2 that are served. Each reads its parameters in the order of its error table, asks, and
// answers; what is decided about a signer is decided in the SAM [CSC API v2.0.0.2, 11.1 to 11.10].
// Thread rules: safe from every worker.
#pragma once

#include "qscd/gateway/service.hpp"

namespace qscd::gateway {

Result<net::Response> info(Service& service, const Call& call);
Result<net::Response> credentials_list(Service& service, const Call& call);
Result<net::Response> credentials_info(Service& service, const Call& call);
Result<net::Response> credentials_get_challenge(Service& service, const Call& call);
Result<net::Response> credentials_authorize(Service& service, const Call& call);
Result<net::Response> signatures_sign_hash(Service& service, const Call& call);

// The credential that `credentialID` names, if the client may act for its signer; puts it into the trace.
Result<CredentialFacts> own_credential(Service& service, const Call& call);

net::Response json_response(const boost::json::object& object);

}  // namespace qscd::gateway
