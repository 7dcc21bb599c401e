#include "qscd/supervisor/child.hpp"

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "base/json/object.hpp"
#include "base/process/daemon.hpp"

namespace qscd::supervisor {
namespace {

// All that a daemon learns from our environment. No secret is ever passed this way.
constexpr std::array kept_variables{"PATH",         "LANG",          "QSCD_TEST_CLOCK_FILE",
                                    "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"};
constexpr int exec_failed = 127;  // as shells say it
constexpr int control_number = 3;
constexpr int first_free = 10;  // our ends stand above the numbers that the child fills
constexpr std::size_t last_words_limit = 65536;

Error failed(std::string_view what) { return {Errc::internal, std::string{what} + ": " + std::strerror(errno)}; }

std::vector<std::string> environment() {
    std::vector<std::string> out{std::string{process::control_variable} + "=" + std::to_string(control_number)};
    for (const char* name : kept_variables)
        if (const char* value = std::getenv(name)) out.push_back(std::string{name} + "=" + value);
    return out;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (auto& text : texts) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// What the child needs, ready before the fork.
struct Prepared {
    const char *binary, *folder;
    char *const *arguments, *const *environment;
    int nothing, log, control;
    long user;  // -1: stay
};

// So that a daemon can lock all its memory: no limit, or, where root itself cannot lift it, the one capability that
// passes it. What fails here is missing in the daemon's health.
bool lift_memory_limit() {
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    return ::setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0;
}
void keep_locking_alone() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    auto& set = sets[CAP_TO_INDEX(CAP_IPC_LOCK)];
    set.effective = set.permitted = set.inheritable = CAP_TO_MASK(CAP_IPC_LOCK);
    if (::syscall(SYS_capset, &header, sets.data()) == 0)
        ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_IPC_LOCK, 0, 0);
}

bool drop_to(long user) {
    const bool unlimited = lift_memory_limit();
    if (!unlimited) ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    // The system calls themselves: the library's functions take locks.
    if (::syscall(SYS_setgroups, 0, nullptr) != 0 || ::syscall(SYS_setresgid, user, user, user) != 0 ||
        ::syscall(SYS_setresuid, user, user, user) != 0)
        return false;
    if (!unlimited) keep_locking_alone();
    return true;
}

[[noreturn]] void become(const Prepared& self) {
    const auto give_up = [](std::string_view reason) {
        (void)!::write(STDERR_FILENO, reason.data(), reason.size());
        ::_exit(exec_failed);
    };
    ::setsid();  // Ctrl-C at the terminal is ours: we stop the daemons in order
    ::umask(077);
    if (::dup2(self.nothing, STDIN_FILENO) < 0 || ::dup2(self.log, STDOUT_FILENO) < 0 ||
        ::dup2(self.log, STDERR_FILENO) < 0 || ::dup2(self.control, control_number) < 0)
        give_up("cannot set up descriptors\n");
    if (::syscall(SYS_close_range, control_number + 1, UINT_MAX, 0) != 0) give_up("cannot close descriptors\n");
    if (self.user < 0) lift_memory_limit();
    else if (!drop_to(self.user)) give_up("cannot change to the daemon's user\n");
    if (::chdir(self.folder) != 0) give_up("cannot enter the deployment's folder\n");
    (void)std::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execve(self.binary, self.arguments, self.environment);
    give_up("cannot execute the daemon's binary\n");
    ::_exit(exec_failed);
}

Descriptor above(Descriptor low) { return Descriptor{::fcntl(low.get(), F_DUPFD_CLOEXEC, first_free)}; }

}  // namespace

Result<Child> spawn(const Launch& launch) {
    Descriptor opened{::open(launch.log.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!opened) return Error{Errc::configuration, "cannot write " + launch.log.string() + ": " + std::strerror(errno)};
    const auto log = above(std::move(opened));
    if (::flock(log.get(), LOCK_EX | LOCK_NB) != 0)
        return Error{Errc::service_away, "an earlier process of this daemon still runs"};
    struct stat state{};
    if (::fstat(log.get(), &state) != 0) return failed("fstat");

    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) return failed("socketpair");
    Descriptor ours{ends[0]};
    const auto theirs = above(Descriptor{ends[1]});
    ::fcntl(ours.get(), F_SETFL, O_NONBLOCK);
    const auto nothing = above(Descriptor{::open("/dev/null", O_RDONLY | O_CLOEXEC)});
    if (!log || !theirs || !nothing) return failed("descriptors");

    std::vector<std::string> argument_texts{launch.binary.string(), "--deployment", launch.deployment.string()};
    auto environment_texts = environment();
    const auto arguments = pointers(argument_texts), variables = pointers(environment_texts);
    const Prepared prepared{launch.binary.c_str(), launch.deployment.c_str(),
                            arguments.data(),      variables.data(),
                            nothing.get(),         log.get(),
                            theirs.get(),          launch.user ? static_cast<long>(*launch.user) : -1L};
    const auto pid = ::fork();
    if (pid < 0) return failed("fork");
    if (pid == 0) become(prepared);
    return Child{pid, std::move(ours), static_cast<std::uintmax_t>(state.st_size)};
}

std::string last_words(const std::filesystem::path& log, std::uintmax_t start) {
    const Descriptor file{::open(log.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat state{};
    if (!file || ::fstat(file.get(), &state) != 0) return {};
    const auto size = static_cast<std::uintmax_t>(state.st_size);
    start = std::max(start, size > last_words_limit ? size - last_words_limit : 0);
    std::string text(size > start ? size - start : 0, '\0');
    const auto count = ::pread(file.get(), text.data(), text.size(), static_cast<off_t>(start));
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);

    std::string last, reason;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        at = end + 1;
        if (line.empty()) continue;
        last = line;
        const auto entry = json::Object::parse(line);
        if (!entry) continue;
        const auto event = entry.value().string("event", 64);
        const auto said = entry.value().string("reason", last_words_limit);
        if (event && said && event.value() == "start-failed") reason = said.value();
    }
    return reason.empty() ? last : reason;
}

}  // namespace qscd::supervisor
