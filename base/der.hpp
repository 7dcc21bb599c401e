// Writing DER where the bytes must exist before anything signs them, or must stay exactly as they were signed: frames
// of certificates, CRLs and CMS objects, around names, keys and signatures that OpenSSL encodes. [X.690]
// Thread rules: pure functions.
#pragma once

#include <initializer_list>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"

namespace qscd::der {

inline constexpr std::uint8_t boolean_tag = 0x01, integer_tag = 0x02, bit_string_tag = 0x03, octet_string_tag = 0x04,
                              null_tag = 0x05, utf8_tag = 0x0c, printable_tag = 0x13, ia5_tag = 0x16,
                              utc_time_tag = 0x17, generalized_time_tag = 0x18, sequence_tag = 0x30, set_tag = 0x31;
constexpr std::uint8_t context(unsigned number) { return static_cast<std::uint8_t>(0x80 | number); }  // primitive
constexpr std::uint8_t context_constructed(unsigned number) { return static_cast<std::uint8_t>(0xa0 | number); }

// One value: tag, shortest length, the parts one after the other.
Bytes value(std::uint8_t tag, std::initializer_list<ByteView> parts);
inline Bytes sequence(std::initializer_list<ByteView> parts) { return value(sequence_tag, parts); }
inline Bytes text(std::uint8_t tag, std::string_view characters) { return value(tag, {view_of(characters)}); }

Bytes unsigned_integer(ByteView magnitude);  // big endian; a zero octet is put in front where the top bit is set
Bytes unsigned_integer(std::uint64_t number);
Bytes object_identifier(std::string_view dotted);  // empty for what is none
Bytes object_identifier(int nid);                  // by OpenSSL's number
Bytes joined_set(std::vector<Bytes> elements);     // the content octets of a SET OF: ascending, each once [X.690, 11.6]
inline Bytes set_of(std::vector<Bytes> elements) { return value(set_tag, {joined_set(std::move(elements))}); }
Bytes bit_string(ByteView bytes);  // no unused bits
Bytes true_value();
// UTCTime through 2049, GeneralizedTime from 2050 [RFC 5280, 4.1.2.5].
Bytes time(TimePoint at);

void append(Bytes& to, ByteView more);

}  // namespace qscd::der
