// [SAM-20] [SAM-05] [T-49] Each restriction holds, or is named as missing.
#include "base/process/confinement.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <gmock/gmock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/file.hpp"
#include "base/process/call_filter.hpp"
#include "base/process/daemon.hpp"
#include "tests/unit/base/process/forked.hpp"

namespace qscd::process {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Confinement, SAM_20_NamesWhatIsMissing) {
    EXPECT_THAT(Confinement{}.missing(),
                ElementsAre("memory not locked", "core dumps possible", "new privileges possible",
                            "no system call filter", "separation off"));
    EXPECT_THAT((Confinement{true, true, true, true, true}.missing()), IsEmpty());
}

// The world takes one call away, as an older kernel or a container would; the daemon's start goes on, and health names it.
struct TakenAway {
    const char* name;
    int call;
    unsigned first_argument;  // 0: any
    std::vector<std::string> missing;
};
const TakenAway taken_away[] = {
    {"MemoryLocking", SCMP_SYS(mlockall), 0, {"memory not locked"}},
    {"CoreLimit", SCMP_SYS(prlimit64), 0, {"memory not locked", "core dumps possible"}},
    {"Undumpable", SCMP_SYS(prctl), PR_SET_DUMPABLE, {"core dumps possible"}},
    {"NoNewPrivileges", SCMP_SYS(prctl), PR_SET_NO_NEW_PRIVS, {"new privileges possible", "no system call filter"}},
    {"Filtering", SCMP_SYS(seccomp), 0, {"no system call filter"}},
};

bool memory_can_be_locked() {
    return in_a_child([] { return lock_memory() ? 0 : 1; }).code == 0;
}

// As root, whose limits can be lifted; a child tells over a pipe what it misses.
class Missing : public testing::TestWithParam<TakenAway> {
protected:
    void SetUp() override {
        if (instrumented) GTEST_SKIP() << "a build with sanitizers locks and filters nothing";
        if (::geteuid() != 0) GTEST_SKIP() << "taking calls away without no_new_privs is root's";
        if (!memory_can_be_locked()) GTEST_SKIP() << "this machine lets nobody lock memory";
    }
};
INSTANTIATE_TEST_SUITE_P(, Missing, testing::ValuesIn(taken_away), [](const auto& each) { return each.param.name; });

// `other_user`: this process becomes nobody once its control socket was made, as the supervisor's child does.
std::vector<std::string> missing_after(const std::function<void()>& before, bool other_user = true) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    const auto ending = in_a_child([&] {
        int control[2];
        if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control) != 0) return 1;
        ::setenv(control_variable, std::to_string(control[0]).c_str(), 1);
        before();
        harden();
        (void)lock_memory();  // as root: with its capability, whatever the limit is
        (void)filter_calls({});
        auto found = confinement();
        if (other_user) found.own_user = true;  // a user cannot be changed and the lock's capability kept here
        for (const auto& each : found.missing()) (void)!::write(ends[1], (each + "\n").data(), each.size() + 1);
        return 0;
    });
    ::close(ends[1]);
    EXPECT_EQ(ending.code, 0) << "signal " << ending.signal;
    std::vector<std::string> out(1);
    for (char c = 0; ::read(ends[0], &c, 1) == 1;) {
        if (c == '\n') out.emplace_back();
        else out.back() += c;
    }
    ::close(ends[0]);
    out.pop_back();
    return out;
}

TEST_P(Missing, SAM_20_IsNamed) {
    const auto& taken = GetParam();
    const auto take = [&] {
        const auto filter = seccomp_init(SCMP_ACT_ALLOW);
        seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
        const scmp_arg_cmp first{0, SCMP_CMP_MASKED_EQ, 0xffffffff, taken.first_argument};
        seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), taken.call, taken.first_argument == 0 ? 0 : 1, &first);
        ASSERT_EQ(seccomp_load(filter), 0);
        seccomp_release(filter);
    };
    EXPECT_THAT(missing_after(take), testing::ElementsAreArray(taken.missing));
}

