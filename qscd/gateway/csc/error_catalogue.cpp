#include "qscd/gateway/csc/error_catalogue.hpp"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace qscd::gateway {
namespace {

// Table 3 of the CSC API.
constexpr std::string_view invalid_request_text =
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than "
    "once, "
    "or is otherwise malformed.";
constexpr std::string_view access_denied_text = "The user, authorization server or remote service denied the request.";
constexpr std::string_view invalid_scope_text = "The requested scope is invalid, unknown, or malformed.";
constexpr std::string_view server_error_text =
    "The authorization server encountered an unexpected condition that prevented it from fulfilling the request.";
constexpr std::string_view temporarily_unavailable_text =
    "The authorization server is currently unable to handle the request due to a temporary overloading or maintenance "
    "of the "
    "server.";
constexpr std::string_view expired_token_text = "The access or refresh token is expired or has been revoked.";
constexpr std::string_view invalid_token_text = "The token provided is not a valid OAuth access or refresh token.";
constexpr std::string_view header_text = "Malformed authorization header";

// %t and %n are the parameter's type and name. A row with `only` is for the parameter of that name and stands before
// the row of all others.
struct Row {
    Errc code;
    unsigned status;
    std::string_view error, description;
    std::string_view challenge = {}, only = {};
};
constexpr std::array rows{
    Row{Errc::body_malformed, 400, "invalid_request", invalid_request_text},
    Row{Errc::parameter_missing, 400, "invalid_request", "Missing (or invalid type) %t parameter %n"},
    Row{Errc::parameter_invalid, 400, "invalid_scope", invalid_scope_text, {}, "scope"},
    Row{Errc::parameter_invalid, 400, "invalid_request", "Invalid parameter %n"},
    Row{Errc::oauth_parameter_missing, 400, "invalid_request", "Missing parameter %n"},
    Row{Errc::hashes_empty, 400, "invalid_request", "Empty hash array"},
    Row{Errc::hash_not_base64, 400, "invalid_request", "Invalid Base64 hash string parameter"},
    Row{Errc::hash_wrong_length, 400, "invalid_request", "Invalid digest value length"},
    Row{Errc::signature_count_invalid, 400, "invalid_request", "Invalid value for parameter numSignatures"},
    Row{Errc::too_many_signatures, 400, "invalid_request", "Numbers of signatures is too high"},
    Row{Errc::factors_wrong, 400, "invalid_authentication_data", "The authentication data is invalid"},
    Row{Errc::credential_locked, 400, "invalid_request", "Credential locked"},
    Row{Errc::credential_disabled, 400, "invalid_request", "The credential identified by credentialID is disabled"},
    Row{Errc::certificate_expired, 400, "invalid_request", "Signing certificate is expired"},
    Row{Errc::sad_expired, 400, "invalid_request", "SAD expired"},
    Row{Errc::hash_not_authorised, 400, "invalid_request", "Hash is not authorized by the SAD"},
    Row{Errc::bearer_malformed, 400, "invalid_request", header_text},
    Row{Errc::bearer_missing, 400, "invalid_request", header_text},
    Row{Errc::bearer_invalid, 401, "invalid_token", invalid_token_text, "Bearer"},
    Row{Errc::bearer_expired, 401, "expired_token", expired_token_text, "Bearer"},
    Row{Errc::client_authentication_missing, 401, "invalid_request", "Client authorization required",
        "Basic realm=\"oauth2\""},
    Row{Errc::too_many_requests, 429, "temporarily_unavailable", temporarily_unavailable_text},
    Row{Errc::not_supported, 501, "invalid_request", "The method is not supported"},
    Row{Errc::access_denied, 400, "access_denied", access_denied_text},
    Row{Errc::paper_refused, 500, "server_error", server_error_text},
    Row{Errc::configuration, 500, "server_error", server_error_text},
    Row{Errc::out_of_order, 500, "server_error", server_error_text},
    Row{Errc::token_away, 503, "temporarily_unavailable", temporarily_unavailable_text},
    Row{Errc::service_away, 503, "temporarily_unavailable", temporarily_unavailable_text},
    Row{Errc::store_away, 503, "temporarily_unavailable", temporarily_unavailable_text},
    Row{Errc::sealed, 503, "temporarily_unavailable", temporarily_unavailable_text},
    Row{Errc::fenced, 503, "temporarily_unavailable", temporarily_unavailable_text},
    Row{Errc::key_gone, 500, "server_error", server_error_text},
    Row{Errc::internal, 500, "server_error", server_error_text},
};

const Row& row_for(Errc code, std::string_view parameter) {
    const auto found = std::ranges::find_if(
        rows, [&](const Row& row) { return row.code == code && (row.only.empty() || row.only == parameter); });
    return found != rows.end() ? *found : rows.back();
}

std::string filled(std::string_view text, const Parameter& parameter) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const auto mark = text.substr(at, 2);
        if (mark == "%t" || mark == "%n") {
            out += mark == "%t" ? parameter.type : parameter.name;
            ++at;
        } else {
            out += text[at];
        }
    }
    return out;
}

net::Response response(unsigned status, std::string_view error, std::string_view description) {
    return {status, "application/json",
            boost::json::serialize(boost::json::object{{"error", error}, {"error_description", description}})};
}

struct HttpRow {
    unsigned status;
    std::string_view error, description;
};
constexpr std::array http_rows{
    HttpRow{404, "invalid_request", "Unknown path"},
    HttpRow{405, "invalid_request", "The HTTP method is not allowed for this path"},
    HttpRow{500, "server_error", server_error_text},
    HttpRow{503, "temporarily_unavailable", temporarily_unavailable_text},
    HttpRow{504, "server_error", server_error_text},
};

}  // namespace

bool has_row(Errc code) { return std::ranges::find(rows, code, &Row::code) != rows.end(); }

Said said(const Error& error) {
    const auto& row = row_for(error.code, error.parameter.name);
    return {row.status, std::string{row.error}, filled(row.description, error.parameter), row.challenge};
}

net::Response response_of(const Error& error) {
    const auto what = said(error);
    auto out = response(what.status, what.error, what.description);
    if (!what.challenge.empty()) out.headers.emplace_back("WWW-Authenticate", what.challenge);
    return out;
}

net::Response http_refusal(unsigned status) {
    const auto row = std::ranges::find(http_rows, status, &HttpRow::status);
    if (row == http_rows.end()) return response(status, "invalid_request", invalid_request_text);
    return response(status, row->error, row->description);
}

}  // namespace qscd::gateway
