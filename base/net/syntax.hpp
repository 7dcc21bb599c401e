// The small grammars of HTTP [RFC 9110, 5.6] [RFC 3986], narrowed to ASCII. Private to this room.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace qscd::net {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_alpha(char c) { return is_upper(c) || (c >= 'a' && c <= 'z'); }
constexpr int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}
constexpr char lower(char c) { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }
inline std::string lower(std::string_view text) {
    std::string out{text};
    std::ranges::transform(out, out.begin(), [](char c) { return lower(c); });
    return out;
}
constexpr bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }

constexpr bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return is_alpha(c) || is_digit(c) || is_one_of(c, "!#$%&'*+-.^_`|~");
    });
}
constexpr bool is_text_character(char c) { return (c >= 0x20 && c < 0x7f) || c == '\t'; }
constexpr bool is_field_value(std::string_view text) { return std::ranges::all_of(text, is_text_character); }
constexpr bool is_method(std::string_view text) {
    return !text.empty() && text.size() <= 16 && std::ranges::all_of(text, is_upper);
}

// origin-form: a path, perhaps a query, nothing that needs escaping and is not.
constexpr bool is_origin_form(std::string_view target) {
    if (target.empty() || target.front() != '/') return false;
    for (std::size_t at = 0; at < target.size(); ++at) {
        const char c = target[at];
        if (c == '%') {
            if (target.size() - at < 3 || hex_value(target[at + 1]) < 0 || hex_value(target[at + 2]) < 0) return false;
        } else if (!is_alpha(c) && !is_digit(c) && !is_one_of(c, "/?-._~!$&'()*+,;=:@")) {
            return false;
        }
    }
    return true;
}

// host [":" port]: a name, an IPv4 address, or an IPv6 address in brackets.
constexpr bool is_host(std::string_view text) {
    const auto colon = text.find(':', text.starts_with('[') ? text.find(']') : 0);
    if (colon != std::string_view::npos) {
        const auto port = text.substr(colon + 1);
        if (port.empty() || port.size() > 5 || !std::ranges::all_of(port, is_digit)) return false;
        text = text.substr(0, colon);
    }
    if (text.starts_with('[')) {
        if (text.size() < 4 || !text.ends_with(']')) return false;
        text = text.substr(1, text.size() - 2);
        return std::ranges::all_of(text, [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; });
    }
    return !text.empty() && text.size() <= 255 &&
           std::ranges::all_of(text, [](char c) { return is_alpha(c) || is_digit(c) || c == '.' || c == '-'; });
}

constexpr std::string_view without_blanks(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}
inline bool same_word(std::string_view left, std::string_view right) {
    return std::ranges::equal(left, right, {}, [](char c) { return lower(c); }, [](char c) { return lower(c); });
}

}  // namespace qscd::net
