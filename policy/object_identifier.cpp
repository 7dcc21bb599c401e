#include "policy/object_identifier.hpp"

#include <algorithm>

namespace qscd::policy {

bool is_object_identifier(std::string_view text) {
    if (text.size() > 128) return false;
    std::string_view first;
    std::size_t arcs = 0;
    for (auto rest = text;;) {
        const auto dot = rest.find('.');
        const auto arc = rest.substr(0, dot);
        if (arc.empty() || arc.size() > 39 || (arc.size() > 1 && arc.front() == '0') ||
            !std::ranges::all_of(arc, [](char c) { return c >= '0' && c <= '9'; }))
            return false;
        if (arcs == 0 && (arc.size() != 1 || arc > "2")) return false;
        if (arcs == 0) first = arc;
        if (arcs == 1 && first != "2" && (arc.size() > 2 || (arc.size() == 2 && arc > "39"))) return false;
        ++arcs;
        if (dot == std::string_view::npos) break;
        rest.remove_prefix(dot + 1);
    }
    return arcs >= 3;
}

}  // namespace qscd::policy
