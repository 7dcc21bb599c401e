#include "base/crash_point.hpp"

namespace qscd {

void crash_point(std::string_view) noexcept {}

}  // namespace qscd
