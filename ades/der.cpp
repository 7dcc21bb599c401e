#include "ades/der.hpp"

#include <algorithm>
#include <openssl/objects.h>

#include "base/openssl.hpp"

namespace qscd::ades::der {

Bytes element(Tag tag, ByteView content) {
    Bytes out{tag};
    if (content.size() < 0x80) {
        out.push_back(static_cast<std::uint8_t>(content.size()));
    } else {
        Bytes length;
        for (auto rest = content.size(); rest != 0; rest >>= 8) length.push_back(static_cast<std::uint8_t>(rest));
        out.push_back(static_cast<std::uint8_t>(0x80 | length.size()));
        out.insert(out.end(), length.rbegin(), length.rend());
    }
    out.insert(out.end(), content.begin(), content.end());
    return out;
}

Bytes sequence(std::initializer_list<ByteView> parts) {
    Bytes content;
    for (const auto part : parts) content.insert(content.end(), part.begin(), part.end());
    return element(sequence_tag, content);
}

Bytes joined_set(std::vector<Bytes> elements) {
    std::ranges::sort(elements);
    const auto [first_double, end] = std::ranges::unique(elements);
    elements.erase(first_double, end);
    Bytes out;
    for (const auto& one : elements) out.insert(out.end(), one.begin(), one.end());
    return out;
}

Bytes set_of(std::vector<Bytes> elements) { return element(set_tag, joined_set(std::move(elements))); }

Bytes object(int nid) { return der_of(*OBJ_nid2obj(nid), i2d_ASN1_OBJECT); }

Bytes small_integer(std::uint8_t value) { return {0x02, 0x01, value}; }

}  // namespace qscd::ades::der
