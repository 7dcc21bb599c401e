// A deployment in a temporary folder whose daemons are all the echo daemon, and a supervisor of it in a process of its
// own, as `qscd up` is. Waiting is for conditions, with deadlines.
#pragma once

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/diagnostics.hpp"
#include "base/json/object.hpp"
#include "base/process/daemon.hpp"
#include "protocol/channel.hpp"
#include "protocol/services.pb.h"
#include "qscd/supervisor/client.hpp"
#include "qscd/supervisor/supervisor.hpp"

namespace qscd::supervisor {

namespace fs = std::filesystem;

inline constexpr std::chrono::seconds patience{20};

inline bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 2);
    }
    return true;
}

struct DaemonStatus {
    std::string name, state;
    pid_t pid;
    std::int64_t restarts, uid, delay_ms;
};

inline std::vector<DaemonStatus> daemons_in(const std::string& status) {
    std::vector<DaemonStatus> out;
    const auto text = json::Object::parse(status);
    if (!text) return out;
    const auto daemons = text.value().objects("daemons", 16).value();
    for (const auto& each : daemons)
        out.push_back({each.string("name", 64).value(), each.string("state", 64).value(),
                       static_cast<pid_t>(each.integer("pid").value()), each.integer("restarts").value(),
                       each.integer("uid").value(), each.integer("delay_ms").value()});
    return out;
}

class RunningDeployment : public testing::Test {
protected:
    void SetUp() override {
        ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // what a supervisor leaves behind becomes ours, and is seen
        std::string pattern = (fs::temp_directory_path() / "qscd-supervisor-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        top_ = pattern;
        fs::permissions(top_, fs::perms{0755});
        deployment_.folder = top_ / "deployment";
        deployment_.own_users = false;
        deployment_.first_user = 61'200;
        deployment_.shards = {{.number = 1, .token = "qscd-signers-1", .module = "softhsm2", .profiles = {}}};
        fs::create_directories(deployment_.folder);
        fs::create_directories(binaries());
        fs::copy_file(QSCD_ECHO_DAEMON,
                      binaries() / "echo");  // a copy: the build's folder may be closed to other users
        for (const auto daemon : product_daemons)
            fs::create_symlink("echo", binaries() / ("qscd-" + std::string{daemon}));
    }
    void TearDown() override {
        if (supervisor_ > 0) stop();
        int status = 0;
        EXPECT_EQ(::waitpid(-1, &status, WNOHANG), -1) << "a process was left behind";
        std::error_code error;
        fs::remove_all(top_, error);
    }

    fs::path binaries() const { return top_ / "bin"; }
    fs::path in(std::string_view path) const { return deployment_.folder / path; }

    // Forks a supervisor; `prepare` runs in it first.
    void launch(Options options = {}, const std::function<void()>& prepare = {}) {
        int ends[2];
        ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
        said_ = Descriptor{ends[0]};
        const Descriptor say{ends[1]};
        supervisor_ = ::fork();
        ASSERT_GE(supervisor_, 0);
        if (supervisor_ > 0) return;
        const auto tell = [&](const std::string& text) { (void)!::write(say.get(), text.data(), text.size()); };
        if (prepare) prepare();
        start_diagnostics("qscd");
        process::harden();
        options.on_ready = [&] { tell("ready\n"); };
        const auto result = up(deployment_, binaries(), options);
        if (!result) tell(describe(result.error()) + "\n");
        ::_exit(result ? 0 : 1);
    }
    void start(Options options = {}, const std::function<void()>& prepare = {}) {
        launch(std::move(options), prepare);
        ASSERT_EQ(hear(), "ready\n");
    }
    // The next thing the supervisor says; empty when it ended.
    std::string hear() const {
        pollfd watched{said_.get(), POLLIN, 0};
        if (::poll(&watched, 1, static_cast<int>(std::chrono::milliseconds{patience}.count())) != 1) return "(silence)";
        std::string text(4096, '\0');
        const auto count = ::read(said_.get(), text.data(), text.size());
        text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return text;
    }
    // The supervisor's exit code, or minus the signal that ended it.
    int wait() {
        int status = 0;
        EXPECT_TRUE(eventually([&] { return ::waitpid(supervisor_, &status, WNOHANG) == supervisor_; }));
        supervisor_ = 0;
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    }
    int stop(int signal = SIGTERM) {
        if (supervisor_ > 0) ::kill(supervisor_, signal);
        return wait();
    }

    std::vector<DaemonStatus> daemons() const {
        const auto text = status(deployment_);
        return text ? daemons_in(text.value()) : std::vector<DaemonStatus>{};
    }
    DaemonStatus daemon(std::string_view name) const {
        for (const auto& each : daemons())
            if (each.name == name) return each;
        return {};
    }

    // SIGKILL to a daemon that runs.
    void end(std::string_view name) const {
        const auto pid = daemon(name).pid;
        ASSERT_GT(pid, 0) << name;  // 0 would be this process and all its group
        ::kill(pid, SIGKILL);
    }

    // Asks `daemon` as the owner, over a connection of its own; `to` names the daemon it shall pass the question to.
    Result<std::string> ask(std::string_view daemon, const std::string& to, const std::string& text) const {
        QSCD_TRY(auto socket, connect_to(deployment_, daemon));
        protocol::Client client{std::string{daemon}};
        client.connect(std::move(socket));
        pb::Notify request;
        request.set_to(to);
        request.set_text(text);
        QSCD_TRY(const auto answer, client.call<pb::ServiceHealthReport>(request));
        return answer.detail();
    }

    static void write(const fs::path& path, std::string_view content, unsigned mode = 0600) {
        fs::create_directories(path.parent_path());
        ASSERT_TRUE(write_file(path, content, mode));
    }
    static struct stat state_of(const fs::path& path) {
        struct stat out{};
        EXPECT_EQ(::lstat(path.c_str(), &out), 0) << path;
        return out;
    }
    static unsigned mode_of(const fs::path& path) { return state_of(path).st_mode & 07777; }

    fs::path top_;
    policy::Deployment deployment_{};
    pid_t supervisor_ = 0;
    Descriptor said_;
};

}  // namespace qscd::supervisor
