#include "policy/lifetime.hpp"

namespace qscd::policy {

std::optional<Lifetime> Lifetime::parse(std::string_view text) {
    if (text.size() < 2 || text[0] < '1' || text[0] > '0' + max_years) return std::nullopt;
    const int years = text[0] - '0';
    if (text.substr(1) != (years == 1 ? " year" : " years")) return std::nullopt;
    return Lifetime{years};
}

TimePoint Lifetime::not_after(TimePoint not_before) const {
    const auto day = std::chrono::floor<std::chrono::days>(not_before);
    auto date = std::chrono::year_month_day{day} + std::chrono::years{years_};
    if (!date.ok()) date = date.year() / date.month() / std::chrono::last;
    return std::chrono::sys_days{date} + (not_before - day) - std::chrono::seconds{1};
}

}  // namespace qscd::policy
