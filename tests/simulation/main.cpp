// qscd-simulation: the real activation core and the real ledger over a virtual disk, token and clock, from a seed.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "tests/simulation/world.hpp"

namespace {

using namespace qscd::sam::simulation;

constexpr const char* usage =
    "usage: qscd-simulation [--seed N] [--activations N] [--steps N] [--seconds N] [--plant NAME] [--trace]\n"
    "  --seed N         of the first world; each further one counts on (default 1)\n"
    "  --activations N  go on with further worlds until so many were simulated (default 20000)\n"
    "  --seconds N      or go on for so long\n"
    "  --steps N        end each world after so many steps, and check nothing that comes later\n"
    "  --plant NAME     plant a bug; --plant list names them\n"
    "  --trace          print each event\n"
    "exit status: 0 no violation, 1 a violation, 2 wrong use\n";

struct Options {
    std::uint64_t seed = 1, activations = 20'000, seconds = 0, steps = UINT64_MAX;
    Plant plant = Plant::none;
    bool trace = false;
};

bool number_in(const char* text, std::uint64_t& out) {
    const auto* end = text + std::strlen(text);
    return std::from_chars(text, end, out).ptr == end && end != text;
}

bool parse(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--trace") {
            options.trace = true;
            continue;
        }
        if (++i >= argc) return false;
        if (name == "--plant") {
            if (std::string_view{argv[i]} == "list") {
                for (const auto& row : plant_rows) std::printf("%s\n", std::string{row.name}.c_str());
                std::exit(0);
            }
            const auto plant = plant_named(argv[i]);
            if (!plant) return false;
            options.plant = *plant;
            continue;
        }
        std::uint64_t* into = name == "--seed"          ? &options.seed
                              : name == "--activations" ? &options.activations
                              : name == "--seconds"     ? &options.seconds
                              : name == "--steps"       ? &options.steps
                                                        : nullptr;
        if (into == nullptr || !number_in(argv[i], *into)) return false;
    }
    return true;
}

struct Total {
    std::uint64_t worlds = 0, activations = 0, digest = 0;
    std::array<std::uint64_t, kind_names.size()> events{};
    std::array<std::uint64_t, check_names.size()> checks{};
    void add(const World& world) {
        ++worlds;
        activations += world.activations();
        digest = (digest ^ world.events().digest()) * 0x100000001b3;
        for (std::size_t i = 0; i < events.size(); ++i) events[i] += world.events().counts()[i];
        for (std::size_t i = 0; i < checks.size(); ++i) checks[i] += world.books().counts()[i];
    }
    void print() const {
        std::printf("worlds %llu, activations %llu\n", static_cast<unsigned long long>(worlds),
                    static_cast<unsigned long long>(activations));
        for (std::size_t i = 0; i < events.size(); ++i)
            std::printf("%12llu  %s\n", static_cast<unsigned long long>(events[i]), std::string{kind_names[i]}.c_str());
        std::printf("checks that held\n");
        for (std::size_t i = 0; i < checks.size(); ++i)
            std::printf("%12llu  %s\n", static_cast<unsigned long long>(checks[i]),
                        std::string{check_names[i]}.c_str());
        std::printf("digest of all events %016llx\n", static_cast<unsigned long long>(digest));
    }
};

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (!parse(argc, argv, options)) {
        std::fputs(usage, stderr);
        return 2;
    }
    const auto begun = std::chrono::steady_clock::now();
    const auto ran = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(); };
    Total total;
    const auto more = [&] {
        if (options.seconds != 0) return ran() < static_cast<double>(options.seconds);
        return total.activations < options.activations;
    };
    for (auto seed = options.seed; more(); ++seed) {
        World world{seed, options.plant, options.trace};
        try {
            world.run(options.steps);
        } catch (const Violation& violation) {
            std::printf(
                "%slast events above\nVIOLATION with seed %llu at step %llu: %s\nagain: qscd-simulation --seed "
                "%llu%s%s\n",
                world.events().last().c_str(), static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(world.step()), violation.what(), static_cast<unsigned long long>(seed),
                options.plant == Plant::none ? "" : " --plant ",
                std::string{options.plant == Plant::none ? "" : name_of(options.plant)}.c_str());
            return 1;
        }
        total.add(world);
    }
    total.print();
    std::fprintf(stderr, "%.1f s, %.0f activations a second\n", ran(), static_cast<double>(total.activations) / ran());
    return 0;
}
