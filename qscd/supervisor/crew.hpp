// The daemons while they run: processes, links, restarts. What happens when is the event loop's business
// (supervisor.cpp). Thread rules: one thread.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <vector>

#include "qscd/supervisor/child.hpp"
#include "qscd/supervisor/daemons.hpp"
#include "qscd/supervisor/separation.hpp"

namespace qscd::supervisor {

using Steady = std::chrono::steady_clock;

inline constexpr std::chrono::seconds settled_life{30};  // after which the next pause is the first again
inline constexpr std::chrono::seconds stop_patience{10};

class Crew {
public:
    Crew(std::span<const Launch> launches, std::span<const std::string_view> names, std::span<const Link> links,
         Pauses pauses);

    // Starts whom it is time for. An error means that a start cannot work and never has.
    Result<void> start_due();
    // How long until start_due() has work; empty when nobody waits.
    std::optional<std::chrono::milliseconds> next_due() const;

    // Takes note of processes that ended. Errc::configuration: one gave up before it was ever ready, in the first start.
    Result<void> reap();

    // The control sockets to wait for, and what to do when one is readable.
    std::vector<int> controls() const;
    void hear(int control);
    bool all_were_ready() const;

    // Errc::parameter_invalid: nobody of that name. Errc::service_away: not running.
    Result<Descriptor> connect_owner(std::string_view daemon);
    std::string status(const Separation& separation) const;  // JSON, see client.hpp

    // In reverse order, SIGTERM, then SIGKILL. `wait` waits for a child's end or the given time.
    void stop(const std::function<void(std::chrono::milliseconds)>& wait);

private:
    struct Member {
        std::string name;
        Launch launch;
        Child child = {};
        bool ready = false, was_ready = false, was_started = false;
        bool stays_down = false;  // it said so
        unsigned restarts = 0;
        std::chrono::milliseconds pause{0};
        Steady::time_point started = {}, due = {};
        bool alive() const { return child.pid != 0; }
    };
    Result<void> start(Member& member);
    void postpone(Member& member);
    void make_links_of(const Member& member);
    void make(const Link& link);
    void deliver(const Member& member, const std::string& text, int descriptor);
    Member* find(std::string_view name);

    std::vector<Member> members_;
    std::vector<Link> links_;
    Pauses pauses_;
};

}  // namespace qscd::supervisor
