#include "base/process/confinement.hpp"

#include <array>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <linux/capability.h>
#include <string_view>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/process/call_filter.hpp"
#include "base/process/daemon.hpp"

namespace qscd::process {
namespace {

// The number in a line of a status file of /proc; -1 when there is none.
long status_number(std::string_view file, std::string_view name) {
    std::ifstream status{std::string{file}};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':')
            return std::stol(line.substr(name.size() + 1));
    return -1;
}

bool is_capable_of(unsigned capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    return ::syscall(SYS_capget, &header, sets.data()) == 0 &&
           (sets[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) != 0;
}

bool memory_may_be_locked() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return false;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_MEMLOCK, &limit);
    return limit.rlim_cur == RLIM_INFINITY || is_capable_of(CAP_IPC_LOCK);
}

bool dumps_are_off() {
    rlimit limit{};
    return ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 && ::prctl(PR_GET_DUMPABLE) == 0;
}

// Nearly everything: a module that locks some pages of its own does not make it so.
bool memory_is_locked() {
    constexpr std::string_view status = "/proc/self/status";
    return 2 * status_number(status, "VmLck") > status_number(status, "VmSize");
}

// The kernel notes on a socket pair who made it: the supervisor.
bool user_is_not_the_supervisors() {
    const int control = control_descriptor();
    ucred maker{};
    socklen_t size = sizeof maker;
    return control >= 0 && ::getsockopt(control, SOL_SOCKET, SO_PEERCRED, &maker, &size) == 0 &&
           maker.uid != ::geteuid();
}

}  // namespace

void harden() {
    ::umask(077);
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)::signal(SIGPIPE, SIG_IGN);
}

bool lock_memory() {
    if (instrumented || !memory_may_be_locked()) return false;
    return ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

Confinement confinement() {
    return {.memory_locked = memory_is_locked(),
            .dumps_off = dumps_are_off(),
            .no_new_privileges = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
            .calls_filtered = is_filtered(),
            .own_user = user_is_not_the_supervisors()};
}

std::vector<std::string> Confinement::missing() const {
    struct Row {
        bool Confinement::* holds;
        const char* otherwise;
    };
    constexpr std::array rows{
        Row{&Confinement::memory_locked, "memory not locked"},
        Row{&Confinement::dumps_off, "core dumps possible"},
        Row{&Confinement::no_new_privileges, "new privileges possible"},
        Row{&Confinement::calls_filtered, "no system call filter"},
        Row{&Confinement::own_user, "separation off"},
    };
    std::vector<std::string> out;
    for (const auto& [holds, otherwise] : rows)
        if (!(this->*holds)) out.emplace_back(otherwise);
    return out;
}

}  // namespace qscd::process
