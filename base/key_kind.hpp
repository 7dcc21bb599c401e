// The key kinds and signature schemes we make and use, once for all rooms [QSCD-10] [TS 119 312]. Thread rules: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qscd {

enum class KeyKind : std::uint8_t { p256 = 1, p384, rsa3072, rsa4096 };
enum class Scheme : std::uint8_t { ecdsa = 1, rsa_pkcs1, rsa_pss };

struct KeyKindRow {
    KeyKind kind;
    std::string_view name;
    bool elliptic;
    unsigned bits;
    std::string_view curve_oid, group;  // OID as CSC's key.curve; OpenSSL's group name
};
inline constexpr std::array key_kind_rows{
    KeyKindRow{KeyKind::p256, "P-256", true, 256, "1.2.840.10045.3.1.7", "prime256v1"},
    KeyKindRow{KeyKind::p384, "P-384", true, 384, "1.3.132.0.34", "secp384r1"},
    KeyKindRow{KeyKind::rsa3072, "RSA-3072", false, 3072, "", ""},
    KeyKindRow{KeyKind::rsa4096, "RSA-4096", false, 4096, "", ""},
};
constexpr const KeyKindRow& row_of(KeyKind kind) { return key_kind_rows[static_cast<std::size_t>(kind) - 1]; }

constexpr std::optional<KeyKind> key_kind_named(std::string_view name) {
    for (const auto& row : key_kind_rows)
        if (row.name == name) return row.kind;
    return std::nullopt;
}
constexpr std::optional<KeyKind> key_kind_numbered(unsigned number) {
    if (number < 1 || number > key_kind_rows.size()) return std::nullopt;
    return static_cast<KeyKind>(number);
}
constexpr bool fits(Scheme scheme, KeyKind kind) { return (scheme == Scheme::ecdsa) == row_of(kind).elliptic; }

}  // namespace qscd
