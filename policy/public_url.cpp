#include "policy/public_url.hpp"

#include <algorithm>
#include <array>

namespace qscd::policy {
namespace {

// Never delegated, or reserved for inner use [RFC 6761] [RFC 6762, appendix G] [RFC 7686]. "example" stays: it is how
// documents and demos write a public name.
constexpr std::array<std::string_view, 15> inner_domains{"alt",       "arpa",    "corp",  "home",    "internal",
                                                         "intranet",  "invalid", "lan",   "local",   "localdomain",
                                                         "localhost", "mail",    "onion", "private", "test"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_label_char(char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-'; }
bool is_path_char(char c) {
    return is_label_char(c) || (c >= 'A' && c <= 'Z') || c == '/' || c == '.' || c == '_' || c == '~';
}

std::optional<std::string> problem_with_host(std::string_view host) {
    if (host.empty()) return "there is no host";
    if (host.front() == '[') return "the host is an address";
    if (host.size() > 253) return "the host is too long";
    std::size_t labels = 0;
    std::string_view last;
    for (auto rest = host;;) {
        const auto dot = rest.find('.');
        last = rest.substr(0, dot);
        ++labels;
        if (last.empty() || last.size() > 63 || last.front() == '-' || last.back() == '-' ||
            !std::ranges::all_of(last, is_label_char))
            return "the host is not a lower-case DNS name";
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
    }
    // Resolvers take a name that ends in a number for an IPv4 address, "0x7f.1" too [WHATWG URL, host parsing].
    if (is_digit(last.front())) return "the host is an address";
    if (labels < 2 || std::ranges::find(inner_domains, last) != inner_domains.end())
        return "the host is an internal name";
    return std::nullopt;
}

std::optional<std::string> problem_with_rest(std::string_view rest) {
    const auto slash = rest.find('/');
    const auto authority = rest.substr(0, slash);
    if (authority.find('@') != std::string_view::npos) return "it names a user";
    // An IPv6 address has colons of its own.
    const auto colon = authority.starts_with('[') ? std::string_view::npos : authority.find(':');
    if (auto problem = problem_with_host(authority.substr(0, colon))) return problem;
    if (colon != std::string_view::npos) {
        const auto port = authority.substr(colon + 1);
        unsigned number = 0;
        for (const char c : port) number = is_digit(c) && number <= 65535 ? number * 10 + unsigned(c - '0') : 65536;
        if (port.empty() || port.front() == '0' || number > 65535) return "the port is not 1 to 65535";
    }
    if (slash == std::string_view::npos) return std::nullopt;
    const auto path = rest.substr(slash);
    if (!std::ranges::all_of(path, is_path_char)) return "the path has characters other than letters, digits and /._~-";
    return std::nullopt;
}

}  // namespace

std::optional<Fault> fault_of_url(std::string_view url, UrlScheme scheme) {
    const std::string_view start = scheme == UrlScheme::http ? "http://" : "https://";
    const std::string remedy = "write a public address such as \"" + std::string{start} + "pki.tsp.example\"";
    if (url.size() > 255) return Fault{"the URL is longer than 255 characters", remedy};
    if (!url.starts_with(start)) return Fault{"it does not start with " + std::string{start}, remedy};
    if (auto problem = problem_with_rest(url.substr(start.size()))) return Fault{std::move(*problem), remedy};
    return std::nullopt;
}

}  // namespace qscd::policy
