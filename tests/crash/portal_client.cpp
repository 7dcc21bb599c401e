#include "tests/crash/portal_client.hpp"

#include <boost/json/serialize.hpp>

#include "base/random.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"

namespace qscd::crash {
namespace {

constexpr std::size_t longest = 4096;

}  // namespace

PortalClient::PortalClient(World& world, std::string client)
    : world_(world),
      client_(std::move(client)),
      secret_(to_hex(random_bytes(16))),
      http_(world.deployment().another_client()) {}

bool PortalClient::register_for(std::vector<std::string> signers) {
    pb::GatewayRequest ask;
    auto& add = *ask.mutable_add_client();
    add.set_client(client_);
    add.set_name(client_);
    add.set_secret_digest(std::string{text_of(sha256(view_of(secret_)).bytes())});
    add.set_redirect_uri("https://" + client_ + ".example/back");
    for (const auto& each : signers) add.add_signers(each);
    const auto done = world_.deployment().ask<pb::Done>("gatewayd", ask);
    if (done) signers_ = std::move(signers);
    else if (!is_away(done.error())) world_.found(client_ + " cannot be registered: " + describe(done.error()));
    return done.has_value();
}

bool PortalClient::log_in() {
    const auto said = http_.request("POST", "/csc/v2/oauth2/token",
                                    {{"Content-Type", "application/x-www-form-urlencoded"}},
                                    "grant_type=client_credentials&client_id=" + client_ + "&client_secret=" + secret_);
    if (!said || said.value().status >= 500) return false;
    const auto answer = integration::answer_of(said.value());
    if (answer.status != 200) {
        world_.found(client_ + " was registered, and its secret is refused: " + answer.body);
        return false;
    }
    token_ = answer.object().string("access_token", longest).value();
    token_expires_ = world_.now() + std::chrono::seconds{answer.object().integer("expires_in").value()};
    ++world_.tokens;
    return true;
}

void PortalClient::confirm(const std::string& credential) {
    if (token_.empty() || world_.now() >= token_expires_) return;
    const auto answer = call("credentials/info", {{"credentialID", credential}});
    if (answer && answer->status != 200)
        world_.found(client_ + ": its access token was handed out, and is worth nothing: " + answer->body);
}

std::optional<Answer> PortalClient::call(std::string_view method, const boost::json::object& body,
                                         std::string idempotency_key) {
    if (world_.now() >= token_expires_ && !token_.empty()) log_in();
    net::Headers headers{{"Content-Type", "application/json"}, {"Authorization", "Bearer " + token_}};
    if (!idempotency_key.empty()) headers.emplace_back("Idempotency-Key", std::move(idempotency_key));
    const auto said = http_.request("POST", "/csc/v2/" + std::string{method}, headers, boost::json::serialize(body));
    if (!said || said.value().status >= 500) {
        ++world_.unknown;
        return std::nullopt;
    }
    return integration::answer_of(said.value());
}

}  // namespace qscd::crash
