#include "base/net/message.hpp"

#include <algorithm>

namespace qscd::net {

std::optional<std::string_view> Request::header(std::string_view lower_case_name) const {
    const auto found = std::ranges::find(headers, lower_case_name, &Headers::value_type::first);
    if (found == headers.end()) return std::nullopt;
    return found->second;
}

}  // namespace qscd::net
