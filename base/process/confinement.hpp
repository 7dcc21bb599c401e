// What holds a daemon back from the rest of the machine, and the rest from it: each restriction is put in force once, at
// start, and asked of the kernel when somebody wants to know. What is missing is said, never hidden. [SAM-20] [SAM-05]
// Thread rules: harden() and lock_memory() on the main thread before others start; confinement() from every thread.
#pragma once

#include <string>
#include <vector>

namespace qscd::process {

// Sanitizers need terabytes of address space and calls of their own: such a build locks nothing and filters nothing,
// and says so.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
inline constexpr bool instrumented = true;
#else
inline constexpr bool instrumented = false;
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool instrumented = true;
#else
inline constexpr bool instrumented = false;
#endif

// No core dumps, not traceable, no new privileges, umask 077. Called by run(); the command line calls it too.
void harden();

// Nothing of this process reaches swap, now and later; pages are locked as they are first used. Needs an unlimited
// RLIMIT_MEMLOCK or CAP_IPC_LOCK: under a limit a later thread or allocation would fail instead. False: not locked.
bool lock_memory();

struct Confinement {
    bool memory_locked = false;
    bool dumps_off = false;  // no core dumps, and no tracing by processes of the same user
    bool no_new_privileges = false;
    bool calls_filtered = false;  // by filter_calls(), all threads
    bool own_user = false;        // another one than the supervisor's

    // The words of health for what does not hold, in this order: "memory not locked", "core dumps possible", "new
    // privileges possible", "no system call filter", "separation off". Empty: whole.
    std::vector<std::string> missing() const;
};

// As the kernel says it of this process.
Confinement confinement();

}  // namespace qscd::process
