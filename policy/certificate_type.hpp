// The certificate types and what follows from each. One row is one type: nothing else in the product names a policy
// OID, a key usage or a QcStatement. Thread rules: constants.
// [EN 319 411-1, 5.3] [EN 319 411-2, 5.3] [EN 319 412-2, 4.3.2: type A] [EN 319 412-5] [CA-09] [CA-10] [CA-11]
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qscd::policy {

// QcStatements, as a set.
enum class Qc : std::uint8_t { none = 0, compliance = 1, sscd = 2, type_esign = 4, type_eseal = 8, pds = 16 };
constexpr Qc operator|(Qc left, Qc right) {
    return static_cast<Qc>(static_cast<std::uint8_t>(left) | static_cast<std::uint8_t>(right));
}
constexpr bool has(Qc set, Qc one) {
    return (static_cast<std::uint8_t>(set) & static_cast<std::uint8_t>(one)) == static_cast<std::uint8_t>(one);
}

// The statements in the order in which certificates carry them; the order has no meaning, but golden files stay stable.
struct QcRow {
    Qc qc;
    std::string_view name, oid;
    std::string_view value_oid;  // the one OID inside QcType; empty where the statement has no OID as its information
};
inline constexpr std::array qc_rows{
    QcRow{Qc::compliance, "QcCompliance", "0.4.0.1862.1.1", ""},
    QcRow{Qc::sscd, "QcSSCD", "0.4.0.1862.1.4", ""},
    QcRow{Qc::type_esign, "QcType", "0.4.0.1862.1.6", "0.4.0.1862.1.6.1"},
    QcRow{Qc::type_eseal, "QcType", "0.4.0.1862.1.6", "0.4.0.1862.1.6.2"},
    QcRow{Qc::pds, "QcPDS", "0.4.0.1862.1.5", ""},
};

// keyUsage bits, as a set. Content commitment alone is type A, the preferred one for signatures of persons.
enum class KeyUsage : std::uint8_t { none = 0, digital_signature = 1, non_repudiation = 2 };
constexpr bool has(KeyUsage set, KeyUsage one) {
    return (static_cast<std::uint8_t>(set) & static_cast<std::uint8_t>(one)) == static_cast<std::uint8_t>(one);
}

enum class CertificateType : std::uint8_t { lcp = 1, ncp, ncp_plus, qcp_n, qcp_l, qcp_n_qscd, qcp_l_qscd };

struct TypeRow {
    CertificateType type;
    std::string_view name, policy_oid;
    Qc qc;
    KeyUsage key_usage;
    bool issuable;  // the other rows keep their numbers; a profile that names one does not load
};

inline constexpr auto esign = Qc::compliance | Qc::type_esign | Qc::pds;
inline constexpr auto eseal = Qc::compliance | Qc::type_eseal | Qc::pds;
inline constexpr auto content = KeyUsage::non_repudiation;
inline constexpr std::array type_rows{
    TypeRow{CertificateType::lcp, "LCP", "0.4.0.2042.1.3", Qc::none, content, true},
    TypeRow{CertificateType::ncp, "NCP", "0.4.0.2042.1.1", Qc::none, content, false},
    TypeRow{CertificateType::ncp_plus, "NCP+", "0.4.0.2042.1.2", Qc::none, content, false},
    TypeRow{CertificateType::qcp_n, "QCP-n", "0.4.0.194112.1.0", esign, content, true},
    TypeRow{CertificateType::qcp_l, "QCP-l", "0.4.0.194112.1.1", eseal, content, false},
    TypeRow{CertificateType::qcp_n_qscd, "QCP-n-qscd", "0.4.0.194112.1.2", esign | Qc::sscd, content, true},
    TypeRow{CertificateType::qcp_l_qscd, "QCP-l-qscd", "0.4.0.194112.1.3", eseal | Qc::sscd, content, false},
};

constexpr const TypeRow& row_of(CertificateType type) { return type_rows[static_cast<std::size_t>(type) - 1]; }

constexpr std::optional<CertificateType> certificate_type_named(std::string_view name) {
    for (const auto& row : type_rows)
        if (row.name == name) return row.type;
    return std::nullopt;
}

// A qualified certificate in the sense of the Regulation: it says QcCompliance.
constexpr bool is_qualified(CertificateType type) { return has(row_of(type).qc, Qc::compliance); }
// The key must live in a qualified signature creation device: the certificate says QcSSCD.
constexpr bool needs_qscd(CertificateType type) { return has(row_of(type).qc, Qc::sscd); }

static_assert([] {  // row_of() finds by number
    for (std::size_t i = 0; i < type_rows.size(); ++i)
        if (static_cast<std::size_t>(type_rows[i].type) != i + 1) return false;
    return true;
}());
static_assert(std::ranges::all_of(type_rows, [](const TypeRow& r) {  // QcSSCD implies QcCompliance; [CA-11]
    return (!has(r.qc, Qc::sscd) || has(r.qc, Qc::compliance)) && has(r.qc, Qc::sscd) == r.name.ends_with("-qscd");
}));
static_assert(std::ranges::all_of(type_rows, [](const TypeRow& r) {  // exactly one QcType, in qualified ones only
    return has(r.qc, Qc::compliance) == (has(r.qc, Qc::type_esign) != has(r.qc, Qc::type_eseal)) &&
           has(r.qc, Qc::compliance) == has(r.qc, Qc::pds) && !(has(r.qc, Qc::type_esign) && has(r.qc, Qc::type_eseal));
}));
static_assert(std::ranges::all_of(type_rows, [](const TypeRow& r) {  // non-qualified: 2042.1, qualified: 194112.1
    return r.policy_oid.starts_with(has(r.qc, Qc::compliance) ? "0.4.0.194112.1." : "0.4.0.2042.1.");
}));
static_assert(std::ranges::all_of(type_rows, [](const TypeRow& r) {  // persons alone, until seals are built
    return !r.issuable || !has(r.qc, Qc::type_eseal);
}));

}  // namespace qscd::policy
