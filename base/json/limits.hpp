// What a JSON text may cost us, in one table [API-05]. Both sides of each limit are tested.
#pragma once

#include <cstddef>

namespace qscd::json {

struct Limits {
    std::size_t max_depth = 16;       // arrays and objects open at once
    std::size_t max_bytes = 1 << 20;  // of the text
};

}  // namespace qscd::json
