#include "base/stack.hpp"

#include <array>
#include <cstring>

namespace qscd {

[[gnu::noinline]] void wipe_stack() {
    std::array<char, wiped_stack> left;
    ::explicit_bzero(left.data(), left.size());
}

}  // namespace qscd
