#include <charconv>

#include "base/net/client.hpp"
#include "base/net/syntax.hpp"

namespace qscd::net {

Result<Endpoint> Endpoint::from_url(std::string_view url) {
    const auto refused = [&](std::string_view why) {
        return Error{Errc::configuration, "URL " + std::string{url} + ": " + std::string{why}};
    };
    Endpoint out;
    const auto scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) return refused("begins neither with https:// nor http://");
    const auto scheme = url.substr(0, scheme_end);
    if (same_word(scheme, "https")) {
        out.tls = true;
        out.port = 443;
    } else if (same_word(scheme, "http")) {
        out.tls = false;
        out.port = 80;
    } else {
        return refused("begins neither with https:// nor http://");
    }
    const auto rest = url.substr(scheme_end + 3);
    auto authority = rest.substr(0, rest.find_first_of("/?#"));
    auto path = rest.substr(authority.size());
    if (!is_host(authority)) return refused("a host, perhaps with :port, should follow the scheme");
    const auto colon = authority.find(':', authority.starts_with('[') ? authority.find(']') : 0);
    if (colon != std::string_view::npos) {
        const auto digits = authority.substr(colon + 1);
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
        if (parsed.ec != std::errc{} || out.port == 0) return refused("the port should be 1 to 65535");
        authority = authority.substr(0, colon);
    }
    if (authority.starts_with('[')) authority = authority.substr(1, authority.size() - 2);
    out.host = std::string{authority};
    while (path.ends_with('/')) path.remove_suffix(1);
    if (!path.empty() && (!is_origin_form(path) || path.find('?') != std::string_view::npos))
        return refused("only a path should follow the host");
    out.base_path = std::string{path};
    return out;
}

}  // namespace qscd::net
