#include "base/clock.hpp"

namespace qscd {

const Clock& process_clock() {
    struct SystemClock : Clock {
        TimePoint now() const override {
            return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
        }
    };
    static const SystemClock clock;
    return clock;
}

}  // namespace qscd
