#include "tests/simulation/events.hpp"

#include <algorithm>

namespace qscd::sam::simulation {

std::string told(const Happened& event) {
    std::array<char, 160> line{};
    std::snprintf(line.data(), line.size(), "step %llu at %lld.%03lld s: %s, owner %u, %llx, %llu",
                  static_cast<unsigned long long>(event.step), static_cast<long long>(event.at / 1000),
                  static_cast<long long>(event.at % 1000),
                  std::string{kind_names[static_cast<std::size_t>(event.kind)]}.c_str(), event.owner,
                  static_cast<unsigned long long>(event.what), static_cast<unsigned long long>(event.more));
    return line.data();
}

std::string Events::last() const {
    std::string out;
    for (auto at = count_ - std::min<std::uint64_t>(count_, last_.size()); at < count_; ++at)
        out += told(last_[at % last_.size()]) + "\n";
    return out;
}

}  // namespace qscd::sam::simulation
