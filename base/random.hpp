// Random bytes from the kernel's generator by way of OpenSSL's. Never fails: a process without randomness stops.
#pragma once

#include <cstring>

#include "base/digest.hpp"
#include "base/secret.hpp"

namespace qscd {

void fill_random(std::span<std::uint8_t> out);

template <class Fixed>
Fixed random_fixed() {
    std::array<std::uint8_t, Fixed::size> bytes;
    fill_random(bytes);
    const Fixed out{bytes};
    ::explicit_bzero(bytes.data(), bytes.size());
    return out;
}

inline Bytes random_bytes(std::size_t size) {
    Bytes out(size);
    fill_random(out);
    return out;
}

// Evenly chosen decimal digits, by rejection sampling.
std::string random_digits(std::size_t count);

}  // namespace qscd
