// All chance of a run: from its seed, the same everywhere. Thread rules: one owner.
#pragma once

#include "base/digest.hpp"

namespace qscd::sam::simulation {

class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) { roll(); }
    std::uint64_t roll() {  // splitmix64
        auto z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::uint64_t below(std::uint64_t bound) { return roll() % bound; }
    std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
    bool chance(double probability) { return static_cast<double>(roll() >> 11) * 0x1p-53 < probability; }
    void fill(std::span<std::uint8_t> out) {
        for (std::size_t at = 0; at < out.size(); at += 8) {
            const auto number = roll();
            std::memcpy(out.data() + at, &number, std::min<std::size_t>(8, out.size() - at));
        }
    }
    template <class Fixed>
    Fixed fixed() {
        std::array<std::uint8_t, Fixed::size> bytes;
        fill(bytes);
        return Fixed{bytes};
    }

private:
    std::uint64_t state_;
};

// What base/random gives in this program: from the seed, too.
void seed_process_random(std::uint64_t seed);

}  // namespace qscd::sam::simulation
