#include "qscd/gateway/oauth/token_endpoint.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "qscd/gateway/oauth/form.hpp"

namespace qscd::gateway {
namespace {

Error missing(const char* name) { return {Errc::oauth_parameter_missing, "", {"string", name}}; }

struct Basic {
    std::string client;
    SecretBytes secret;
};

// "Basic <base64 of client_id:client_secret>", both form-encoded [RFC 6749, 2.3.1].
Result<std::optional<Basic>> basic_in(const net::Request& request) {
    const auto header = request.header("authorization");
    if (!header) return std::optional<Basic>{};
    const Error malformed{Errc::bearer_malformed};
    constexpr std::string_view scheme = "basic ";
    const bool ours = header->size() > scheme.size() &&
                      std::ranges::equal(header->substr(0, scheme.size()), scheme, {},
                                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    if (!ours) return malformed;
    auto bytes = from_base64(header->substr(scheme.size()));
    if (!bytes) return malformed;
    const SecretBytes pair{ByteView{*bytes}};
    wipe(*bytes);
    const auto text = text_of(pair.reveal());
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return malformed;
    const auto client = percent_decoded(text.substr(0, colon));
    auto secret = percent_decoded(text.substr(colon + 1));
    if (!client || !secret) return malformed;
    return std::optional{Basic{std::string{text_of(client->reveal())}, std::move(*secret)}};
}

Result<void> check_grant(const Form& form) {
    const auto grant = form.text("grant_type");
    if (!grant) return missing("grant_type");
    if (*grant != "client_credentials") return invalid_parameter("grant_type");
    return success();
}

}  // namespace

Result<net::Response> issue_access_token(Service& service, const Call& call) {
    QSCD_TRY(const auto form, Form::parse(call.request.body));
    QSCD_TRY(const auto basic, basic_in(call.request));
    const auto in_form = form.text("client_id");
    const auto* secret = form.secret("client_secret");
    if (basic && secret != nullptr) return Error{Errc::body_malformed, "two client authentications"};
    if (!basic && !in_form) return missing("client_id");
    const auto name = basic ? basic->client : *in_form;
    QSCD_TRY(check_grant(form));
    const auto client = ClientId::from(name);
    if (!client || (in_form && *in_form != name)) return invalid_parameter("client_id");
    call.trace.client = client.value().text();
    if (basic) secret = &basic->secret;

    const bool right = secret != nullptr && service.access.secret_is_right(client.value(), *secret);
    if (!service.access.knows(client.value())) return invalid_parameter("client_id");
    // A shared secret is no client authentication but under a trial policy [API-02].
    if (secret == nullptr || !service.policy.has_trial()) return Error{Errc::client_authentication_missing};
    if (!right) return invalid_parameter("client_secret");
    if (const auto scope = form.text("scope"); scope && *scope != "service") return invalid_parameter("scope");

    QSCD_TRY(auto token, service.access.issue_token(client.value(), access_token_life));
    net::Response out{
        200, "application/json",
        boost::json::serialize(boost::json::object{
            {"access_token", token}, {"token_type", "Bearer"}, {"expires_in", access_token_life.count()}})};
    wipe(token);
    return out;
}

}  // namespace qscd::gateway
