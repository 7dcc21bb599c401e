// The two TLS configurations of this room: version 1.3 alone, a fixed cipher list, no early data, no resumption, no
// compression [API-01] [RFC 8446]. Private to this room. Thread rules: a context may serve many connections at once.
#pragma once

#include <filesystem>

#include "base/net/server.hpp"
#include "base/openssl.hpp"

namespace qscd::net {

Result<SslContext> server_context(const Tls& files);

// Verifies the server against the certificates in `ca_pem` and no others. The host name is set per connection.
Result<SslContext> client_context(const std::filesystem::path& ca_pem);

}  // namespace qscd::net
