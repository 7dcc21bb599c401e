// Are two lots of times from one distribution? Welch's t, after the slowest were dropped: what a neighbour or the disk did
// to a few says nothing about ours. [threat model T-15, T-16] Thread rules: pure.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

namespace qscd::attack {

// |t| at or above this is a leak: one chance in 100,000 for equal distributions.
inline constexpr double leak_threshold = 4.5;

struct Moments {
    double mean, variance, count;
};
inline Moments moments_of(std::vector<double> samples, double keep) {
    std::ranges::sort(samples);
    samples.resize(static_cast<std::size_t>(static_cast<double>(samples.size()) * keep));
    const auto count = static_cast<double>(samples.size());
    double sum = 0, squares = 0;
    for (const auto each : samples) sum += each;
    for (const auto each : samples) squares += (each - sum / count) * (each - sum / count);
    return {sum / count, squares / (count - 1), count};
}

inline double welch_t(const std::vector<double>& left, const std::vector<double>& right, double keep = 0.9) {
    const auto a = moments_of(left, keep), b = moments_of(right, keep);
    return (a.mean - b.mean) / std::sqrt(a.variance / a.count + b.variance / b.count);
}

}  // namespace qscd::attack
