#include "base/der.hpp"

#include <algorithm>
#include <openssl/objects.h>

#include "base/openssl.hpp"

namespace qscd::der {
namespace {

void append_length(Bytes& to, std::size_t length) {
    if (length < 0x80) {
        to.push_back(static_cast<std::uint8_t>(length));
        return;
    }
    Bytes octets;
    for (; length > 0; length >>= 8) octets.insert(octets.begin(), static_cast<std::uint8_t>(length));
    to.push_back(static_cast<std::uint8_t>(0x80 | octets.size()));
    append(to, octets);
}

}  // namespace

void append(Bytes& to, ByteView more) { to.insert(to.end(), more.begin(), more.end()); }

Bytes value(std::uint8_t tag, std::initializer_list<ByteView> parts) {
    std::size_t length = 0;
    for (const auto part : parts) length += part.size();
    Bytes out{tag};
    append_length(out, length);
    for (const auto part : parts) append(out, part);
    return out;
}

Bytes unsigned_integer(ByteView magnitude) {
    while (magnitude.size() > 1 && magnitude[0] == 0) magnitude = magnitude.subspan(1);
    Bytes content;
    if (magnitude.empty() || magnitude[0] >= 0x80) content.push_back(0);
    append(content, magnitude);
    return value(integer_tag, {content});
}

Bytes unsigned_integer(std::uint64_t number) {
    Bytes octets(sizeof number);
    for (auto at = octets.rbegin(); at != octets.rend(); ++at, number >>= 8) *at = static_cast<std::uint8_t>(number);
    return unsigned_integer(octets);
}

Bytes object_identifier(std::string_view dotted) {
    const std::unique_ptr<ASN1_OBJECT, FreeWith<ASN1_OBJECT_free>> object{OBJ_txt2obj(std::string{dotted}.c_str(), 1)};
    return object ? der_of(*object, i2d_ASN1_OBJECT) : Bytes{};
}

Bytes object_identifier(int nid) { return der_of(*OBJ_nid2obj(nid), i2d_ASN1_OBJECT); }

Bytes joined_set(std::vector<Bytes> elements) {
    std::ranges::sort(elements);
    const auto [first_double, end] = std::ranges::unique(elements);
    elements.erase(first_double, end);
    Bytes out;
    for (const auto& one : elements) append(out, one);
    return out;
}

Bytes bit_string(ByteView bytes) {
    const Bytes unused{0};
    return value(bit_string_tag, {unused, bytes});
}

Bytes true_value() { return {boolean_tag, 0x01, 0xff}; }

Bytes time(TimePoint at) {
    const auto full = generalized_time(at);
    return full < "2050" ? text(utc_time_tag, std::string_view{full}.substr(2)) : text(generalized_time_tag, full);
}

}  // namespace qscd::der
