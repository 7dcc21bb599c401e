// One daemon's process: started with an environment, descriptors, session and user of its own, nothing else inherited.
// Thread rules: any thread; between fork and exec only async-signal-safe calls are made. The daemon gets SIGTERM when
// the thread that started it ends.
#pragma once

#include <optional>
#include <sys/types.h>

#include "base/file.hpp"

namespace qscd::supervisor {

struct Launch {
    std::filesystem::path binary, deployment, log;
    std::optional<unsigned> user;  // uid and gid; the supervisor's own when absent
};

struct Child {
    pid_t pid = 0;                 // 0: none
    Descriptor control = {};       // non-blocking: a daemon that does not read must not stop us
    std::uintmax_t log_start = 0;  // where this process's lines begin in the log
};

// The log is locked as long as the process lives, so a daemon that outlived its supervisor is not started twice:
// Errc::service_away then. Errc::internal when the kernel refuses; Errc::configuration when the log cannot be written.
Result<Child> spawn(const Launch& launch);

// Why the process that wrote `log` from `start` on gave up, for people: the reason of its last "start-failed" line, or
// its last line.
std::string last_words(const std::filesystem::path& log, std::uintmax_t start);

}  // namespace qscd::supervisor
