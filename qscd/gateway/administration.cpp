#include "qscd/gateway/administration.hpp"

#include "protocol/message.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"

namespace qscd::gateway {
namespace {

Error invalid(const char* what, const char* name) { return {Errc::parameter_invalid, what, {"string", name}}; }

Result<void> add_client(Access& access, const pb::AddClient& asked) {
    QSCD_TRY(const auto id, ClientId::from(asked.client()));
    const auto digest = Sha256Digest::from(view_of(asked.secret_digest()));
    if (!digest) return invalid("a digest of the secret has 32 bytes", "secret_digest");
    Client client{id, asked.name(), *digest, asked.redirect_uri(), {}};
    for (const auto& bytes : asked.signers()) {
        const auto signer = SignerId::from(view_of(bytes));
        if (!signer) return invalid("a signer has 16 bytes", "signers");
        client.signers.insert(*signer);
    }
    return access.put(client);
}

Result<std::string> issue_token(Access& access, const policy::Policy& policy, const pb::IssueServiceToken& asked) {
    if (!policy.has_trial()) return Error{Errc::access_denied, "plain bearers without a client are for `trial` alone"};
    QSCD_TRY(const auto id, ClientId::from(asked.client()));
    const std::chrono::seconds life{asked.lifetime()};
    if (life < std::chrono::seconds{1} || life > longest_service_token)
        return invalid("a service token lives 1 to 86400 seconds", "lifetime");
    return access.issue_token(id, life);
}

}  // namespace

Result<Administration::Reply> Administration::answer(std::string_view role, ByteView request) {
    if (role != "bootstrap") return Error{Errc::access_denied, "gatewayd does not answer " + std::string{role}};
    QSCD_TRY(const auto message, protocol::decode<pb::GatewayRequest>(request));
    switch (message.request_case()) {
        case pb::GatewayRequest::kAddClient: {
            QSCD_TRY(add_client(access_, message.add_client()));
            return Reply{std::make_unique<pb::Done>()};
        }
        case pb::GatewayRequest::kIssueToken: {
            QSCD_TRY(auto token, issue_token(access_, policy_, message.issue_token()));
            auto out = std::make_unique<pb::ServiceToken>();
            out->set_token(std::move(token));
            return Reply{std::move(out)};
        }
        case pb::GatewayRequest::kHealth: {
            const auto report = health_.report();
            auto out = std::make_unique<pb::ServiceHealthReport>();
            out->set_good(report.ready());
            out->set_detail(report.ready() ? "ready" : report.detail);
            return Reply{std::move(out)};
        }
        case pb::GatewayRequest::REQUEST_NOT_SET: break;
    }
    return Error{Errc::not_supported, "an empty request"};
}

}  // namespace qscd::gateway
