#include "base/net/request_head.hpp"

#include <array>

#include "base/net/syntax.hpp"

namespace qscd::net {
namespace {

constexpr unsigned bad_request = 400, body_too_large = 413, target_too_long = 414, expectation_failed = 417,
                   header_too_large = 431, version_not_supported = 505;

// Fields that mean something different twice, even when both are equal: some readers take the first, some the last.
constexpr std::array<std::string_view, 11> only_once{"host",
                                                     "content-length",
                                                     "transfer-encoding",
                                                     "authorization",
                                                     "content-type",
                                                     "idempotency-key",
                                                     "expect",
                                                     "dpop",
                                                     "origin",
                                                     "cookie",
                                                     "content-encoding"};

struct Fields {
    std::array<unsigned, only_once.size()> seen{};
    std::string_view host, content_length, transfer_encoding, expect;
    bool trailer = false, close = false;
};

unsigned check_request_line(std::string_view line, const Limits& limits, bool& version_1_1) {
    const auto first = line.find(' '), second = line.find(' ', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) return bad_request;
    const auto method = line.substr(0, first), target = line.substr(first + 1, second - first - 1),
               version = line.substr(second + 1);
    const bool is_version = version.size() == 8 && version.starts_with("HTTP/") && is_digit(version[5]) &&
                            version[6] == '.' && is_digit(version[7]);
    if (!is_version || !is_method(method)) return bad_request;
    if (version != "HTTP/1.1" && version != "HTTP/1.0") return version_not_supported;
    if (target.size() > limits.target_bytes) return target_too_long;
    if (!is_origin_form(target)) return bad_request;
    version_1_1 = version == "HTTP/1.1";
    return 0;
}

unsigned take_field(std::string_view line, Fields& fields) {
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return bad_request;  // a fold has no name
    const auto name = lower(line.substr(0, colon));
    const auto value = without_blanks(line.substr(colon + 1));
    if (!is_field_value(value)) return bad_request;
    for (std::size_t row = 0; row < only_once.size(); ++row) {
        if (only_once[row] == name && ++fields.seen[row] > 1) return bad_request;
    }
    if (name == "host") fields.host = value;
    if (name == "content-length") fields.content_length = value;
    if (name == "transfer-encoding") fields.transfer_encoding = value;
    if (name == "expect") fields.expect = value;
    if (name == "trailer") fields.trailer = true;
    if (name == "connection") {
        for (auto rest = value; !rest.empty();) {
            const auto comma = rest.find(',');
            if (same_word(without_blanks(rest.substr(0, comma)), "close")) fields.close = true;
            rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
        }
    }
    return 0;
}

bool was_seen(const Fields& fields, std::string_view name) {
    return fields.seen[static_cast<std::size_t>(std::ranges::find(only_once, name) - only_once.begin())] > 0;
}

Framing refused(unsigned status) { return {.refusal = status}; }

Framing framing_of(const Fields& fields, bool version_1_1, const Limits& limits) {
    Framing out;
    out.keeps_connection = version_1_1 && !fields.close;
    const bool length = was_seen(fields, "content-length"), coding = was_seen(fields, "transfer-encoding");
    if (was_seen(fields, "host") ? !is_host(fields.host) : version_1_1) return refused(bad_request);
    if (fields.trailer || (length && coding)) return refused(bad_request);
    if (coding && (!version_1_1 || !same_word(fields.transfer_encoding, "chunked"))) return refused(bad_request);
    if (length) {
        const auto digits = fields.content_length;
        if (digits.empty() || !std::ranges::all_of(digits, is_digit)) return refused(bad_request);
        for (const char digit : digits) {
            out.content_length = out.content_length * 10 + static_cast<std::size_t>(digit - '0');
            if (out.content_length > limits.body_bytes) return refused(body_too_large);
        }
    }
    if (was_seen(fields, "expect") && version_1_1) {
        if (!same_word(fields.expect, "100-continue")) return refused(expectation_failed);
        out.expects_continue = true;
    }
    out.chunked = coding;
    return out;
}

}  // namespace

HeadEnd find_head_end(std::string_view received, std::size_t& scanned, const Limits& limits) {
    const auto visible = received.substr(0, limits.header_bytes);
    for (; scanned < visible.size(); ++scanned) {
        const char c = visible[scanned];
        const bool after_return = scanned > 0 && visible[scanned - 1] == '\r';
        if ((c == '\n') != after_return) return {.refusal = bad_request};  // a bare LF, or a CR before something else
        if (c == '\n') {
            if (scanned == 1) return {.refusal = bad_request};  // an empty line where a request should begin
            if (visible[scanned - 2] == '\n') return {.size = scanned + 1};
        } else if (c != '\r' && !is_text_character(c)) {
            return {.refusal = bad_request};
        }
    }
    if (received.size() < limits.header_bytes) return {};
    return {.refusal = received.find('\n') < limits.header_bytes ? header_too_large : target_too_long};
}

Framing check_head(std::string_view head, const Limits& limits) {
    bool version_1_1 = false;
    Fields fields;
    std::size_t line_number = 0;
    for (auto rest = head; rest.size() > 2; ++line_number) {
        const auto end = rest.find("\r\n");
        if (end == std::string_view::npos) return refused(bad_request);
        const auto line = rest.substr(0, end);
        rest = rest.substr(end + 2);
        if (line_number > limits.header_fields) return refused(header_too_large);
        const auto refusal = line_number == 0 ? check_request_line(line, limits, version_1_1)
                                              : take_field(line, fields);
        if (refusal != 0) return refused(refusal);
    }
    if (line_number == 0) return refused(bad_request);
    return framing_of(fields, version_1_1, limits);
}

}  // namespace qscd::net
