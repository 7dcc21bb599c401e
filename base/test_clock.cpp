#include <array>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <unistd.h>

#include "base/clock_state.hpp"

// A release binary must not hold this symbol; tests/architecture looks for it.
extern "C" {
extern const char qscd_test_clock_marker[];
const char qscd_test_clock_marker[] = "qscd test clock";
}

namespace qscd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// "1789000000", or "+3600" as an offset; behind it, in this order, "jump=-3600" and a clock's state, or neither.
struct Script {
    bool offset;
    seconds time, jump{0};
    std::optional<bool> synchronised = {};
};

std::optional<Script> script() {
    const char* path = std::getenv("QSCD_TEST_CLOCK_FILE");
    if (path == nullptr) return std::nullopt;
    std::array<char, 96> text{};
    const int file = ::open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return std::nullopt;
    const auto count = ::read(file, text.data(), text.size() - 1);
    ::close(file);
    if (count <= 0) return std::nullopt;
    Script out{text[0] == '+' || text[0] == '-', seconds{std::strtoll(text.data(), nullptr, 10)}};
    const std::string_view words{text.data(), static_cast<std::size_t>(count)};
    constexpr std::string_view jump = " jump=";
    if (const auto at = words.find(jump); at != words.npos)
        out.jump = seconds{std::strtoll(text.data() + at + jump.size(), nullptr, 10)};
    if (words.find(" unsynchronised") != words.npos) out.synchronised = false;
    else if (words.find(" synchronised") != words.npos) out.synchronised = true;
    return out;
}

std::chrono::sys_time<milliseconds> real_time() {
    return std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
}

}  // namespace

const Clock& process_clock() {
    struct TestClock : Clock {
        TimePoint now() const override { return std::chrono::floor<seconds>(read_process_clocks().wall); }
    };
    static const TestClock clock;
    return clock;
}

ClockState process_clock_state() {
    const auto said = script();
    auto state = kernel_clock_state();
    if (said && said->synchronised) state.synchronised = *said->synchronised;
    return state;
}

ClockReading read_process_clocks() {
    timespec time{};
    (void)::clock_gettime(CLOCK_BOOTTIME, &time);
    const auto ran = std::chrono::floor<milliseconds>(seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec});
    const auto said = script();
    if (!said) return {real_time(), ran};
    if (!said->offset) return {TimePoint{said->time + said->jump}, milliseconds{said->time}};
    return {real_time() + said->time + said->jump, ran + said->time};
}

}  // namespace qscd
