// oauth2/token: client credentials with client_secret_post or client_secret_basic, for the scope `service`
// [CSC API v2.0.0.2, 8.4.4] [RFC 6749, 2.3.1, 4.4]. Thread rules: safe from every worker.
#pragma once

#include "qscd/gateway/service.hpp"

namespace qscd::gateway {

inline constexpr std::chrono::seconds access_token_life{3600};

Result<net::Response> issue_access_token(Service& service, const Call& call);

}  // namespace qscd::gateway
