#include "tests/instruments/modules/program.hpp"

#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd::instruments {
namespace {

constexpr std::chrono::seconds patience{20};
constexpr std::chrono::milliseconds between_looks{10};
constexpr int not_there = 127;

std::vector<char*> pointers(const std::vector<std::string>& words) {
    std::vector<char*> out;
    for (const auto& word : words) out.push_back(const_cast<char*>(word.c_str()));
    out.push_back(nullptr);
    return out;
}

// All memory is asked for before the fork: the child of a program with threads may not.
::pid_t launch(const std::vector<std::string>& words, const std::filesystem::path& log,
               const Environment& environment) {
    std::vector<std::string> settings{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    for (const auto& [name, value] : environment) settings.push_back(name + "=" + value);
    const auto arguments = pointers(words), variables = pointers(settings);
    const Descriptor nothing{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const Descriptor output{::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)};
    const ::pid_t child = ::fork();
    if (child != 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::dup2(nothing.get(), 0), ::dup2(output.get(), 1), ::dup2(output.get(), 2);
    ::execvpe(arguments.front(), arguments.data(), variables.data());
    ::_exit(not_there);
}

}  // namespace

std::string said_in(const std::filesystem::path& log) {
    const auto text = read_file(log);
    return text ? text.value() : "";
}

Result<void> run(const std::vector<std::string>& words, const std::filesystem::path& log) {
    const auto child = launch(words, log, {});
    if (child < 0) return Error{Errc::internal, "fork"};
    int status = 0;
    if (::waitpid(child, &status, 0) != child) return Error{Errc::internal, "waitpid"};
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return success();
    if (WIFEXITED(status) && WEXITSTATUS(status) == not_there)
        return Error{Errc::not_supported, words.front() + " is not installed"};
    return Error{Errc::internal, words.front() + " failed: " + said_in(log)};
}

Running::Running(const std::vector<std::string>& words, const std::filesystem::path& log,
                 const Environment& environment) {
    process_ = launch(words, log, environment);
}

Running::~Running() {
    if (process_ <= 0) return;
    ::kill(process_, SIGTERM);
    if (!eventually([this] { return ended(); }) && process_ > 0) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
}

bool Running::ended() {
    if (process_ > 0 && ::waitpid(process_, nullptr, WNOHANG) == process_) process_ = 0;
    return process_ <= 0;
}

bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(between_looks);  // a foreign program tells nobody when it is ready
    }
    return true;
}

}  // namespace qscd::instruments
