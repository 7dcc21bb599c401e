// Which system calls samd may make, row by row, and which end it. What stands in no row fails with EPERM.
// Thread rules: constants.
#pragma once

#include <cerrno>
#include <cstdint>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace qscd::process {

inline constexpr int mark_error = ENOANO;

enum class Verdict {
    allow,
    absent,   // ENOSYS: the library has an older way, whose arguments can be seen
    nothing,  // answered with success and not done
    mark,     // answered as nothing else answers: how is_filtered() knows this filter from a container's
    end,      // SIGSYS ends the process
};

// (argument & mask) == value. No pointer can be followed here.
struct Condition {
    unsigned argument;
    std::uint64_t mask, value;
};
inline constexpr std::uint64_t all_bits = ~std::uint64_t{0};
inline constexpr std::uint64_t int_bits = 0xffff'ffff;      // the kernel ignores what a register holds above an int
inline constexpr std::uint64_t own_process = all_bits - 1;  // as a value: stands for the process id

struct CallRow {
    int call;
    Verdict verdict;
    Condition first = {0, 0, 0}, second = {0, 0, 0};  // both must hold; a mask of 0 always does
};

inline constexpr CallRow call_rows[] = {
    // Store, token, configuration, log: files by name and by descriptor.
    {SCMP_SYS(open), Verdict::allow},
    {SCMP_SYS(openat), Verdict::allow},
    {SCMP_SYS(close), Verdict::allow},
    {SCMP_SYS(read), Verdict::allow},
    {SCMP_SYS(write), Verdict::allow},
    {SCMP_SYS(readv), Verdict::allow},
    {SCMP_SYS(writev), Verdict::allow},
    {SCMP_SYS(pread64), Verdict::allow},
    {SCMP_SYS(pwrite64), Verdict::allow},
    {SCMP_SYS(lseek), Verdict::allow},
    {SCMP_SYS(dup), Verdict::allow},
    {SCMP_SYS(dup2), Verdict::allow},
    {SCMP_SYS(dup3), Verdict::allow},
    {SCMP_SYS(fcntl), Verdict::allow},  // locks of SQLite and SoftHSM among them
    {SCMP_SYS(flock), Verdict::allow},
    {SCMP_SYS(fsync), Verdict::allow},
    {SCMP_SYS(fdatasync), Verdict::allow},
    {SCMP_SYS(sync_file_range), Verdict::allow},
    {SCMP_SYS(ftruncate), Verdict::allow},
    {SCMP_SYS(inotify_init1), Verdict::allow},  // which of the token's files changed, so that these alone are synced
    {SCMP_SYS(inotify_add_watch), Verdict::allow},
    {SCMP_SYS(inotify_rm_watch), Verdict::allow},
    {SCMP_SYS(fallocate), Verdict::allow},
    {SCMP_SYS(fadvise64), Verdict::allow},
    {SCMP_SYS(stat), Verdict::allow},
    {SCMP_SYS(fstat), Verdict::allow},
    {SCMP_SYS(lstat), Verdict::allow},
    {SCMP_SYS(newfstatat), Verdict::allow},
    {SCMP_SYS(statx), Verdict::allow},
    {SCMP_SYS(statfs), Verdict::allow},
    {SCMP_SYS(fstatfs), Verdict::allow},
    {SCMP_SYS(access), Verdict::allow},
    {SCMP_SYS(faccessat), Verdict::allow},
    {SCMP_SYS(faccessat2), Verdict::allow},
    {SCMP_SYS(readlink), Verdict::allow},
    {SCMP_SYS(readlinkat), Verdict::allow},
    {SCMP_SYS(getdents64), Verdict::allow},
    {SCMP_SYS(getcwd), Verdict::allow},
    {SCMP_SYS(rename), Verdict::allow},
    {SCMP_SYS(renameat), Verdict::allow},
    {SCMP_SYS(renameat2), Verdict::allow},
    {SCMP_SYS(unlink), Verdict::allow},
    {SCMP_SYS(unlinkat), Verdict::allow},
    {SCMP_SYS(mkdir), Verdict::allow},
    {SCMP_SYS(mkdirat), Verdict::allow},
    {SCMP_SYS(rmdir), Verdict::allow},
    {SCMP_SYS(umask), Verdict::allow},
    {SCMP_SYS(fchmod), Verdict::allow},  // SQLite gives its journal the mode and owner of its file
    {SCMP_SYS(fchown), Verdict::allow},
    {SCMP_SYS(utimensat), Verdict::allow},

    // Memory. Nothing is both written and executed, and no code comes from anywhere but a file.
    {SCMP_SYS(brk), Verdict::allow},
    {SCMP_SYS(mmap), Verdict::allow, {2, PROT_EXEC, 0}},
    {SCMP_SYS(mmap), Verdict::allow, {2, PROT_WRITE | PROT_EXEC, PROT_EXEC}, {3, MAP_ANONYMOUS, 0}},  // a library
    {SCMP_SYS(mprotect), Verdict::allow, {2, PROT_EXEC, 0}},
    {SCMP_SYS(munmap), Verdict::allow},
    {SCMP_SYS(mremap), Verdict::allow},
    {SCMP_SYS(madvise), Verdict::allow},
    {SCMP_SYS(msync), Verdict::allow},
    {SCMP_SYS(mlock), Verdict::allow},
    {SCMP_SYS(mlock2), Verdict::allow},

    // Threads: clone makes threads and no processes. clone3 keeps its flags where a filter cannot see them.
    {SCMP_SYS(clone), Verdict::allow, {0, CLONE_THREAD, CLONE_THREAD}},
    {SCMP_SYS(clone), Verdict::end, {0, CLONE_THREAD, 0}},
    {SCMP_SYS(clone3), Verdict::absent},
    {SCMP_SYS(exit), Verdict::allow},
    {SCMP_SYS(exit_group), Verdict::allow},
    {SCMP_SYS(futex), Verdict::allow},
    {SCMP_SYS(set_robust_list), Verdict::allow},
    {SCMP_SYS(rseq), Verdict::allow},
    {SCMP_SYS(sched_yield), Verdict::allow},
    {SCMP_SYS(sched_getaffinity), Verdict::allow},
    {SCMP_SYS(gettid), Verdict::allow},
    {SCMP_SYS(prctl), Verdict::allow, {0, int_bits, PR_SET_NAME}},
    {SCMP_SYS(prctl), Verdict::allow, {0, int_bits, PR_GET_DUMPABLE}},  // health asks these two
    {SCMP_SYS(prctl), Verdict::allow, {0, int_bits, PR_GET_NO_NEW_PRIVS}},

    // Signals: to itself alone.
    {SCMP_SYS(rt_sigaction), Verdict::allow},
    {SCMP_SYS(rt_sigprocmask), Verdict::allow},
    {SCMP_SYS(rt_sigreturn), Verdict::allow},
    {SCMP_SYS(sigaltstack), Verdict::allow},
    {SCMP_SYS(signalfd4), Verdict::allow},
    {SCMP_SYS(restart_syscall), Verdict::allow},
    {SCMP_SYS(kill), Verdict::allow, {0, int_bits, own_process}},
    {SCMP_SYS(tgkill), Verdict::allow, {0, int_bits, own_process}},

    // Time: read, never set. The kernel refuses changes by adjtimex to whoever lacks CAP_SYS_TIME.
    {SCMP_SYS(clock_gettime), Verdict::allow},
    {SCMP_SYS(clock_getres), Verdict::allow},
    {SCMP_SYS(clock_nanosleep), Verdict::allow},
    {SCMP_SYS(nanosleep), Verdict::allow},
    {SCMP_SYS(gettimeofday), Verdict::allow},
    {SCMP_SYS(time), Verdict::allow},
    {SCMP_SYS(adjtimex), Verdict::allow},
    {SCMP_SYS(clock_adjtime), Verdict::allow, {0, int_bits, 0 /* CLOCK_REALTIME */}},

    // What this process is, and chance.
    {SCMP_SYS(getpid), Verdict::allow},
    {SCMP_SYS(getppid), Verdict::allow},
    {SCMP_SYS(getuid), Verdict::allow},
    {SCMP_SYS(geteuid), Verdict::allow},
    {SCMP_SYS(getgid), Verdict::allow},
    {SCMP_SYS(getegid), Verdict::allow},
    {SCMP_SYS(uname), Verdict::allow},
    {SCMP_SYS(sysinfo), Verdict::allow},
    {SCMP_SYS(getrusage), Verdict::allow},
    {SCMP_SYS(getrlimit), Verdict::allow},
    {SCMP_SYS(prlimit64), Verdict::allow, {2, all_bits, 0}},  // asking; a limit cannot be set
    {SCMP_SYS(getrandom), Verdict::allow},

    {SCMP_SYS(getsid), Verdict::mark},

    // Sockets that came from the supervisor: messages, not doors.
    {SCMP_SYS(poll), Verdict::allow},
    {SCMP_SYS(ppoll), Verdict::allow},
    {SCMP_SYS(select), Verdict::allow},
    {SCMP_SYS(pselect6), Verdict::allow},
    {SCMP_SYS(recvfrom), Verdict::allow},
    {SCMP_SYS(recvmsg), Verdict::allow},
    {SCMP_SYS(sendto), Verdict::allow},
    {SCMP_SYS(sendmsg), Verdict::allow},
    {SCMP_SYS(shutdown), Verdict::allow},
    {SCMP_SYS(getsockopt), Verdict::allow},
    {SCMP_SYS(setsockopt), Verdict::allow},
    {SCMP_SYS(getsockname), Verdict::allow},
    {SCMP_SYS(getpeername), Verdict::allow},

    // Doors: nobody asks samd but over what it was given [SAM-22].
    {SCMP_SYS(bind), Verdict::end},
    {SCMP_SYS(listen), Verdict::end},
    {SCMP_SYS(accept), Verdict::end},
    {SCMP_SYS(accept4), Verdict::end},

    // Programs and processes.
    {SCMP_SYS(execve), Verdict::end},
    {SCMP_SYS(execveat), Verdict::end},
    {SCMP_SYS(fork), Verdict::end},
    {SCMP_SYS(vfork), Verdict::end},

    // Other processes: their memory, descriptors and calls.
    {SCMP_SYS(ptrace), Verdict::end},
    {SCMP_SYS(process_vm_readv), Verdict::end},
    {SCMP_SYS(process_vm_writev), Verdict::end},
    {SCMP_SYS(pidfd_open), Verdict::end},
    {SCMP_SYS(pidfd_getfd), Verdict::end},
    {SCMP_SYS(pidfd_send_signal), Verdict::end},
    {SCMP_SYS(kcmp), Verdict::end},
    {SCMP_SYS(perf_event_open), Verdict::end},

    // The kernel, and ways around this table.
    {SCMP_SYS(init_module), Verdict::end},
    {SCMP_SYS(finit_module), Verdict::end},
    {SCMP_SYS(delete_module), Verdict::end},
    {SCMP_SYS(kexec_load), Verdict::end},
    {SCMP_SYS(kexec_file_load), Verdict::end},
    {SCMP_SYS(bpf), Verdict::end},
    {SCMP_SYS(io_uring_setup), Verdict::end},
    {SCMP_SYS(userfaultfd), Verdict::end},
    {SCMP_SYS(mount), Verdict::end},
    {SCMP_SYS(umount2), Verdict::end},
    {SCMP_SYS(pivot_root), Verdict::end},
    {SCMP_SYS(chroot), Verdict::end},
    {SCMP_SYS(unshare), Verdict::end},
    {SCMP_SYS(setns), Verdict::end},
    {SCMP_SYS(personality), Verdict::end},
    {SCMP_SYS(reboot), Verdict::end},
    {SCMP_SYS(swapon), Verdict::end},

    // Who and when it is.
    {SCMP_SYS(setuid), Verdict::end},
    {SCMP_SYS(setgid), Verdict::end},
    {SCMP_SYS(setreuid), Verdict::end},
    {SCMP_SYS(setregid), Verdict::end},
    {SCMP_SYS(setresuid), Verdict::end},
    {SCMP_SYS(setresgid), Verdict::end},
    {SCMP_SYS(setgroups), Verdict::end},
    {SCMP_SYS(capset), Verdict::end},
    {SCMP_SYS(clock_settime), Verdict::end},
    {SCMP_SYS(settimeofday), Verdict::end},
};

// With memory locked as a whole, a module that unlocks its own pages must not unlock what else stands in them; without,
// its limit must not run full.
inline constexpr CallRow locked_rows[] = {{SCMP_SYS(munlock), Verdict::nothing}};
inline constexpr CallRow unlocked_rows[] = {{SCMP_SYS(munlock), Verdict::allow}};

// A store over the network is dialled, again after each loss: streams, outgoing. Where to cannot be seen here; a
// firewall says it.
inline constexpr std::uint64_t socket_type = 0xf;  // without its flags
inline constexpr CallRow dialling_rows[] = {
    {SCMP_SYS(socket), Verdict::allow, {0, int_bits, AF_UNIX}, {1, socket_type, SOCK_STREAM}},
    {SCMP_SYS(socket), Verdict::allow, {0, int_bits, AF_INET}, {1, socket_type, SOCK_STREAM}},
    {SCMP_SYS(socket), Verdict::allow, {0, int_bits, AF_INET6}, {1, socket_type, SOCK_STREAM}},
    {SCMP_SYS(connect), Verdict::allow},
};

}  // namespace qscd::process
