#include "tests/integration/program.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd::integration {
namespace {

constexpr int cannot_execute = 127;
constexpr int above_all_inputs = 64;

Descriptor memory_file(const std::string& content = {}) {
    Descriptor out{
        ::fcntl(Descriptor{::memfd_create("qscd-test", MFD_CLOEXEC)}.get(), F_DUPFD_CLOEXEC, above_all_inputs)};
    const auto written = ::write(out.get(), content.data(), content.size());
    require(written == static_cast<ssize_t>(content.size()), "a file in memory");
    ::lseek(out.get(), 0, SEEK_SET);
    return out;
}

std::string content_of(const Descriptor& file) {
    std::string out(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)), '\0');
    const auto count = ::pread(file.get(), out.data(), out.size(), 0);
    out.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return out;
}

[[noreturn]] void become(const std::vector<std::string>& words) {
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(cannot_execute);
}

}  // namespace

void require(bool condition, const std::string& what) {
    if (!condition) throw std::runtime_error{what};
}

bool eventually(const std::function<bool()>& condition, std::chrono::seconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::poll(nullptr, 0, 10);
    }
    return true;
}

Finished run_at_terminal(const std::vector<std::string>& words, const std::vector<std::string>& answers) {
    int master = -1;
    const auto child = ::forkpty(&master, nullptr, nullptr, nullptr);
    require(child >= 0, "forkpty");
    if (child == 0) become(words);
    const Descriptor screen{master};
    Finished finished;
    auto next = answers.begin();
    std::string since_answer;
    char some[256];
    for (ssize_t count = 0; (count = ::read(screen.get(), some, sizeof some)) > 0;) {
        finished.out.append(some, static_cast<std::size_t>(count));
        since_answer.append(some, static_cast<std::size_t>(count));
        if (next == answers.end() || !since_answer.ends_with(": ")) continue;
        const auto typed = *next++ + "\n";
        require(::write(screen.get(), typed.data(), typed.size()) == static_cast<ssize_t>(typed.size()), "typing");
        since_answer.clear();
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    finished.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    return finished;
}

Finished run_program(const std::vector<std::string>& words, const std::map<int, std::string>& inputs) {
    const auto out = memory_file(), err = memory_file();
    std::map<int, Descriptor> files;
    for (const auto& [number, content] : inputs) files.emplace(number, memory_file(content));
    const Descriptor nothing{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
    const auto child = ::fork();
    require(child >= 0, "fork");
    if (child == 0) {
        ::dup2(nothing.get(), STDIN_FILENO);
        ::dup2(out.get(), STDOUT_FILENO);
        ::dup2(err.get(), STDERR_FILENO);
        for (const auto& [number, file] : files) ::dup2(file.get(), number);
        become(words);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) require(errno == EINTR, "waitpid");
    return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), content_of(out), content_of(err)};
}

pid_t start_program(const std::vector<std::string>& words, const std::filesystem::path& log) {
    const auto parent = ::getpid();
    const auto child = ::fork();
    require(child >= 0, "fork");
    if (child > 0) return child;
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(cannot_execute);  // it ended before we asked to be told
    const int nothing = ::open("/dev/null", O_RDONLY), file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    become(words);
}

}  // namespace qscd::integration
