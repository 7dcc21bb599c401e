// Object identifiers that operators write. Thread rules: pure functions.
#pragma once

#include <string_view>

namespace qscd::policy {

// Dotted decimal with at least three arcs, as ITU-T X.660 allows them: no leading zeros, first arc 0 to 2, second at
// most 39 below the first two; each arc at most 39 digits (a UUID under 2.25), 128 characters in all.
bool is_object_identifier(std::string_view text);

}  // namespace qscd::policy
