// Locations that certificates carry must mean the same thing to everybody: no internal name, no address [CA-46]
// [EN 319 412-2, 4.4.1]. Pure functions; nothing is looked up.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace qscd::policy {

// What is wrong with something that an operator wrote, and what would be right.
struct Fault {
    std::string problem, remedy;
};

enum class UrlScheme { http, https };

// scheme://host[:port][/path] in ASCII: lower-case host of two or more labels under a public (or documentation)
// top-level domain; no user, query or fragment; at most 255 characters. Nothing when the URL is fine.
std::optional<Fault> fault_of_url(std::string_view url, UrlScheme scheme);

}  // namespace qscd::policy
