#include "authn/totp.hpp"

#include <array>
#include <liboath/oath.h>

namespace qscd::authn {
namespace {

SecretBytes code_at(const SecretBytes& secret, std::int64_t step, unsigned digits) {
    std::array<char, 16> text{};
    const auto key = secret.reveal();
    oath_hotp_generate(reinterpret_cast<const char*>(key.data()), key.size(), static_cast<std::uint64_t>(step), digits,
                       false, OATH_HOTP_DYNAMIC_TRUNCATION, text.data());
    SecretBytes out{view_of(std::string_view{text.data()})};
    ::explicit_bzero(text.data(), text.size());
    return out;
}

}  // namespace

std::optional<std::int64_t> matching_step(const SecretBytes& secret, const SecretBytes& code, const TotpRules& rules,
                                          TimePoint now, std::int64_t last_step) {
    const auto current = unix_seconds(now) / rules.period.count();
    const auto tolerance = static_cast<std::int64_t>(rules.tolerance_steps);
    std::optional<std::int64_t> match;
    for (auto step = current - tolerance; step <= current + tolerance; ++step) {
        const bool equal = code_at(secret, step, rules.digits) == code;
        if (equal && step > last_step && !match) match = step;
    }
    return match;
}

}  // namespace qscd::authn
