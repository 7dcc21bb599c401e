#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.hpp"

// A release binary must not hold this symbol; tests/architecture looks for it.
extern "C" {
extern const char qscd_test_clock_marker[];
const char qscd_test_clock_marker[] = "qscd test clock";
}

namespace qscd {

const Clock& process_clock() {
    struct TestClock : Clock {
        TimePoint now() const override {
            const auto real = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
            const char* path = std::getenv("QSCD_TEST_CLOCK_FILE");
            if (path == nullptr) return real;
            char text[32] = {};
            const int file = ::open(path, O_RDONLY | O_CLOEXEC);
            if (file < 0) return real;
            const auto count = ::read(file, text, sizeof text - 1);
            ::close(file);
            if (count <= 0) return real;
            const auto seconds = std::chrono::seconds{std::strtoll(text, nullptr, 10)};
            return text[0] == '+' || text[0] == '-' ? real + seconds : TimePoint{seconds};
        }
    };
    static const TestClock clock;
    return clock;
}

}  // namespace qscd
