#include "qscd/cli/portals.hpp"

#include "base/random.hpp"
#include "protocol/ra.pb.h"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"
#include "qscd/cli/local.hpp"

namespace qscd::cli {
namespace {

constexpr std::size_t secret_size = 32;  // bytes of randomness

}  // namespace

Result<void> add_client(const Options& options, const AddClient& wanted) {
    QSCD_TRY(auto local, Local::open(options));
    const auto client_secret = to_base64url(random_bytes(secret_size));
    pb::GatewayRequest request;
    auto& row = *request.mutable_add_client();
    row.set_client(wanted.client);
    row.set_name(wanted.name.empty() ? wanted.client : wanted.name);
    row.set_redirect_uri(wanted.redirect_uri);
    row.set_secret_digest(std::string{text_of(sha256(view_of(client_secret)).bytes())});
    for (const auto& username : wanted.usernames) {
        pb::RaRequest find;
        find.mutable_find_signer()->set_username(username);
        QSCD_TRY(auto signer, local.ask<pb::Account>("rad", find));
        row.add_signers(signer.signer());
    }
    QSCD_TRY(local.ask<pb::Done>("gatewayd", request));
    answer(options, "client " + wanted.client + ", secret (shown once): " + client_secret,
           {{"client_id", wanted.client}, {"client_secret", client_secret}});
    return success();
}

Result<void> issue_token(const Options& options, const std::string& client, unsigned seconds) {
    QSCD_TRY(auto local, Local::open(options));
    pb::GatewayRequest request;
    request.mutable_issue_token()->set_client(client);
    request.mutable_issue_token()->set_lifetime(seconds);
    QSCD_TRY(auto token, local.ask<pb::ServiceToken>("gatewayd", request));
    answer(options, token.token(), {{"access_token", token.token()}, {"expires_in", seconds}});
    return success();
}

}  // namespace qscd::cli
