#include "qscd/supervisor/crew.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ranges>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"

namespace qscd::supervisor {
namespace {

using std::chrono::milliseconds;

Result<std::array<Descriptor, 2>> connection() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        return Error{Errc::internal, std::string{"socketpair: "} + std::strerror(errno)};
    return std::array{Descriptor{ends[0]}, Descriptor{ends[1]}};
}

std::string how_it_ended(int status) {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) return "a system call that its filter forbids";
    if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
    return "exit code " + std::to_string(WEXITSTATUS(status));
}

// By its own decision, not by a signal: trying again would end the same way.
bool gave_up(int status) { return WIFEXITED(status) && WEXITSTATUS(status) != 0; }

Error did_not_start(const std::string& name, std::string reason) {
    constexpr std::string_view code = "configuration: ";  // said again by our own code
    if (reason.starts_with(code)) reason.erase(0, code.size());
    return {Errc::configuration, "qscd-" + name + " did not start: " + reason};
}

}  // namespace

Crew::Crew(std::span<const Launch> launches, std::span<const std::string_view> names, std::span<const Link> links,
           Pauses pauses)
    : links_(links.begin(), links.end()), pauses_(pauses) {
    for (std::size_t i = 0; i < launches.size(); ++i) members_.push_back({std::string{names[i]}, launches[i]});
}

Result<void> Crew::start_due() {
    const auto now = Steady::now();
    for (auto& member : members_) {
        if (member.alive() || member.stays_down || member.due > now) continue;
        QSCD_TRY(start(member));
    }
    return success();
}

Result<void> Crew::start(Member& member) {
    auto child = spawn(member.launch);
    if (!child) {
        if (!member.was_started && child.error().code != Errc::service_away)
            return did_not_start(member.name, child.error().detail);
        postpone(member);
        note(Level::warning, "daemon-not-started",
             {{"daemon", member.name},
              {"reason", describe(child.error())},
              {"pause_ms", std::to_string(member.pause.count())}});
        return success();
    }
    if (member.was_started) ++member.restarts;
    member.was_started = true;
    member.ready = false;
    member.started = Steady::now();
    member.child = std::move(child.value());
    make_links_of(member);
    return success();
}

void Crew::postpone(Member& member) {
    member.pause = member.pause.count() == 0 ? pauses_.first : std::min(2 * member.pause, pauses_.longest);
    member.due = Steady::now() + member.pause;
}

std::optional<milliseconds> Crew::next_due() const {
    std::optional<milliseconds> next;
    const auto now = Steady::now();
    for (const auto& member : members_) {
        if (member.alive() || member.stays_down) continue;
        const auto left = std::max(milliseconds{0}, std::chrono::ceil<milliseconds>(member.due - now));
        next = next ? std::min(*next, left) : left;
    }
    return next;
}

Result<void> Crew::reap() {
    for (auto& member : members_) {
        int status = 0;
        if (!member.alive() || ::waitpid(member.child.pid, &status, WNOHANG) != member.child.pid) continue;
        const auto log_start = member.child.log_start;
        const bool never_ready = !member.was_ready && !member.ready;
        member.child = {};
        member.ready = false;
        if (gave_up(status) && never_ready && !all_were_ready())
            return did_not_start(member.name, last_words(member.launch.log, log_start));
        if (WIFEXITED(status) && WEXITSTATUS(status) == process::stay_down) {
            member.stays_down = true;
            note(Level::alarm, "daemon-stays-down", {{"daemon", member.name}});
            continue;
        }
        if (Steady::now() - member.started >= settled_life) member.pause = {};
        postpone(member);
        note(Level::alarm, "daemon-ended",
             {{"daemon", member.name},
              {"how", how_it_ended(status)},
              {"pause_ms", std::to_string(member.pause.count())}});
    }
    return success();
}

std::vector<int> Crew::controls() const {
    std::vector<int> out;
    for (const auto& member : members_)
        if (member.child.control) out.push_back(member.child.control.get());
    return out;
}

