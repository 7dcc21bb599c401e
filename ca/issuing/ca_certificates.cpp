#include "ca/issuing/ca_certificates.hpp"

#include <algorithm>

#include "base/der.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/signed_object.hpp"

namespace qscd::ca {
namespace {

constexpr std::array<std::uint8_t, 4> certificate_and_crl_signing{der::bit_string_tag, 2, 1, 0x06};
constexpr std::string_view any_policy = "2.5.29.32.0";

Result<Bytes> name_of(const AuthorityName& name) {
    const bool country = name.country.size() == 2 &&
                         std::ranges::all_of(name.country, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!country || name.organisation.empty() || name.organisation.size() > 64 || name.common_name.empty() ||
        name.common_name.size() > 64)
        return Error{Errc::parameter_invalid, "an authority needs a country, an organisation and a common name"};
    return distinguished_name({
        {"2.5.4.6", der::printable_tag, name.country},
        {"2.5.4.10", der::utf8_tag, name.organisation},
        {"2.5.4.3", der::utf8_tag, name.common_name},
    });
}

Bytes authority_constraints(bool with_path_length) {
    const auto length = with_path_length ? der::unsigned_integer(std::uint64_t{0}) : Bytes{};
    return der::sequence({der::true_value(), length});
}

Result<Bytes> signed_and_verified(ByteView tbs, const SignatureAlgorithm& algorithm, EVP_PKEY& key,
                                  EVP_PKEY& public_key) {
    QSCD_TRY(auto der, sign_object(tbs, algorithm, key));
    QSCD_TRY(const auto parsed, certificate_from_der(der));
    if (X509_verify(parsed.get(), &public_key) != 1)
        return Error{Errc::internal, "the certificate does not verify: " + openssl_reason()};
    return der;
}

}  // namespace

Result<Bytes> root_certificate(const AuthorityName& name, ByteView public_key, EVP_PKEY& key, TimePoint now) {
    QSCD_TRY(const auto subject, name_of(name));
    QSCD_TRY(const auto public_half, public_key_from_der(public_key));
    QSCD_TRY(const auto algorithm, signature_algorithm_of(*public_half));
    QSCD_TRY(const auto identifier, key_identifier_of(public_key));
    Bytes extensions;
    der::append(extensions, extension("2.5.29.14", false, subject_key_identifier(identifier)));
    der::append(extensions, extension("2.5.29.19", true, authority_constraints(false)));
    der::append(extensions, extension("2.5.29.15", true, certificate_and_crl_signing));
    const auto serial = random_serial();
    const auto tbs = tbs_certificate({.serial = serial,
                                      .algorithm = algorithm.identifier,
                                      .issuer = subject,
                                      .not_before = now,
                                      .not_after = end_of_years(now, root_years),
                                      .subject = subject,
                                      .public_key = public_key,
                                      .extensions = extensions});
    return signed_and_verified(tbs, algorithm, key, *public_half);
}

Result<Bytes> issuing_certificate(const AuthorityName& name, ByteView public_key, const X509& root, EVP_PKEY& root_key,
                                  TimePoint now, std::string_view public_base) {
    QSCD_TRY(const auto subject, name_of(name));
    QSCD_TRY(const auto root_end, time_of(*X509_get0_notAfter(&root)));
    const auto not_after = end_of_years(now, issuing_years);
    if (not_after > root_end) return Error{Errc::access_denied, "the issuing CA would outlive its root"};
    auto* root_public = X509_get0_pubkey(&root);
    QSCD_TRY(const auto algorithm, signature_algorithm_of(*root_public));
    QSCD_TRY(const auto root_identifier, key_identifier_in(root));
    QSCD_TRY(const auto identifier, key_identifier_of(public_key));
    const std::string base{public_base};
    Bytes extensions;
    der::append(extensions, extension("2.5.29.35", false, authority_key_identifier(root_identifier)));
    der::append(extensions, extension("2.5.29.14", false, subject_key_identifier(identifier)));
    der::append(extensions, extension("2.5.29.19", true, authority_constraints(true)));
    der::append(extensions, extension("2.5.29.15", true, certificate_and_crl_signing));
    der::append(extensions, extension("2.5.29.32", false, certificate_policies({std::string{any_policy}})));
    der::append(extensions, extension("2.5.29.31", false, crl_distribution_point(base + crl_path(root_name))));
    der::append(extensions, extension("1.3.6.1.5.5.7.1.1", false, ca_issuers(base + certificate_path(root_name))));
    const auto serial = random_serial();
    const auto issuer = der_of(*X509_get_subject_name(&root), i2d_X509_NAME);
    const auto tbs = tbs_certificate({.serial = serial,
                                      .algorithm = algorithm.identifier,
                                      .issuer = issuer,
                                      .not_before = now,
                                      .not_after = not_after,
                                      .subject = subject,
                                      .public_key = public_key,
                                      .extensions = extensions});
    return signed_and_verified(tbs, algorithm, root_key, *root_public);
}

}  // namespace qscd::ca
