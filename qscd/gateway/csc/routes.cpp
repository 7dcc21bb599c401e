#include "qscd/gateway/csc/routes.hpp"

#include "qscd/gateway/csc/methods.hpp"
#include "qscd/gateway/logo.hpp"
#include "qscd/gateway/oauth/token_endpoint.hpp"

namespace qscd::gateway {
namespace {

Result<net::Response> logo(Service&, const Call&) { return net::Response{200, "image/png", logo_png()}; }
Result<net::Response> live(Service& service, const Call&) { return service.health.live(); }
Result<net::Response> ready(Service& service, const Call&) { return service.health.ready(); }

constexpr std::array table{
    Route{"POST", "/csc/v2/info", false, Body::json_or_nothing, info},
    Route{"POST", "/csc/v2/credentials/list", true, Body::json, credentials_list},
    Route{"POST", "/csc/v2/credentials/info", true, Body::json, credentials_info},
    Route{"POST", "/csc/v2/credentials/getChallenge", true, Body::json, credentials_get_challenge},
    Route{"POST", "/csc/v2/credentials/authorize", true, Body::json, credentials_authorize},
    Route{"POST", "/csc/v2/signatures/signHash", true, Body::json, signatures_sign_hash},
    Route{"POST", "/csc/v2/oauth2/token", false, Body::form, issue_access_token},
    Route{"POST", "/oauth2/token", false, Body::form, issue_access_token},
    Route{"GET", "/health/live", false, Body::ignored, live},
    Route{"GET", "/health/ready", false, Body::ignored, ready},
    Route{"GET", logo_path, false, Body::ignored, logo},
};

}  // namespace

std::span<const Route> routes() { return table; }

std::vector<std::string_view> method_names() {
    std::vector<std::string_view> out;
    for (const auto& route : table) {
        if (!route.path.starts_with(api_base)) continue;
        const auto name = route.path.substr(api_base.size());
        if (name != "info" && !name.starts_with("oauth2/")) out.push_back(name);
    }
    return out;
}

}  // namespace qscd::gateway
