// Raw bytes and their text forms. Inside the borders bytes become a type of their own (base/digest.hpp,
// base/identifier.hpp) as soon as they are read. Thread rules: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace qscd {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

inline ByteView view_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view text_of(ByteView bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes bytes_of(std::string_view text) { return {view_of(text).begin(), view_of(text).end()}; }

std::string to_hex(ByteView bytes);                    // lower case
std::optional<Bytes> from_hex(std::string_view text);  // both cases, even length

// RFC 4648, section 4: padded, canonical (no stray bits, no line breaks). Section 5 for the url form, unpadded.
std::string to_base64(ByteView bytes);
std::optional<Bytes> from_base64(std::string_view text);
std::string to_base64url(ByteView bytes);
std::optional<Bytes> from_base64url(std::string_view text);

// Time depends on the lengths alone.
bool equal_in_constant_time(ByteView left, ByteView right);

}  // namespace qscd
