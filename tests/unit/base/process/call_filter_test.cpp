// [SAM-20] [T-40] [T-42] The system call filter: what a daemon with keys may do, and what ends it.
#include "base/process/call_filter.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <thread>

#include "base/diagnostics.hpp"
#include "base/file.hpp"
#include "base/openssl.hpp"
#include "base/process/confinement.hpp"
#include "base/store/database.hpp"
#include "tests/unit/base/process/forked.hpp"

extern char** environ;

namespace qscd::process {
namespace {

constexpr int no_filter = 98;

// 0: the call was made. Otherwise its error.
int error_of(long result) { return result < 0 ? errno : 0; }

Ending filtered(const std::function<int()>& act, bool dials_store = false) {
    return in_a_child([&] {
        harden();
        if (!filter_calls({.dials_store = dials_store})) return no_filter;
        return act();
    });
}

class CallFilter : public testing::Test {
protected:
    void SetUp() override {
        if (instrumented) GTEST_SKIP() << "a build with sanitizers filters nothing";
    }
};

// --- what ends the process

struct Forbidden {
    const char* name;
    std::function<long()> call;
};
long raw(long number, long a = 0, long b = 0, long c = 0, long d = 0) { return ::syscall(number, a, b, c, d); }
long program() {
    const char* const words[] = {"/bin/true", nullptr};
    return ::execve(words[0], const_cast<char* const*>(words), environ);
}
long spawned() {
    pid_t pid = 0;
    const char* const words[] = {"/bin/true", nullptr};
    return ::posix_spawn(&pid, words[0], nullptr, nullptr, const_cast<char* const*>(words), environ);
}
long memory_of_the_parent(long number) {
    char byte = 0;
    const iovec here{&byte, 1};
    return raw(number, ::getppid(), reinterpret_cast<long>(&here), 1, reinterpret_cast<long>(&here));
}
const Forbidden forbidden[] = {
    {"Bind", [] { return raw(SYS_bind, 0); }},
    {"Listen", [] { return raw(SYS_listen, 0, 1); }},
    {"Accept", [] { return raw(SYS_accept, 0); }},
    {"Accept4", [] { return raw(SYS_accept4, 0); }},
    {"Execve", program},
    {"Execveat", [] { return raw(SYS_execveat, AT_FDCWD, reinterpret_cast<long>("/bin/true")); }},
    {"Fork", [] { return long{::fork()}; }},
    {"Vfork", [] { return raw(SYS_vfork); }},
    {"CloneOfAProcess", [] { return raw(SYS_clone, SIGCHLD); }},
    {"PosixSpawn", spawned},
    {"System", [] { return long{std::system("true")}; }},
    {"Ptrace", [] { return ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
    {"PtraceOfAnother", [] { return ::ptrace(PTRACE_ATTACH, ::getppid(), nullptr, nullptr); }},
    {"ProcessVmReadv", [] { return memory_of_the_parent(SYS_process_vm_readv); }},
    {"ProcessVmWritev", [] { return memory_of_the_parent(SYS_process_vm_writev); }},
    {"PidfdOpen", [] { return raw(SYS_pidfd_open, ::getppid()); }},
    {"PidfdGetfd", [] { return raw(SYS_pidfd_getfd, 3); }},
    {"Kcmp", [] { return raw(SYS_kcmp); }},
    {"PerfEventOpen", [] { return raw(SYS_perf_event_open); }},
    {"InitModule", [] { return raw(SYS_init_module); }},
    {"FinitModule", [] { return raw(SYS_finit_module); }},
    {"KexecLoad", [] { return raw(SYS_kexec_load); }},
    {"Bpf", [] { return raw(SYS_bpf); }},
    {"IoUring", [] { return raw(SYS_io_uring_setup, 1); }},
    {"Userfaultfd", [] { return raw(SYS_userfaultfd); }},
    {"Mount", [] { return raw(SYS_mount); }},
    {"Unshare", [] { return raw(SYS_unshare, CLONE_NEWUSER); }},
    {"Setns", [] { return raw(SYS_setns); }},
    {"Chroot", [] { return raw(SYS_chroot); }},
    {"Personality", [] { return raw(SYS_personality, 0xffffffff); }},
    {"Setuid", [] { return raw(SYS_setuid, 0); }},
    {"Setresuid", [] { return raw(SYS_setresuid, -1, -1, -1); }},
    {"Capset", [] { return raw(SYS_capset); }},
    {"ClockSettime", [] { return raw(SYS_clock_settime); }},
};
struct ForbiddenCall : CallFilter, testing::WithParamInterface<Forbidden> {};
INSTANTIATE_TEST_SUITE_P(, ForbiddenCall, testing::ValuesIn(forbidden),
                         [](const auto& each) { return each.param.name; });

TEST_P(ForbiddenCall, SAM_20_EndsTheProcess) {
    const auto ending = filtered([] { return static_cast<int>(GetParam().call()); });
    EXPECT_EQ(ending.signal, SIGSYS) << "exit code " << ending.code;
    EXPECT_FALSE(ending.dumped);
}
TEST_P(ForbiddenCall, SAM_20_EndsItAlsoWhenTheStoreIsRemote) {
    EXPECT_EQ(filtered([] { return static_cast<int>(GetParam().call()); }, true).signal, SIGSYS);
}
TEST_P(ForbiddenCall, SAM_20_EndsItFromEveryThread) {
    const auto ending = in_a_child([] {
        harden();
        std::atomic<bool> go{false};
        std::thread older{[&] {
            while (!go) std::this_thread::yield();
            (void)GetParam().call();
        }};
        if (!filter_calls({})) return no_filter;
        go = true;
        older.join();
        return 0;
    });
    EXPECT_EQ(ending.signal, SIGSYS) << "exit code " << ending.code;
}

// --- what is refused, and libraries live with

int new_socket(int family, int type) { return error_of(::socket(family, type | SOCK_CLOEXEC, 0)); }
int dial() {
    sockaddr_in nobody{};
    nobody.sin_family = AF_INET;
    nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    nobody.sin_port = htons(9);
    return error_of(::connect(0, reinterpret_cast<sockaddr*>(&nobody), sizeof nobody));
}
int limit_of_cores() {
    const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
    return error_of(::setrlimit(RLIMIT_CORE, &all));
}
int page(int protection, int flags, int descriptor = -1) {
    return ::mmap(nullptr, 4096, protection, flags, descriptor, 0) == MAP_FAILED ? errno : 0;
}
int made_executable() {
    auto* at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return error_of(::mprotect(at, 4096, PROT_READ | PROT_EXEC));
}
struct Refused {
    const char* name;
    std::function<int()> call;
};
const Refused refused_calls[] = {
    {"SocketOfTcp", [] { return new_socket(AF_INET, SOCK_STREAM); }},
    {"SocketOfTcp6", [] { return new_socket(AF_INET6, SOCK_STREAM); }},
    {"SocketOfUdp", [] { return new_socket(AF_INET, SOCK_DGRAM); }},
    {"SocketOfUnix", [] { return new_socket(AF_UNIX, SOCK_STREAM); }},
    {"SocketOfNetlink", [] { return new_socket(AF_NETLINK, SOCK_RAW); }},
    {"Connect", dial},
    {"DumpableAgain", [] { return error_of(::prctl(PR_SET_DUMPABLE, 1)); }},
    {"CoreLimit", limit_of_cores},
    {"SignalToTheParent", [] { return error_of(::kill(::getppid(), 0)); }},
    {"SignalToEverybody", [] { return error_of(::kill(-1, 0)); }},
    {"AnonymousCode", [] { return page(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS); }},
    {"WrittenCode", [] { return page(PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS); }},
    {"DataMadeCode", made_executable},
    {"MemoryFile", [] { return error_of(::memfd_create("x", 0)); }},
    {"Unlocking", [] { return error_of(::munlockall()); }},
    {"Links", [] { return error_of(::symlink("/etc/passwd", "/tmp/qscd-no-link")); }},
    {"DeviceFile", [] { return error_of(::syscall(SYS_mknodat, AT_FDCWD, "/tmp/qscd-no-node", 0, 0)); }},
    {"Keyring", [] { return error_of(::syscall(SYS_keyctl, 0, 0)); }},
    {"Filter", [] { return error_of(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, nullptr)); }},
};
struct RefusedCall : CallFilter, testing::WithParamInterface<Refused> {};
INSTANTIATE_TEST_SUITE_P(, RefusedCall, testing::ValuesIn(refused_calls),
                         [](const auto& each) { return each.param.name; });

TEST_P(RefusedCall, SAM_20_FailsWithEpermAndLifeGoesOn) {
    const auto ending = filtered([] { return GetParam().call(); });
    EXPECT_EQ(ending.signal, 0);
    EXPECT_EQ(ending.code, EPERM);
}

// --- a remote store is dialled, and nothing more

TEST_F(CallFilter, SAM_20_ARemoteStoreIsDialledByStreamsAlone) {
    EXPECT_EQ(filtered([] { return new_socket(AF_INET, SOCK_STREAM); }, true).code, 0);
    EXPECT_EQ(filtered([] { return new_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK); }, true).code, 0);
    EXPECT_EQ(filtered([] { return new_socket(AF_UNIX, SOCK_STREAM); }, true).code, 0);
    EXPECT_EQ(filtered([] { return new_socket(AF_INET, SOCK_DGRAM); }, true).code, EPERM);
    EXPECT_EQ(filtered([] { return new_socket(AF_INET, SOCK_RAW); }, true).code, EPERM);
    EXPECT_EQ(filtered([] { return new_socket(AF_NETLINK, SOCK_RAW); }, true).code, EPERM);
    EXPECT_NE(filtered(dial, true).code, EPERM) << "the kernel's own answer";
}

// --- what samd lives on

void expect_works(const std::function<bool()>& act) {
    const auto ending = filtered([&] { return act() ? 0 : 1; });
    EXPECT_EQ(ending.signal, 0);
    EXPECT_EQ(ending.code, 0);
}
std::filesystem::path own_file(const char* name) {
    return std::filesystem::path{testing::TempDir()} / (std::string{name} + std::to_string(::getpid()));
}

TEST_F(CallFilter, SQLiteWorks) {
    expect_works([] {
        const auto path = own_file("filtered.sqlite");
        auto database = store::Database::open(path);
        std::filesystem::remove(path);
        return static_cast<bool>(database);
    });
}
TEST_F(CallFilter, OpenSslWorks) {
    expect_works([] {
        const auto key = generate_p256();
        const auto signature = sign_message(*key, view_of("message"));
        return signature && verify_message(*key, view_of("message"), signature.value());
    });
}
TEST_F(CallFilter, FilesAndTheirLocksWork) {
    expect_works([] {
        const auto path = own_file("filtered");
        if (!write_file(path, "text") || read_file(path).value() != "text") return false;
        const Descriptor file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
        struct flock lock{};
        lock.l_type = F_WRLCK;
        const bool locked = ::fcntl(file.get(), F_SETLKW, &lock) == 0;
        return std::filesystem::remove(path) && locked;
    });
}
TEST_F(CallFilter, ThreadsWork) {
    expect_works([] {
        int sum = 0;
        for (int i = 0; i < 100; ++i) std::thread{[&] { ++sum; }}.join();
        return sum == 100;
    });
}
TEST_F(CallFilter, TheDaemonsLinesAreWritten) {
    expect_works([] {
        start_diagnostics("filtered");
        note("written");
        return true;
    });
}
TEST_F(CallFilter, TheClockIsRead) {
    expect_works([] {
        timex asked{};
        return ::adjtimex(&asked) >= 0;
    });
}
TEST_F(CallFilter, MessagesPassOverWhatWasGiven) {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    expect_works([&] {
        char byte = 0;
        return ::send(ends[0], "x", 1, MSG_NOSIGNAL) == 1 && ::recv(ends[1], &byte, 1, 0) == 1;
    });
    ::close(ends[0]);
    ::close(ends[1]);
}
TEST_F(CallFilter, AnAbortIsAnAbort) {
    const auto ending = filtered([]() -> int { std::abort(); });
    EXPECT_EQ(ending.signal, SIGABRT);
}
TEST_F(CallFilter, SAM_20_CannotBeLifted) {
    EXPECT_EQ(filtered([] { return filter_calls({.dials_store = true}) ? 0 : 1; }).code, 1);
}

}  // namespace
}  // namespace qscd::process
