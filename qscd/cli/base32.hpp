// RFC 4648, section 6, without padding: how authenticator apps take their secrets.
#pragma once

#include "base/bytes.hpp"

namespace qscd::cli {

inline std::string to_base32(ByteView bytes) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string out;
    unsigned pending = 0, bits = 0;
    for (const auto byte : bytes) {
        pending = (pending << 8 | byte) & 0xfffff;
        for (bits += 8; bits >= 5; bits -= 5) out += alphabet[pending >> (bits - 5) & 31];
    }
    if (bits > 0) out += alphabet[pending << (5 - bits) & 31];
    return out;
}

}  // namespace qscd::cli
