// The raw bytes of a request's head, checked before any parser gives them a meaning [API-04] [RFC 9112, 2 to 6]. What
// passes has one reading: a parser can only agree. Private to this room. Thread rules: pure functions.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/net/limits.hpp"

namespace qscd::net {

// Where the head ends. `scanned` keeps the place between calls as more bytes arrive, so each byte is looked at once.
struct HeadEnd {
    unsigned refusal = 0;  // an HTTP status, or 0
    std::size_t size = 0;  // with the empty line; 0: more bytes are needed
};
HeadEnd find_head_end(std::string_view received, std::size_t& scanned, const Limits& limits);

struct Framing {
    unsigned refusal = 0;  // an HTTP status, or 0: then the rest holds
    bool keeps_connection = true;
    bool chunked = false;
    bool expects_continue = false;
    std::size_t content_length = 0;
};
Framing check_head(std::string_view head, const Limits& limits);

}  // namespace qscd::net
