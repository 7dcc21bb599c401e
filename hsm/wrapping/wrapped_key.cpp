#include "hsm/wrapping/wrapped_key.hpp"

namespace qscd::hsm {
namespace {

constexpr std::string_view domain = "qscd wrapped key 1";  // of the MAC; fixed length, so that nothing else begins so
constexpr std::uint8_t format = 1;
constexpr std::size_t largest = 16 * 1024;

void put(Bytes& out, ByteView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

void put_number(Bytes& out, std::uint64_t number, unsigned bytes) {
    for (unsigned i = bytes; i-- > 0;) out.push_back(static_cast<std::uint8_t>(number >> (8 * i)));
}

void put_counted(Bytes& out, ByteView bytes) {
    put_number(out, bytes.size(), 2);
    put(out, bytes);
}

Bytes encoded_attributes(const WrappedContents& key) {
    Bytes out;
    put_number(out, key.attributes.size(), 2);
    for (const auto& [name, value] : key.attributes) {
        put_counted(out, view_of(name));
        put_counted(out, view_of(value));
    }
    return out;
}

// Reads in the order of encode(); once something is short, all that follows is empty.
class Reader {
public:
    explicit Reader(ByteView bytes) : left_(bytes) {}
    ByteView take(std::size_t size) {
        if (size > left_.size()) {
            short_ = true;
            left_ = {};
            return {};
        }
        const auto out = left_.first(size);
        left_ = left_.subspan(size);
        return out;
    }
    std::uint64_t number(unsigned bytes) {
        std::uint64_t out = 0;
        for (const auto byte : take(bytes)) out = out << 8 | byte;
        return out;
    }
    ByteView counted() { return take(number(2)); }
    bool whole() const { return !short_ && left_.empty(); }
    bool is_short() const { return short_; }

private:
    ByteView left_;
    bool short_ = false;
};

}  // namespace

Bytes bound_bytes(const WrappedContents& key, const KeyOwner& owner) {
    Bytes out = bytes_of(domain);
    put(out, owner.bytes());
    put(out, key.id.bytes());
    put(out, key.kek.bytes());
    put_number(out, static_cast<std::uint64_t>(key.kind), 1);
    put_number(out, key.mechanism, 4);
    put(out, sha256(key.blob).bytes());
    put(out, sha256(key.public_key).bytes());
    put(out, sha256(encoded_attributes(key)).bytes());
    return out;
}

Bytes encode(const WrappedKey& key) {
    Bytes out{format};
    put(out, key.kek.bytes());
    put(out, key.id.bytes());
    put_number(out, static_cast<std::uint64_t>(key.kind), 1);
    put_number(out, key.mechanism, 4);
    put_counted(out, key.public_key);
    put_counted(out, key.blob);
    put(out, encoded_attributes(key));
    put(out, key.mac.bytes());
    return out;
}

Result<WrappedKey> decode_wrapped_key(ByteView encoded) {
    const auto refused = [](std::string_view why) {
        return Error{Errc::parameter_invalid, "a wrapped key " + std::string{why}};
    };
    if (encoded.size() > largest) return refused("is too long");
    Reader reader{encoded};
    if (reader.number(1) != format) return refused("of another format");
    const auto kek = CkaId::from(reader.take(CkaId::size)), id = CkaId::from(reader.take(CkaId::size));
    const auto kind = key_kind_numbered(static_cast<unsigned>(reader.number(1)));
    const auto mechanism = reader.number(4);
    const auto public_key = reader.counted(), blob = reader.counted();
    std::vector<std::pair<std::string, std::string>> attributes;
    for (auto left = reader.number(2); left > 0 && !reader.is_short(); --left) {
        const auto name = reader.counted(), value = reader.counted();
        attributes.emplace_back(text_of(name), text_of(value));
    }
    const auto mac = BindingMac::from(reader.take(BindingMac::size));
    if (!reader.whole() || !kek || !id || !mac) return refused("has another length than it says");
    if (!kind) return refused("of no known kind");
    return WrappedKey{{*kek,
                       *id,
                       *kind,
                       static_cast<CK_MECHANISM_TYPE>(mechanism),
                       {public_key.begin(), public_key.end()},
                       {blob.begin(), blob.end()},
                       std::move(attributes)},
                      *mac};
}

}  // namespace qscd::hsm
