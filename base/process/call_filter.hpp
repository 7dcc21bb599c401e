// The system calls of a daemon that holds keys: those of the table in call_table.hpp and no other (seccomp). Once in
// force it cannot be lifted, for any thread. docs/decisions/0015 says why a refused call ends the process or does not.
// Thread rules: any thread; it binds all threads.
#pragma once

#include "base/result.hpp"

namespace qscd::process {

struct CallFilterSettings {
    bool dials_store = false;  // the store is reached over the network: outgoing streams are allowed, listening never
};

// What a refused call meets.
//   The process ends by SIGSYS: calls that only an intruder makes (programs, processes, other processes' memory, doors).
//   EPERM: every other call that the table does not allow. Libraries try such calls and live without them.
// Errc::configuration: the kernel refuses. Does nothing in a build with sanitizers; confinement() says what is in force.
Result<void> filter_calls(const CallFilterSettings& settings);

// Whether this filter is in force, whatever else filters. It binds all threads or none.
bool is_filtered();

}  // namespace qscd::process
