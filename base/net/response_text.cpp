#include "base/net/response_text.hpp"

#include <array>

#include "base/net/syntax.hpp"

namespace qscd::net {
namespace {

struct Reason {
    unsigned status;
    std::string_view text;
};
constexpr std::array reasons{// [RFC 9110, 15] [RFC 6585]
                             Reason{200, "OK"},
                             Reason{201, "Created"},
                             Reason{202, "Accepted"},
                             Reason{204, "No Content"},
                             Reason{301, "Moved Permanently"},
                             Reason{302, "Found"},
                             Reason{303, "See Other"},
                             Reason{304, "Not Modified"},
                             Reason{307, "Temporary Redirect"},
                             Reason{308, "Permanent Redirect"},
                             Reason{400, "Bad Request"},
                             Reason{401, "Unauthorized"},
                             Reason{403, "Forbidden"},
                             Reason{404, "Not Found"},
                             Reason{405, "Method Not Allowed"},
                             Reason{406, "Not Acceptable"},
                             Reason{408, "Request Timeout"},
                             Reason{409, "Conflict"},
                             Reason{410, "Gone"},
                             Reason{411, "Length Required"},
                             Reason{413, "Content Too Large"},
                             Reason{414, "URI Too Long"},
                             Reason{415, "Unsupported Media Type"},
                             Reason{417, "Expectation Failed"},
                             Reason{422, "Unprocessable Content"},
                             Reason{428, "Precondition Required"},
                             Reason{429, "Too Many Requests"},
                             Reason{431, "Request Header Fields Too Large"},
                             Reason{500, "Internal Server Error"},
                             Reason{501, "Not Implemented"},
                             Reason{502, "Bad Gateway"},
                             Reason{503, "Service Unavailable"},
                             Reason{504, "Gateway Timeout"},
                             Reason{505, "HTTP Version Not Supported"}};

constexpr std::array<std::string_view, 7> ours{
    "content-length", "content-type", "connection", "transfer-encoding", "strict-transport-security",
    "trailer",        "upgrade"};

bool is_sendable(const Response& response) {
    if (response.status < 200 || response.status > 599 || !is_field_value(response.content_type)) return false;
    return std::ranges::all_of(response.headers, [](const auto& header) {
        return is_token(header.first) && is_field_value(header.second) &&
               std::ranges::find(ours, lower(header.first)) == ours.end();
    });
}
bool status_has_body(unsigned status) { return status != 204 && status != 304; }

}  // namespace

std::string_view reason_of(unsigned status) {
    const auto row = std::ranges::find(reasons, status, &Reason::status);
    return row == reasons.end() ? "" : row->text;
}

bool has_body(const Response& response, const Framed& framed) {
    return !framed.answers_head && status_has_body(response.status) && !response.body.empty();
}

std::optional<std::string> head_of(const Response& response, const Framed& framed) {
    if (!is_sendable(response)) return std::nullopt;
    std::string out;
    out.reserve(512);
    const auto line = [&](std::string_view name, std::string_view value) {
        out.append(name).append(": ").append(value).append("\r\n");
    };
    out.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ");
    out.append(reason_of(response.status)).append("\r\n");
    if (!response.content_type.empty()) line("Content-Type", response.content_type);
    if (status_has_body(response.status)) line("Content-Length", std::to_string(response.body.size()));
    for (const auto& [name, value] : response.headers) line(name, value);
    if (framed.tls) line("Strict-Transport-Security", "max-age=31536000");
    line("Connection", framed.keeps_connection ? "keep-alive" : "close");
    return out.append("\r\n");
}

}  // namespace qscd::net
