#include "base/random.hpp"

#include <cstdlib>
#include <limits>
#include <openssl/rand.h>

namespace qscd {

void fill_random(std::span<std::uint8_t> out) {
    if (out.size() > std::numeric_limits<int>::max() || RAND_bytes(out.data(), static_cast<int>(out.size())) != 1)
        std::abort();
}

std::string random_digits(std::size_t count) {
    std::string out;
    out.reserve(count);  // growing would leave copies behind
    while (out.size() < count) {
        std::array<std::uint8_t, 1> byte;
        fill_random(byte);
        if (byte[0] < 250) out += static_cast<char>('0' + byte[0] % 10);
    }
    return out;
}

}  // namespace qscd
