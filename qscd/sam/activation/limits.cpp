#include "qscd/sam/activation/limits.hpp"

#include <algorithm>
#include <bit>

#include "base/digest.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t portal_mark_size = 8;
constexpr std::int64_t minutes_a_day = 24 * 60;
constexpr unsigned limit_factor = 5, smallest_step = 4;

std::string mark_of(const ClientId& portal) {
    const auto digest = sha256(view_of(portal.text()));
    return std::string{text_of(digest.bytes().first(portal_mark_size))};
}

bool within(std::int64_t at, std::chrono::seconds span, TimePoint now) { return from_unix(at) + span > now; }

std::int64_t minute_of(TimePoint now) { return unix_seconds(now) / 60; }

// Quarters of powers of two: 4, 5, 6, 7, 8, 10, 12, 14, 16, 20 …
constexpr std::size_t step_of(unsigned count) {
    const auto power = static_cast<unsigned>(std::bit_width(count)) - 1;
    return 4 * (power - 2) + (count >> (power - 2) & 3);
}
constexpr unsigned least_of(std::size_t step) { return static_cast<unsigned>((4 + step % 4) << (step / 4)); }
static_assert(step_of(4) == 0 && step_of(7) == 3 && step_of(8) == 4 && step_of(9) == 4 && step_of(20) == 9);
static_assert(least_of(0) == 4 && least_of(3) == 7 && least_of(4) == 8 && least_of(9) == 20);

}  // namespace

std::string_view name_of(Refusal refusal) {
    constexpr std::array<std::string_view, 6> names{
        "failures of the service", "failures of the portal", "tries of portal and credential",
        "tries in ten minutes",    "tries of the day",       "messages of the day"};
    return names[static_cast<std::size_t>(refusal)];
}

std::optional<Refusal> too_many(const cell::Credential& cell, const ClientId& portal, unsigned tries,
                                unsigned tries_a_day, TimePoint now) {
    const auto mark = mark_of(portal);
    for (const auto& limit : tries_limits) {
        auto used = tries;
        for (const auto& check : cell.failed_checks())
            if (within(check.at(), limit.span, now) && (!limit.of_one_portal || check.portal() == mark))
                used += check.tries();
        const auto most = limit.refusal == Refusal::credential_day ? std::min(limit.tries, tries_a_day) : limit.tries;
        if (used > most) return limit.refusal;
    }
    return std::nullopt;
}

void count_failed(cell::Credential& cell, const ClientId& portal, unsigned tries, TimePoint now) {
    auto& checks = *cell.mutable_failed_checks();
    checks.erase(std::remove_if(checks.begin(), checks.end(),
                                [&](const auto& check) { return !within(check.at(), check_memory, now); }),
                 checks.end());
    auto& check = *checks.Add();
    check.set_at(unix_seconds(now));
    check.set_portal(mark_of(portal));
    check.set_tries(tries);
}

void take_back_challenge(cell::Credential& cell, const ClientId& portal) {
    const auto mark = mark_of(portal);
    auto& checks = *cell.mutable_failed_checks();
    for (int i = checks.size(); i-- > 0;)
        if (checks[i].portal() == mark && checks[i].tries() == tries_of_a_challenge) return checks.DeleteSubrange(i, 1);
}

std::optional<Refusal> too_many_messages(const cell::Device& phone, TimePoint now) {
    const auto sent = std::ranges::count_if(phone.sms_sent(), [&](auto at) { return within(at, check_memory, now); });
    return sent >= messages_a_day ? std::optional{Refusal::phone} : std::nullopt;
}

void count_message(cell::Device& phone, TimePoint now) {
    auto& sent = *phone.mutable_sms_sent();
    sent.erase(std::remove_if(sent.begin(), sent.end(), [&](auto at) { return !within(at, check_memory, now); }),
               sent.end());
    sent.Add(unix_seconds(now));
}

void FailureRate::count(TimePoint now) {
    if (const auto minute = minute_of(now); minute > minute_) {
        const auto ended = from_unix(minute_ * 60);
        if (count_ >= smallest_step && !reached(ended)) {
            const auto day = minute_ / minutes_a_day;
            auto& kept = days_[static_cast<std::size_t>(day) % days];
            if (kept.day != day) kept = {.day = day};
            ++kept.minutes[std::min(step_of(count_), steps - 1)];
        }
        minute_ = minute;
        count_ = 0;
    }
    ++count_;
}

unsigned FailureRate::in_minute_of(TimePoint now) const { return minute_of(now) > minute_ ? 0 : count_; }

unsigned FailureRate::limit(TimePoint now) const {
    return std::max(floor_, limit_factor * median(std::max(minute_of(now), minute_) / minutes_a_day));
}

unsigned FailureRate::median(std::int64_t day) const {
    std::int64_t busier = 0;
    for (auto step = steps; step-- > 0;) {
        for (const auto& kept : days_)
            if (kept.day > day - static_cast<std::int64_t>(days)) busier += kept.minutes[step];
        if (2 * busier >= static_cast<std::int64_t>(days) * minutes_a_day) return least_of(step);
    }
    return 0;
}

bool FailureRate::remembers(TimePoint now) const {
    const auto oldest = minute_of(now) / minutes_a_day - static_cast<std::int64_t>(days);
    return std::ranges::any_of(days_, [&](const Day& kept) { return kept.day > oldest; });
}

std::optional<Refusal> Limits::ask(const ClientId& portal, TimePoint now) const {
    if (service_.reached(now)) return Refusal::service;
    if (rate_of(portal)->reached(now)) return Refusal::portal;
    return std::nullopt;
}

std::vector<Refusal> Limits::failed(const ClientId& portal, TimePoint now) {
    std::vector<Refusal> reached;
    const auto count = [&](FailureRate& rate, Refusal refusal) {
        const bool before = rate.reached(now);
        rate.count(now);
        if (!before && rate.reached(now)) reached.push_back(refusal);
    };
    count(service_, Refusal::service);
    count(rate_for(portal, now), Refusal::portal);
    return reached;
}

Limits::Tripped Limits::tripped(TimePoint now) const {
    Tripped out{service_.reached(now), {}};
    for (const auto& [portal, rate] : portals_)
        if (rate.reached(now)) out.portals.push_back(portal.text());
    if (others_.reached(now)) out.portals.emplace_back("(others)");
    return out;
}

const FailureRate* Limits::rate_of(const ClientId& portal) const {
    const auto found = portals_.find(portal);
    if (found != portals_.end()) return &found->second;
    static const FailureRate fresh{portal_floor};
    return portals_.size() < most_portals ? &fresh : &others_;
}

FailureRate& Limits::rate_for(const ClientId& portal, TimePoint now) {
    if (const auto found = portals_.find(portal); found != portals_.end()) return found->second;
    if (portals_.size() >= most_portals) {
        const auto quiet = std::ranges::find_if(portals_, [&](const auto& each) {
            return each.second.in_minute_of(now) == 0 && !each.second.remembers(now);
        });
        if (quiet == portals_.end()) return others_;
        portals_.erase(quiet);
    }
    return portals_.emplace(portal, FailureRate{portal_floor}).first->second;
}

}  // namespace qscd::sam
