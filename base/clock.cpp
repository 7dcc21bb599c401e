#include "base/clock.hpp"

#include <array>
#include <ctime>

namespace qscd {
namespace {

std::string formatted(TimePoint at, const char* format) {
    const std::time_t seconds = unix_seconds(at);
    std::tm parts{};
    (void)gmtime_r(&seconds, &parts);  // fails only beyond the year 2^31
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

}  // namespace

std::string iso8601(TimePoint at) { return formatted(at, "%Y-%m-%dT%H:%M:%SZ"); }
std::string generalized_time(TimePoint at) { return formatted(at, "%Y%m%d%H%M%SZ"); }

}  // namespace qscd
