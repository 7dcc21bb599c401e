// What a handler may reach, and one call as it stands after the front door. Thread rules: Service is shared by all
// workers; a Call belongs to one.
#pragma once

#include "base/json/object.hpp"
#include "base/net/message.hpp"
#include "policy/deployment.hpp"
#include "policy/policy.hpp"
#include "qscd/gateway/access.hpp"
#include "qscd/gateway/ca_certificates.hpp"
#include "qscd/gateway/credential_directory.hpp"
#include "qscd/gateway/health.hpp"
#include "qscd/gateway/peers.hpp"

namespace qscd::gateway {

struct Service {
    Sam& sam;
    Access& access;
    CredentialDirectory& directory;
    Health& health;
    const CaCertificates& authorities;
    const policy::Policy& policy;
    const policy::Deployment& deployment;
    const Clock& clock;
};

// What the request's line in the log says besides method, path, status and time.
struct Trace {
    std::string client, credential;
    std::size_t hashes = 0;
};

struct Call {
    const net::Request& request;
    const json::Object& body;        // empty where the route has no JSON
    std::optional<ClientId> client;  // set where the route needs a bearer
    Trace& trace;
};

inline Error invalid_parameter(std::string name, std::string type = "string") {
    return {Errc::parameter_invalid, "", {std::move(type), std::move(name)}};
}

}  // namespace qscd::gateway
