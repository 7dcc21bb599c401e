// Runs something in a process of its own, as a restriction that cannot be lifted wants it. Thread rules: one thread.
#pragma once

#include <functional>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace qscd::process {

struct Ending {
    int code = -1, signal = 0;
    bool dumped = false;
};

// `act`'s answer is the exit code. What throws there exits with 99.
inline Ending in_a_child(const std::function<int()>& act) {
    const auto pid = ::fork();
    if (pid == 0) {
        try {
            ::_exit(act());
        } catch (...) {
            ::_exit(99);
        }
    }
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    if (WIFSIGNALED(status)) return {-1, WTERMSIG(status), WCOREDUMP(status) != 0};
    return {WEXITSTATUS(status)};
}

}  // namespace qscd::process
