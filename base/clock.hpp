// Time is a parameter, so a test can live through five years. Release binaries link system_clock.cpp; the qscd-*-test
// daemons and the unit tests link test_clock.cpp instead, whose time stands in a file. Thread rules: now() is safe
// from every thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace qscd {

using TimePoint = std::chrono::sys_seconds;

class Clock {
public:
    virtual ~Clock() = default;
    virtual TimePoint now() const = 0;
};

// The clock of this process. In test binaries: the decimal seconds in the file that QSCD_TEST_CLOCK_FILE names (an
// offset to real time when written with a sign, as "+3600"); real time when the variable is not set.
const Clock& process_clock();

class FixedClock : public Clock {
public:
    explicit FixedClock(TimePoint at) : at_(at) {}
    TimePoint now() const override { return at_; }
    void set(TimePoint at) { at_ = at; }
    void advance(std::chrono::seconds by) { at_ += by; }

private:
    TimePoint at_;
};

inline std::int64_t unix_seconds(TimePoint at) { return at.time_since_epoch().count(); }
inline TimePoint from_unix(std::int64_t seconds) { return TimePoint{std::chrono::seconds{seconds}}; }
std::string iso8601(TimePoint at);           // 2026-11-20T11:30:00Z
std::string generalized_time(TimePoint at);  // 20261120113000Z, as CSC writes validity

}  // namespace qscd
