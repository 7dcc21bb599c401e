// How often somebody may be wrong [threat model 6.3] [AUTHN-29] [AUTHN-38]. None of it touches a PIN try: whoever lacks the
// held factor can make a signer wait, and no more.
//
// In the cells, so committed with what they count, and a restart gives nothing back:
//   per credential       30 tries a day and 9 in ten minutes: ten and three challenges of three tries
//   per (portal, it)     15 tries a day: five challenges
//   per phone            10 messages a day, whatever portal asks and whatever becomes of them. Counted in the phone's
//                        device cell: a number enrolled as two devices counts twice.
// A challenge counts whole from when it is opened, and no more once its authorisation succeeded; so an abandoned one has
// counted all along, and to answer an open one costs nothing more. An app's code counts one when it is wrong.
//
// In the memory of the process, as rates by whole minutes of the clock:
//   per portal           failed checks (wrong code, wrong PIN, unknown or blocked credential): 5 times the portal's median
//                        over seven days, at least 20 a minute
//   over the service     the same rule, at least 100: a single portal at its own floor must not stop the others
// Over a portal's limit only its requests are refused until the minute ends; over the service's, everybody's: the factors
// that could go on, the app challenge, approval on the phone and passkeys, do not exist yet.
//
// The median is over all 10,080 minutes of seven days, and a minute that nobody watched, before the start or while the
// process was down, counts as one without failures: a restart makes limits tighter, never wider. What a minute had already
// used up is in the log: whoever takes the log over calls failed() with what it says of the last minute, before the first
// ask(). A minute that reached its limit does not enter the median: no flood raises its own limit.
// Thread rules: Limits is the core thread's; the rest is pure.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "qscd/sam/cells/cell.pb.h"

namespace qscd::sam {

// Why too_many_requests. For the log's sealed field and for health: outside they all look the same.
enum class Refusal : std::uint8_t { service, portal, portal_and_credential, credential_burst, credential_day, phone };
std::string_view name_of(Refusal refusal);

inline constexpr unsigned tries_of_a_challenge = 3, tries_of_a_code = 1;
inline constexpr std::chrono::hours check_memory{24};

struct TriesLimit {
    Refusal refusal;
    unsigned tries;
    std::chrono::seconds span;
    bool of_one_portal;
};
inline constexpr std::array tries_limits{
    TriesLimit{Refusal::portal_and_credential, 15, check_memory, true},
    TriesLimit{Refusal::credential_burst, 9, std::chrono::minutes{10}, false},
    TriesLimit{Refusal::credential_day, 30, check_memory, false},
};
inline constexpr int messages_a_day = 10;

// Would `tries` more be too many? Ask before a challenge is opened (3) and before an app's code is looked at (1), not
// before an open challenge is answered. `tries_a_day` is the profile's own limit, where it is lower than ours.
std::optional<Refusal> too_many(const cell::Credential& cell, const ClientId& portal, unsigned tries,
                                unsigned tries_a_day, TimePoint now);
// A challenge was opened (3), an app's code was wrong (1). Forgets what is older than a day; so an entry for each try of a
// day is the most that a cell holds.
void count_failed(cell::Credential& cell, const ClientId& portal, unsigned tries, TimePoint now);
// The authorisation that this portal's challenge was opened for succeeded.
void take_back_challenge(cell::Credential& cell, const ClientId& portal);

std::optional<Refusal> too_many_messages(const cell::Device& phone, TimePoint now);
void count_message(cell::Device& phone, TimePoint now);

// Failed checks by the minute, and seven days of them as one histogram a day: how many minutes had how many, in steps of a
// quarter of a power of two from 4 on (fewer never move a limit). 700 bytes, whatever happens.
class FailureRate {
public:
    explicit FailureRate(unsigned floor) : floor_(floor) {}
    // The minutes of `now` and later; an earlier `now` counts as the newest minute seen.
    void count(TimePoint now);
    unsigned in_minute_of(TimePoint now) const;
    unsigned limit(TimePoint now) const;
    bool reached(TimePoint now) const { return in_minute_of(now) >= limit(now); }
    std::int64_t newest_minute() const { return minute_; }
    bool remembers(TimePoint now) const;  // does a minute of the last seven days move the limit?

private:
    static constexpr std::size_t steps = 48, days = 7;
    struct Day {
        std::int64_t day = -1;
        std::array<std::uint16_t, steps> minutes{};
    };
    unsigned median(std::int64_t day) const;
    unsigned floor_, count_ = 0;
    std::int64_t minute_ = 0;
    std::array<Day, days> days_{};
};

class Limits {
public:
    static constexpr unsigned portal_floor = 20, service_floor = 100;
    // Portals are named by the gateway: more than that share one rate, unless one long quiet can be forgotten.
    static constexpr std::size_t most_portals = 1024;

    // Before anything is spent, and before it is known whether the credential exists.
    std::optional<Refusal> ask(const ClientId& portal, TimePoint now) const;
    // Returns the limits that this very failure reached: one alarm each, once a minute.
    std::vector<Refusal> failed(const ClientId& portal, TimePoint now);

    struct Tripped {
        bool service = false;
        std::vector<std::string> portals;  // by client_id; "(others)" for those that share a rate
        explicit operator bool() const { return service || !portals.empty(); }
    };
    Tripped tripped(TimePoint now) const;  // for health

private:
    const FailureRate* rate_of(const ClientId& portal) const;
    FailureRate& rate_for(const ClientId& portal, TimePoint now);
    FailureRate service_{service_floor}, others_{portal_floor};
    std::map<ClientId, FailureRate> portals_;
};

}  // namespace qscd::sam
