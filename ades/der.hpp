// Writing DER around parts that OpenSSL encodes [X.690]. CMS objects are composed here, not by CMS_sign, since the
// signature comes later, from elsewhere, and since what is signed must keep its exact bytes. Thread rules: pure.
#pragma once

#include <initializer_list>
#include <vector>

#include "base/bytes.hpp"

namespace qscd::ades::der {

enum Tag : std::uint8_t {
    octet_string = 0x04,
    sequence_tag = 0x30,
    set_tag = 0x31,
    context_0 = 0xA0,  // [0], constructed
    context_1 = 0xA1,
    context_2 = 0xA2,
};

Bytes element(Tag tag, ByteView content);  // definite length, shortest form
Bytes sequence(std::initializer_list<ByteView> parts);
Bytes joined_set(std::vector<Bytes> elements);  // the content octets of a SET OF: ascending, each once [X.690, 11.6]
Bytes set_of(std::vector<Bytes> elements);
Bytes object(int nid);                    // OBJECT IDENTIFIER by OpenSSL's number
Bytes small_integer(std::uint8_t value);  // 0 to 127

}  // namespace qscd::ades::der
