#include "ca/issuing/certificate_builder.hpp"

#include "base/der.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/signed_object.hpp"

namespace qscd::ca {
namespace {

constexpr std::string_view syntax_v2 = "1.3.6.1.5.5.7.11.2", natural_semantics = "0.4.0.194121.1.1";

Bytes statement(std::string_view oid, ByteView information) {
    return der::sequence({der::object_identifier(oid), information});
}

Bytes pds_information(const std::vector<policy::PdsLocation>& pds) {
    Bytes locations;
    for (const auto& each : pds)
        der::append(locations,
                    der::sequence({der::text(der::ia5_tag, each.url), der::text(der::printable_tag, each.lang)}));
    return der::sequence({locations});
}

Bytes information_of(const policy::QcRow& row, const std::vector<policy::PdsLocation>& pds) {
    if (row.qc == policy::Qc::pds) return pds_information(pds);
    return row.value_oid.empty() ? Bytes{} : der::sequence({der::object_identifier(row.value_oid)});
}

// Named bits, most significant first, trailing zeros removed: nonRepudiation alone is 03 02 06 40.
Bytes key_usage(policy::KeyUsage usage) {
    const bool signature = has(usage, policy::KeyUsage::digital_signature);
    const bool commitment = has(usage, policy::KeyUsage::non_repudiation);
    const auto bits = static_cast<std::uint8_t>((signature ? 0x80 : 0) | (commitment ? 0x40 : 0));
    return {der::bit_string_tag, 2, static_cast<std::uint8_t>(commitment ? 6 : 7), bits};
}

Bytes subject_name(const protocol::Subject& subject) {
    return distinguished_name({
        {"2.5.4.6", der::printable_tag, subject.country},
        {"2.5.4.42", der::utf8_tag, subject.given_name},
        {"2.5.4.4", der::utf8_tag, subject.surname},
        {"2.5.4.5", der::printable_tag, subject.serial_number},
        {"2.5.4.3", der::utf8_tag, subject.common_name},
    });
}

}  // namespace

Bytes qc_statements(policy::Qc statements, const std::vector<policy::PdsLocation>& pds) {
    if (statements == policy::Qc::none) return {};
    Bytes all;
    for (const auto& row : policy::qc_rows)
        if (has(statements, row.qc)) der::append(all, statement(row.oid, information_of(row, pds)));
    der::append(all, statement(syntax_v2, der::sequence({der::object_identifier(natural_semantics)})));
    return der::sequence({all});
}

Result<Bytes> to_be_signed(const EndEntity& wanted) {
    const auto not_after = wanted.profile.not_after(wanted.not_before);
    QSCD_TRY(const auto issuer_end, time_of(*X509_get0_notAfter(&wanted.issuer)));
    if (not_after > issuer_end) return Error{Errc::access_denied, "the certificate would outlive its issuer [CA-08]"};
    QSCD_TRY(const auto algorithm, signature_algorithm_of(*X509_get0_pubkey(&wanted.issuer)));
    QSCD_TRY(const auto issuer_key, key_identifier_in(wanted.issuer));
    QSCD_TRY(const auto subject_key, key_identifier_of(wanted.public_key));

    std::vector<std::string> policies{std::string{wanted.profile.policy_oid()}};
    if (wanted.profile.own_policy()) policies.push_back(*wanted.profile.own_policy());
    const std::string base{wanted.public_base};

    Bytes extensions;
    const auto add = [&](std::string_view oid, bool critical, ByteView value) {
        der::append(extensions, extension(oid, critical, value));
    };
    add("2.5.29.35", false, authority_key_identifier(issuer_key));
    add("2.5.29.14", false, subject_key_identifier(subject_key));
    add("2.5.29.15", true, key_usage(wanted.profile.key_usage()));
    add("2.5.29.32", false, certificate_policies(policies));
    add("2.5.29.31", false, crl_distribution_point(base + crl_path(wanted.issuer_name)));
    // The CRL's pointer stands there, so the responder's may be absent [EN 319 412-2, GEN-4.3.11-2, GEN-4.4.1-8].
    add("1.3.6.1.5.5.7.1.1", false, ca_issuers(base + certificate_path(wanted.issuer_name)));
    if (const auto statements = qc_statements(wanted.profile.qc(), wanted.profile.pds()); !statements.empty())
        add("1.3.6.1.5.5.7.1.3", false, statements);

    return tbs_certificate({
        .serial = wanted.serial,
        .algorithm = algorithm.identifier,
        .issuer = der_of(*X509_get_subject_name(&wanted.issuer), i2d_X509_NAME),
        .not_before = wanted.not_before,
        .not_after = not_after,
        .subject = subject_name(wanted.subject),
        .public_key = wanted.public_key,
        .extensions = extensions,
    });
}

}  // namespace qscd::ca
