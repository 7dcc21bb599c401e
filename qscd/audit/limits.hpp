// The verifier's limits. Thread rules: constants.
#pragma once

#include <chrono>
#include <cstddef>

namespace qscd::audit {

inline constexpr std::chrono::seconds clock_tolerance{60};  // how far a synchronised clock may be set back
inline constexpr std::size_t unclean_starts_a_day = 3;      // more, and people must act
inline constexpr std::size_t longest_line = 64 << 20;       // a closing record may name each of a million cells
inline constexpr std::size_t most_findings = 100;           // told; the others are counted
inline constexpr std::size_t salt_size = 16, id_size = 16;

}  // namespace qscd::audit
