// How long a certificate lives, in calendar years. Thread rules: values.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.hpp"

namespace qscd::policy {

class Lifetime {
public:
    static constexpr int max_years = 5;  // certificate profile, 2.1: up to 5 years
    // "5 years", "1 year". Nothing for any other text or beyond 1 to max_years.
    static std::optional<Lifetime> parse(std::string_view text);
    static constexpr Lifetime five_years() { return Lifetime{5}; }

    constexpr int years() const { return years_; }
    // Both ends belong to the period: the same date and time `years` later, less one second; 29 February counts on to
    // 28 February where the year has no leap day [CA-08].
    TimePoint not_after(TimePoint not_before) const;
    constexpr bool operator==(const Lifetime&) const = default;

private:
    explicit constexpr Lifetime(int years) : years_(years) {}
    int years_;
};

}  // namespace qscd::policy
