// A PIN, a TOTP seed, a token login: bytes that leave no copy. Move-only, wiped when they die, never printable.
// `git grep 'reveal('` is the list a security reviewer reads.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "base/bytes.hpp"

namespace qscd {

class SecretBytes {
public:
    explicit SecretBytes(ByteView from) : bytes_(new std::uint8_t[from.size()], Wipe{from.size()}) {
        std::ranges::copy(from, bytes_.get());
    }
    explicit SecretBytes(std::string_view from) : SecretBytes(view_of(from)) {}
    ByteView reveal() const { return {bytes_.get(), bytes_ ? bytes_.get_deleter().size : 0}; }
    std::size_t size() const { return bytes_ ? bytes_.get_deleter().size : 0; }
    bool operator==(const SecretBytes& other) const { return equal_in_constant_time(reveal(), other.reveal()); }

private:
    struct Wipe {
        std::size_t size = 0;
        void operator()(std::uint8_t* bytes) const noexcept {
            ::explicit_bzero(bytes, size);  // memset would be dead code
            delete[] bytes;
        }
    };
    std::unique_ptr<std::uint8_t[], Wipe> bytes_;  // fixed: a growing vector would leave copies behind
};

// Wipes a buffer that some library filled, such as a parsed message, once its secret has moved into a SecretBytes.
inline void wipe(std::string& text) {
    ::explicit_bzero(text.data(), text.size());
    text.clear();
}
inline void wipe(Bytes& bytes) {
    if (!bytes.empty()) ::explicit_bzero(bytes.data(), bytes.size());
    bytes.clear();
}

}  // namespace qscd
