// What a process gets from outside, once for this program: randomness out of the seed, no clock of its own, and no crash
// points, because here the disk and the token crash it.
#include "base/clock.hpp"
#include "base/clock_state.hpp"
#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "base/random.hpp"
#include "tests/simulation/dice.hpp"

namespace qscd {
namespace {

sam::simulation::Dice& process_dice() {
    static sam::simulation::Dice dice{0};
    return dice;
}

}  // namespace

void fill_random(std::span<std::uint8_t> out) { process_dice().fill(out); }

std::string random_digits(std::size_t count) {
    std::string out;
    while (out.size() < count) out += static_cast<char>('0' + process_dice().below(10));
    return out;
}

void crash_point(std::string_view) noexcept {}

// Alarms about stale owners are part of every run.
void start_diagnostics(std::string_view) {}
void note(Level, std::string_view, std::initializer_list<Field>) {}

const Clock& process_clock() {
    static const FixedClock clock{from_unix(0)};
    return clock;
}
ClockState process_clock_state() { return {true, {}}; }
ClockReading read_process_clocks() { return {}; }

void sam::simulation::seed_process_random(std::uint64_t seed) { process_dice() = Dice{seed}; }

}  // namespace qscd
