#include "qscd/sam/activation/random.hpp"

namespace qscd::sam {

SecretBytes secret_from(const Random& random, std::size_t size) {
    Bytes bytes(size);
    random(bytes);
    SecretBytes out{ByteView{bytes}};
    wipe(bytes);
    return out;
}

SecretBytes digits_from(const Random& random, std::size_t count) {
    constexpr unsigned fair = 250;  // the largest multiple of ten that a byte holds
    Bytes digits;
    digits.reserve(count);
    while (digits.size() < count) {
        std::uint8_t byte = 0;
        random({&byte, 1});
        if (byte < fair) digits.push_back(static_cast<std::uint8_t>('0' + byte % 10));
    }
    SecretBytes out{ByteView{digits}};
    wipe(digits);
    return out;
}

}  // namespace qscd::sam
