// What a signer proves with, and which combinations authorise. Every signature needs two independent factors, one
// known and one held: a floor that no policy lowers [AUTHN-01], so a FactorExpression of fewer cannot be made.
// Thread rules: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace qscd::policy {

enum class Factor : std::uint8_t { pin = 1, totp, sms };
enum class FactorNature : std::uint8_t { known, held };

struct FactorRow {
    Factor factor;
    std::string_view name;    // in factor expressions and as CSC authentication object id
    std::string_view option;  // in policy files
    FactorNature nature;
};
inline constexpr std::array factor_rows{
    FactorRow{Factor::pin, "PIN", "pin", FactorNature::known},
    FactorRow{Factor::totp, "TOTP", "totp", FactorNature::held},
    FactorRow{Factor::sms, "SMS", "sms", FactorNature::held},
};
constexpr const FactorRow& row_of(Factor factor) { return factor_rows[static_cast<std::size_t>(factor) - 1]; }

constexpr std::optional<Factor> factor_named(std::string_view name) {
    for (const auto& row : factor_rows)
        if (row.name == name) return row.factor;
    return std::nullopt;
}

// PIN and exactly one held factor. The text form, "PIN AND TOTP", is CSC's auth/expression (CSC API v2, 11.5).
class FactorExpression {
public:
    // Nothing when `held` is not a held factor.
    static constexpr std::optional<FactorExpression> pin_and(Factor held) {
        if (row_of(held).nature != FactorNature::held) return std::nullopt;
        return FactorExpression{held};
    }
    // Exactly what text() writes; any other combination, order or spacing is nothing.
    static std::optional<FactorExpression> parse(std::string_view text) {
        for (const auto& row : factor_rows)
            if (const auto one = pin_and(row.factor); one && one->text() == text) return one;
        return std::nullopt;
    }
    constexpr Factor held() const { return held_; }
    constexpr std::array<Factor, 2> factors() const { return {Factor::pin, held_}; }
    std::string text() const {
        return std::string{row_of(Factor::pin).name} + " AND " + std::string{row_of(held_).name};
    }
    constexpr bool operator==(const FactorExpression&) const = default;

private:
    explicit constexpr FactorExpression(Factor held) : held_(held) {}
    Factor held_;
};

static_assert(!FactorExpression::pin_and(Factor::pin));

}  // namespace qscd::policy