TEST(Confinement, SAM_20_NothingIsMissingWhereEverythingIsAllowed) {
    if (instrumented || ::geteuid() != 0 || !memory_can_be_locked()) GTEST_SKIP() << "of a root who may lock memory";
    EXPECT_THAT(missing_after([] {}), IsEmpty());
}
TEST(Confinement, SAM_20_TheSupervisorsOwnUserIsNoSeparation) {
    if (instrumented || ::geteuid() != 0 || !memory_can_be_locked()) GTEST_SKIP() << "of a root who may lock memory";
    EXPECT_THAT(missing_after([] {}, false), ElementsAre("separation off"));
}
TEST(Confinement, SAM_20_AnotherUserThanTheSupervisorsIsSeparation) {
    if (::geteuid() != 0) GTEST_SKIP() << "changing the user is root's";
    EXPECT_EQ(in_a_child([] {
                  int control[2];
                  if (::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control) != 0) return 1;
                  ::setenv(control_variable, std::to_string(control[0]).c_str(), 1);
                  if (confinement().own_user) return 2;
                  if (::setresuid(61'201, 61'201, 61'201) != 0) return 3;
                  return confinement().own_user ? 0 : 4;
              }).code,
              0);
}
TEST(Confinement, UnderALimitMemoryIsNotLockedHalf) {
    if (instrumented) GTEST_SKIP() << "a build with sanitizers locks nothing";
    EXPECT_EQ(in_a_child([] {
                  const rlimit little{1 << 20, 1 << 20};
                  if (::setrlimit(RLIMIT_MEMLOCK, &little) != 0) return 1;
                  if (::geteuid() == 0 && ::setresuid(61'201, 61'201, 61'201) != 0) return 2;
                  return lock_memory() || confinement().memory_locked ? 3 : 0;
              }).code,
              0);
}

// --- dumps and tracing

struct End {
    const char* name;
    int signal;
};
class Dying : public testing::TestWithParam<End> {
protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "qscd-dump-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    Ending dies(bool hardened) const {
        return in_a_child([&] {
            const rlimit all{RLIM_INFINITY, RLIM_INFINITY};
            if (::chdir(folder_.c_str()) != 0) return 1;
            ::setrlimit(RLIMIT_CORE, &all);
            if (hardened) harden();
            (void)::signal(GetParam().signal, SIG_DFL);
            (void)::raise(GetParam().signal);
            return 0;
        });
    }
    bool left_something() const { return !std::filesystem::is_empty(folder_); }
    std::filesystem::path folder_;
};
INSTANTIATE_TEST_SUITE_P(, Dying,
                         testing::Values(End{"OfAWildPointer", SIGSEGV}, End{"OfAnAbort", SIGABRT},
                                         End{"OfAForbiddenCall", SIGSYS}),
                         [](const auto& each) { return each.param.name; });

TEST_P(Dying, SAM_05_T_49_LeavesNoCore) {
    const auto ending = dies(true);
    EXPECT_EQ(ending.signal, GetParam().signal);
    EXPECT_FALSE(ending.dumped);
    EXPECT_FALSE(left_something());
}
TEST_P(Dying, AndWouldLeaveOneOtherwise) {
    if (instrumented) GTEST_SKIP() << "sanitizers switch dumps off themselves";
    const auto pattern = read_file("/proc/sys/kernel/core_pattern");
    const auto ending = dies(false);
    EXPECT_EQ(ending.signal, GetParam().signal);
    if (!ending.dumped) GTEST_SKIP() << "this machine makes no core dumps at all";
    EXPECT_TRUE(left_something() || !pattern || pattern.value() != "core\n");
}

TEST(Confinement, SAM_20_AProcessOfTheSameUserCannotTraceUs) {
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const auto become_ordinary = [] { return ::geteuid() != 0 || ::setresuid(61'201, 61'201, 61'201) == 0; };
    const auto victim = ::fork();
    if (victim == 0) {
        if (!become_ordinary()) ::_exit(1);
        harden();
        (void)!::write(ready[1], "x", 1);
        ::pause();
        ::_exit(0);
    }
    char byte = 0;
    ASSERT_EQ(::read(ready[0], &byte, 1), 1);
    EXPECT_EQ(in_a_child([&] {
                  if (!become_ordinary()) return 1;
                  if (::ptrace(PTRACE_ATTACH, victim, nullptr, nullptr) == 0 || errno != EPERM) return 2;
                  const auto memory = "/proc/" + std::to_string(victim) + "/mem";
                  return ::open(memory.c_str(), O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES ? 0 : 3;
              }).code,
              0);
    ::kill(victim, SIGKILL);
    int status = 0;
    ::waitpid(victim, &status, 0);
}

}  // namespace
}  // namespace qscd::process
