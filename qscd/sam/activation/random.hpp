// Where the activation's nonces, codes and tokens come from: a parameter, so that a run can be repeated from a seed.
// samd hands in what qscd/sam/secrets.hpp mixes. Thread rules: as the source that is handed in.
#pragma once

#include <functional>

#include "base/digest.hpp"
#include "base/secret.hpp"

namespace qscd::sam {

// Fills all of it with bytes that nobody can foresee. It cannot fail: whoever hands it in has seen
// before that there is enough.
using Random = std::function<void(std::span<std::uint8_t>)>;

template <class Fixed>
Fixed fixed_from(const Random& random) {
    std::array<std::uint8_t, Fixed::size> bytes;
    random(bytes);
    return Fixed{bytes};
}
SecretBytes secret_from(const Random& random, std::size_t size);

// Evenly chosen decimal digits, by rejection sampling.
SecretBytes digits_from(const Random& random, std::size_t count);

}  // namespace qscd::sam
