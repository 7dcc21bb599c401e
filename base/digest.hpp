// 32 bytes are not just 32 bytes: digests and identifiers that know what they are. Thread rules: values.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace qscd {

enum class HashAlgorithm : std::uint8_t { sha256 = 1, sha384, sha512 };

struct HashRow {
    HashAlgorithm algorithm;
    std::string_view name, oid;
    std::size_t size;
};
// [QSCD-10] [TS 119 312]
inline constexpr std::array hash_rows{
    HashRow{HashAlgorithm::sha256, "SHA-256", "2.16.840.1.101.3.4.2.1", 32},
    HashRow{HashAlgorithm::sha384, "SHA-384", "2.16.840.1.101.3.4.2.2", 48},
    HashRow{HashAlgorithm::sha512, "SHA-512", "2.16.840.1.101.3.4.2.3", 64},
};
constexpr const HashRow& row_of(HashAlgorithm algorithm) { return hash_rows[static_cast<std::size_t>(algorithm) - 1]; }
constexpr std::size_t size_of(HashAlgorithm algorithm) { return row_of(algorithm).size; }

// DTBS/R, the data to be signed representation: a hash that knows which one it is, exactly 32, 48 or 64 bytes.
// It comes hashed: the signer's document never reaches us.
class DtbsR {
public:
    static Result<DtbsR> from(HashAlgorithm algorithm, ByteView bytes) {
        if (bytes.size() != size_of(algorithm)) return Error{Errc::hash_wrong_length, "DTBS/R"};
        DtbsR out{algorithm};
        std::ranges::copy(bytes, out.bytes_.begin());
        return out;
    }
    HashAlgorithm algorithm() const { return algorithm_; }
    ByteView bytes() const { return {bytes_.data(), size_of(algorithm_)}; }
    auto operator<=>(const DtbsR&) const = default;  // equal bytes under two algorithms are two values

private:
    explicit DtbsR(HashAlgorithm algorithm) : algorithm_(algorithm) {}
    HashAlgorithm algorithm_;
    std::array<std::uint8_t, 64> bytes_{};
};

// What has one length. No default constructor: an all-zero digest nobody asked for cannot exist.
template <class Tag, std::size_t N>
class FixedBytes {
public:
    static constexpr std::size_t size = N;
    explicit constexpr FixedBytes(const std::array<std::uint8_t, N>& bytes) : bytes_(bytes) {}
    static std::optional<FixedBytes> from(ByteView bytes) {
        if (bytes.size() != N) return std::nullopt;
        std::array<std::uint8_t, N> out;
        std::ranges::copy(bytes, out.begin());
        return FixedBytes{out};
    }
    static std::optional<FixedBytes> from_hex(std::string_view text) {
        const auto bytes = qscd::from_hex(text);
        return bytes ? from(*bytes) : std::nullopt;
    }
    ByteView bytes() const { return bytes_; }
    std::string hex() const { return to_hex(bytes_); }
    auto operator<=>(const FixedBytes&) const = default;

private:
    std::array<std::uint8_t, N> bytes_;
};

// For hash maps whose keys are random or digests: the first bytes are as good as any hash.
struct HashOfFixedBytes {
    template <class Tag, std::size_t N>
    std::size_t operator()(const FixedBytes<Tag, N>& value) const {
        static_assert(N >= sizeof(std::size_t));
        std::size_t out = 0;
        std::memcpy(&out, value.bytes().data(), sizeof out);
        return out;
    }
};

using Sha256Digest = FixedBytes<struct Sha256Tag, 32>;

Sha256Digest sha256(ByteView bytes);
// SHA-256 over the parts one after the other. The caller sees to it that the parts cannot be confused.
Sha256Digest sha256(std::initializer_list<ByteView> parts);
Bytes digest(HashAlgorithm algorithm, ByteView bytes);

}  // namespace qscd
