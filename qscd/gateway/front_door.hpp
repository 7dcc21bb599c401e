// Every request comes in here: route, verb, bearer, content type, body; then its handler; then one line in the log,
// without a body, a secret or a header in it, but the portal's own X-Request-Id where it is well formed. Each answer names its
// request, as do the records that it causes [AUD-02]. Thread rules: answer() from every worker; refuse() from any thread.
#pragma once

#include "qscd/gateway/service.hpp"

namespace qscd::gateway {

class FrontDoor {
public:
    explicit FrontDoor(Service& service) : service_(service) {}
    net::Response answer(const net::Request& request);

    // For net::Settings::on_refusal: what never became a request.
    static net::Response refuse(unsigned status);

private:
    Service& service_;
};

}  // namespace qscd::gateway
