#include "qscd/supervisor/supervisor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <poll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"
#include "qscd/supervisor/crew.hpp"
#include "qscd/supervisor/log_echo.hpp"
#include "qscd/supervisor/owner_door.hpp"
#include "qscd/supervisor/ownership.hpp"

namespace qscd::supervisor {
namespace {

constexpr std::size_t callers_limit = 16;

// SIGTERM, SIGINT and SIGCHLD as events instead of interruptions.
class Signals {
public:
    Signals() {
        ::sigemptyset(&mask_);
        for (const int each : {SIGTERM, SIGINT, SIGCHLD}) ::sigaddset(&mask_, each);
        ::pthread_sigmask(SIG_BLOCK, &mask_, &before_);
        events_ = Descriptor{::signalfd(-1, &mask_, SFD_CLOEXEC | SFD_NONBLOCK)};
    }
    Signals(const Signals&) = delete;
    ~Signals() {
        take();  // a second Ctrl-C during the stop must not end us now
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    int events() const { return events_.get(); }

    struct Seen {
        bool end = false, child = false;
    };
    Seen take() const {
        Seen seen;
        signalfd_siginfo one{};
        while (::read(events_.get(), &one, sizeof one) == static_cast<ssize_t>(sizeof one))
            (one.ssi_signo == SIGCHLD ? seen.child : seen.end) = true;
        return seen;
    }
    void wait(std::chrono::milliseconds longest) const {
        pollfd watched{events_.get(), POLLIN, 0};
        ::poll(&watched, 1, static_cast<int>(longest.count()));
        take();
    }

private:
    sigset_t mask_{}, before_{};
    Descriptor events_;
};

Result<Descriptor> readable(std::string_view text) {
    Descriptor file{::memfd_create("qscd-status", MFD_CLOEXEC)};
    if (!file || ::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return Error{Errc::internal, std::string{"memfd: "} + std::strerror(errno)};
    return file;
}

class Loop {
public:
    Loop(Crew crew, OwnerDoor door, const Signals& signals, const Separation& separation, std::optional<LogEcho> echo)
        : crew_(std::move(crew)),
          door_(std::move(door)),
          signals_(signals),
          separation_(separation),
          echo_(std::move(echo)) {}

    Result<void> run(const std::function<void()>& on_ready) {
        auto result = turn(on_ready);
        callers_.clear();
        note("stopping");
        crew_.stop([this](std::chrono::milliseconds longest) { signals_.wait(longest); });
        if (echo_) echo_->copy();
        return result;
    }

private:
    // Until a signal to end, or a failed first start.
    Result<void> turn(const std::function<void()>& on_ready) {
        bool told = false;
        for (;;) {
            QSCD_TRY(crew_.start_due());
            const auto watched = wait();
            // Signals last: a restart may reuse the number of a descriptor that an older event is about.
            for (const auto& each : watched)
                if (each.revents != 0 && each.fd != signals_.events()) act(each.fd);
            const auto seen = signals_.take();
            if (seen.end) return success();
            if (seen.child) {
                // What a process said before it ended counts.
                for (const int control : crew_.controls()) drain(control);
                QSCD_TRY(crew_.reap());
            }
            if (!told && crew_.all_were_ready()) {
                told = true;
                note("all-ready");
                if (on_ready) on_ready();
            }
        }
    }

    std::vector<pollfd> wait() const {
        std::vector<pollfd> watched{{signals_.events(), POLLIN, 0}, {door_.listener(), POLLIN, 0}};
        if (echo_ && echo_->events() >= 0) watched.push_back({echo_->events(), POLLIN, 0});
        for (const auto& caller : callers_) watched.push_back({caller.get(), POLLIN, 0});
        for (const int control : crew_.controls()) watched.push_back({control, POLLIN, 0});
        const auto due = crew_.next_due();
        if (::poll(watched.data(), watched.size(), due ? static_cast<int>(due->count()) : -1) < 0)
            for (auto& each : watched) each.revents = 0;
        return watched;
    }

    void act(int descriptor) {
        if (descriptor == door_.listener()) return welcome();
        if (echo_ && descriptor == echo_->events()) return echo_->copy();
        const auto caller = std::ranges::find(callers_, descriptor, &Descriptor::get);
        if (caller == callers_.end()) return crew_.hear(descriptor);
        answer(*caller);
        callers_.erase(caller);  // one question a connection
    }

    void drain(int control) {
        pollfd watched{control, POLLIN, 0};
        if (::poll(&watched, 1, 0) == 1) crew_.hear(control);
    }

    void welcome() {
        auto caller = door_.accept();
        if (!caller) return;
        if (callers_.size() >= callers_limit) callers_.erase(callers_.begin());  // the oldest had its time
        callers_.push_back(std::move(caller));
    }

    void answer(const Descriptor& caller) {
        constexpr std::string_view connect = "connect ";
        const auto request = process::receive_control(caller.get());
        if (!request) return;
        const auto& text = request.value().text;
        auto found = text == "status"            ? readable(crew_.status(separation_))
                     : text.starts_with(connect) ? crew_.connect_owner(std::string_view{text}.substr(connect.size()))
                                                 : Error{Errc::parameter_invalid, "unknown request"};
        // A caller that is gone misses its answer, no more.
        if (found) (void)process::send_control(caller.get(), "ok", found.value().get());
        else (void)process::send_control(caller.get(), "error " + found.error().detail);
    }

    Crew crew_;
    OwnerDoor door_;
    const Signals& signals_;
    const Separation& separation_;
    std::optional<LogEcho> echo_;
    std::vector<Descriptor> callers_;
};

Result<std::vector<std::filesystem::path>> binaries_in(const std::filesystem::path& folder, const Options& options) {
    std::vector<std::filesystem::path> out;
    std::error_code error;
    const auto absolute = std::filesystem::absolute(folder, error);
    for (const auto daemon : options.daemons) {
        out.push_back(absolute / ("qscd-" + std::string{daemon} + (options.test_binaries ? "-test" : "")));
        if (::access(out.back().c_str(), X_OK) != 0)
            return Error{Errc::configuration, out.back().string() + ": " + std::strerror(errno)};
    }
    return out;
}

}  // namespace

Result<void> up(const policy::Deployment& deployment, const std::filesystem::path& binaries, const Options& options) {
    const Signals signals;
    if (signals.events() < 0) return Error{Errc::internal, std::string{"signalfd: "} + std::strerror(errno)};
    QSCD_TRY(const auto paths, binaries_in(binaries, options));
    QSCD_TRY(const auto folder, RunFolder::open_or_create(deployment.folder));
    QSCD_TRY(const auto lock, folder.lock());
    const auto separation = decide_separation(deployment, paths);
    if (!separation.on) note(Level::warning, "separation-off", {{"reason", separation.reason}});
    QSCD_TRY(settle_ownership(deployment, options.daemons, separation));

    const auto logs = deployment.folder / "log";
    std::optional<LogEcho> echo;
    if (options.verbose) echo.emplace(logs);
    std::vector<Launch> launches;
    for (std::size_t i = 0; i < paths.size(); ++i) {
        const auto log = logs / (std::string{options.daemons[i]} + ".log");
        if (echo) echo->follow(log);
        launches.push_back({paths[i], deployment.folder, log, separation.user_of(i)});
    }
    QSCD_TRY(auto door, OwnerDoor::open(folder));
    Loop loop{Crew{launches, options.daemons, options.links, options.pauses}, std::move(door), signals, separation,
              std::move(echo)};
    return loop.run(options.on_ready);
}

}  // namespace qscd::supervisor
