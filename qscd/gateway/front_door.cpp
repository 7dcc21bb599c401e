#include "qscd/gateway/front_door.hpp"

#include <algorithm>

#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "base/request_id.hpp"
#include "qscd/gateway/csc/error_catalogue.hpp"
#include "qscd/gateway/csc/routes.hpp"

namespace qscd::gateway {
namespace {

constexpr std::string_view scheme = "bearer";
constexpr std::size_t longest_logged_path = 64, longest_portal_request = 64;
constexpr std::string_view request_header = "X-Request-Id", request_header_in = "x-request-id";

// Finished: the answer and the name of what went wrong.
struct Outcome {
    net::Response response;
    std::string error = {}, detail = {};
};

Outcome refused(const Error& error) {
    Outcome out{response_of(error), std::string{name_of(error.code)}};
    if (out.response.status >= 500) out.detail = error.detail;
    return out;
}

bool same_word(std::string_view text, std::string_view lower_case) {
    return std::ranges::equal(text, lower_case, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
}

bool is_token68(std::string_view text) {
    const auto end = text.find_last_not_of('=');
    return end != std::string_view::npos && std::ranges::all_of(text.substr(0, end + 1), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      std::string_view{"-._~+/"}.find(c) != std::string_view::npos;
           });
}

// The token of "Bearer <token>" [RFC 6750, 2.1].
Result<std::string_view> bearer_in(const net::Request& request) {
    const auto header = request.header("authorization");
    if (!header) return Error{Errc::bearer_missing};
    const auto blank = header->find(' ');
    if (blank == std::string_view::npos || !same_word(header->substr(0, blank), scheme))
        return Error{Errc::bearer_malformed};
    auto token = header->substr(blank + 1);
    token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
    if (!is_token68(token)) return Error{Errc::bearer_malformed};
    return token;
}

// Parameters: charset=utf-8 and nothing else.
Result<void> check_content_type(const net::Request& request, std::string_view wanted) {
    const Error malformed{Errc::body_malformed, "Content-Type"};
    const auto header = request.header("content-type");
    if (!header) return malformed;
    const auto semicolon = std::min(header->find(';'), header->size());
    auto type = header->substr(0, semicolon);
    type = type.substr(0, type.find_last_not_of(" \t") + 1);
    if (!same_word(type, wanted)) return malformed;
    if (semicolon == header->size()) return success();
    auto parameter = header->substr(semicolon + 1);
    parameter.remove_prefix(std::min(parameter.find_first_not_of(" \t"), parameter.size()));
    if (!same_word(parameter, "charset=utf-8") && !same_word(parameter, "charset=\"utf-8\"")) return malformed;
    return success();
}

Result<json::Object> body_of(const Route& route, const net::Request& request) {
    const bool nothing = route.body == Body::json_or_nothing && request.body.empty();
    if (route.body == Body::form) {
        QSCD_TRY(check_content_type(request, "application/x-www-form-urlencoded"));
    }
    if (route.body == Body::ignored || route.body == Body::form || nothing) return json::Object::parse("{}");
    QSCD_TRY(check_content_type(request, "application/json"));
    QSCD_TRY(auto body, json::Object::parse(request.body));
    constexpr auto unlimited = static_cast<std::size_t>(-1);
    if (!body.optional_string("clientData", unlimited)) return invalid_parameter("clientData");
    return body;
}

Result<net::Response> handled(Service& service, const Route& route, const net::Request& request, Trace& trace) {
    std::optional<ClientId> client;
    if (route.needs_bearer) {
        QSCD_TRY(const auto token, bearer_in(request));
        QSCD_TRY(client, service.access.token_holder(token));
        trace.client = client->text();
    }
    QSCD_TRY(const auto body, body_of(route, request));
    return route.handler(service, Call{request, body, client, trace});
}

bool serves(const Route& route, std::string_view verb) {
    return route.verb == verb || (route.verb == "GET" && verb == "HEAD");
}

Outcome routed(Service& service, const net::Request& request, Trace& trace) {
    std::string allowed;
    for (const auto& route : routes()) {
        if (route.path != request.path) continue;
        if (!serves(route, request.method)) {
            allowed = route.verb == "GET" ? "GET, HEAD" : std::string{route.verb};
            continue;
        }
        auto response = handled(service, route, request, trace);
        return response ? Outcome{std::move(response).value()} : refused(response.error());
    }
    if (!allowed.empty()) {
        Outcome out{http_refusal(405), "method_not_allowed"};
        out.response.headers.emplace_back("Allow", allowed);
        return out;
    }
    if (request.path.starts_with(api_base)) return refused({Errc::not_supported});
    return {http_refusal(404), "not_found"};
}

// A path of ours as it is; of another one only its beginning, since it may hold anything.
std::string logged(const std::string& path) {
    if (std::ranges::any_of(routes(), [&](const Route& route) { return route.path == path; })) return path;
    return path.substr(0, longest_logged_path);
}

// What the portal calls its request, for the line in the log alone: whoever sends it may send anything, twice as well. Empty
// when it is none.
std::string portals_name(const net::Request& request) {
    const auto name = request.header(request_header_in);
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view{"-._"}.find(c) != std::string_view::npos;
    };
    if (!name || name->size() > longest_portal_request || !std::ranges::all_of(*name, good)) return {};
    return std::string{*name};
}

void name_request(net::Response& response, const RequestId& id) {
    response.headers.emplace_back(request_header, id.hex());
}

void never_store(net::Response& response) { response.headers.emplace_back("Cache-Control", "no-store"); }

}  // namespace

net::Response FrontDoor::answer(const net::Request& request) {
    const auto begin = std::chrono::steady_clock::now();
    const auto id = new_request_id();
    const RequestScope scope{id};
    Trace trace;
    Outcome outcome;
    try {
        outcome = routed(service_, request, trace);
    } catch (const std::exception& bug) {
        outcome = refused({Errc::internal, bug.what()});
    }
    never_store(outcome.response);
    name_request(outcome.response, id);
    const auto spent = std::chrono::steady_clock::now() - begin;
    note(outcome.response.status >= 500 ? Level::warning : Level::info, "request",
         {{"method", request.method},
          {"path", logged(request.path)},
          {"status", std::to_string(outcome.response.status)},
          {"error", outcome.error},
          {"client", trace.client},
          {"portal_request", portals_name(request)},
          {"credential", trace.credential},
          {"hashes", std::to_string(trace.hashes)},
          {"ms", std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(spent).count())},
          {"detail", outcome.detail}});
    crash_point("gatewayd.before-answer");
    return std::move(outcome.response);
}

net::Response FrontDoor::refuse(unsigned status) {
    const auto id = new_request_id();
    const RequestScope scope{id};
    note(status >= 500 ? Level::warning : Level::info, "request-refused", {{"status", std::to_string(status)}});
    auto response = http_refusal(status);
    never_store(response);
    name_request(response, id);
    return response;
}

}  // namespace qscd::gateway
