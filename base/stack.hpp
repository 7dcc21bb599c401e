// What calls that returned left on this thread's stack: short strings, and the working space of libraries. A thread that
// serves one request after another wipes it in between, so that no factor outlives its request there. [SAM-05]
// Thread rules: of the calling thread's stack alone.
#pragma once

#include <cstddef>

namespace qscd {

inline constexpr std::size_t wiped_stack = 64 * 1024;  // below the caller; deeper calls with secrets are not made

// 1 to 2 µs.
void wipe_stack();

}  // namespace qscd