void Crew::hear(int control) {
    const auto member = std::ranges::find_if(members_, [&](const auto& m) { return m.child.control.get() == control; });
    if (member == members_.end()) return;
    const auto message = process::receive_control(control);
    if (!message) {
        member->child.control = {};  // its end follows
        return;
    }
    if (message.value().text != "ready") {
        note(Level::warning, "control-message-unknown", {{"daemon", member->name}});
        return;
    }
    member->ready = member->was_ready = true;
}

bool Crew::all_were_ready() const {
    return std::ranges::all_of(members_, [](const auto& member) { return member.was_ready; });
}

void Crew::make_links_of(const Member& member) {
    for (const auto& link : links_)
        if (link.asks == member.name || link.answers == member.name) make(link);
}

void Crew::make(const Link& link) {
    const auto* asker = find(link.asks);
    const auto* answerer = find(link.answers);
    if (asker == nullptr || answerer == nullptr || !asker->alive() || !answerer->alive()) return;
    auto ends = connection();
    if (!ends) {
        note(Level::alarm, "link-not-made",
             {{"asks", asker->name}, {"answers", answerer->name}, {"reason", describe(ends.error())}});
        ::kill(asker->child.pid, SIGKILL);  // its restart makes the link anew
        return;
    }
    deliver(*answerer, "serve " + asker->name, ends.value()[1].get());
    deliver(*asker, "ask " + answerer->name, ends.value()[0].get());
}

// A daemon that cannot be told its links is of no use: ended, it comes back with all of them.
void Crew::deliver(const Member& member, const std::string& text, int descriptor) {
    const auto sent = process::send_control(member.child.control.get(), text, descriptor);
    if (sent) return;
    note(Level::alarm, "link-not-delivered", {{"daemon", member.name}, {"reason", describe(sent.error())}});
    ::kill(member.child.pid, SIGKILL);
}

Crew::Member* Crew::find(std::string_view name) {
    const auto found = std::ranges::find(members_, name, &Member::name);
    return found == members_.end() ? nullptr : &*found;
}

Result<Descriptor> Crew::connect_owner(std::string_view daemon) {
    const auto* member = find(daemon);
    if (member == nullptr) return Error{Errc::parameter_invalid, "there is no daemon of that name"};
    if (!member->alive()) return Error{Errc::service_away, "it is not running"};
    QSCD_TRY(auto ends, connection());
    QSCD_TRY(process::send_control(member->child.control.get(), "serve bootstrap", ends[1].get()));
    return std::move(ends[0]);
}

std::string Crew::status(const Separation& separation) const {
    boost::json::array daemons;
    for (const auto& member : members_)
        daemons.push_back({{"name", member.name},
                           {"pid", member.child.pid},
                           {"state", !member.alive() ? "waiting"
                                     : member.ready  ? "ready"
                                                     : "starting"},
                           {"restarts", member.restarts},
                           {"uid", member.launch.user.value_or(::geteuid())},
                           {"delay_ms", member.pause.count()}});
    return boost::json::serialize(boost::json::object{{"separation", separation.on ? "on" : "off"},
                                                      {"separation_reason", separation.reason},
                                                      {"daemons", std::move(daemons)}});
}

void Crew::stop(const std::function<void(milliseconds)>& wait) {
    for (auto& member : members_ | std::views::reverse) {
        if (!member.alive()) continue;
        ::kill(member.child.pid, SIGTERM);
        const auto deadline = Steady::now() + stop_patience;
        int status = 0;
        while (::waitpid(member.child.pid, &status, WNOHANG) == 0) {
            const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now());
            if (left.count() > 0) {
                wait(left);
                continue;
            }
            note(Level::alarm, "daemon-killed", {{"daemon", member.name}});
            ::kill(member.child.pid, SIGKILL);
            ::waitpid(member.child.pid, &status, 0);
            break;
        }
        member.child = {};
    }
}

}  // namespace qscd::supervisor
