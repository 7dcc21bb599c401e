// A portal under load: speaks the API over a connection of its own, and knows what it was not told.
// Thread rules: one thread at a time.
#pragma once

#include <boost/json/object.hpp>

#include "tests/crash/world.hpp"
#include "tests/integration/portal.hpp"

namespace qscd::crash {

using integration::Answer;

class PortalClient {
public:
    PortalClient(World& world, std::string client);

    // May act for these signers from now on (16 bytes each); by the owner's door. False: gatewayd is away.
    bool register_for(std::vector<std::string> signers);
    const std::vector<std::string>& signers() const { return signers_; }
    // A fresh access token over HTTPS, by the client's secret.
    bool log_in();
    // What a token that was handed out is worth: a finding when it is not known any more.
    void confirm(const std::string& credential);

    // Nothing: no answer, or one that says "try again later". What was asked may have happened.
    std::optional<Answer> call(std::string_view method, const boost::json::object& body,
                               std::string idempotency_key = {});

private:
    World& world_;
    std::string client_, secret_, token_;
    TimePoint token_expires_{};
    std::vector<std::string> signers_;
    net::Client http_;
};

}  // namespace qscd::crash
