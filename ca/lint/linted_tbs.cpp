#include "ca/lint/linted_tbs.hpp"

#include "ca/lint/end_entity.hpp"

namespace qscd::ca {
namespace {

// A certificate around the TBS, with a signature that is none, so that the TBS can be parsed.
Bytes framed(ByteView tbs) {
    static constexpr std::array<std::uint8_t, 15> tail{0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
                                                       0x3d, 0x04, 0x03, 0x03, 0x03, 0x01, 0x00};
    const auto size = tbs.size() + tail.size();
    Bytes out{0x30, 0x83, static_cast<std::uint8_t>(size >> 16), static_cast<std::uint8_t>(size >> 8),
              static_cast<std::uint8_t>(size)};
    out.insert(out.end(), tbs.begin(), tbs.end());
    out.insert(out.end(), tail.begin(), tail.end());
    return out;
}

}  // namespace

Result<LintedTbs> lint(Bytes tbs, policy::CertificateType type, const X509& issuer) {
    const auto parsed = certificate_from_der(framed(tbs));
    if (!parsed) return Error{Errc::internal, "lint: the TBS cannot be parsed"};
    const lint_rules::Candidate candidate{*parsed.value(), type, issuer};
    for (const auto& rule : lint_rules::end_entity)
        if (!rule.holds(candidate))
            return Error{Errc::internal, "lint: " + std::string{rule.id} + " " + std::string{rule.source}};
    return LintedTbs{std::move(tbs)};
}

}  // namespace qscd::ca
