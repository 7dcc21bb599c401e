#include "qscd/gateway/csc/credential_object.hpp"

#include <boost/json/array.hpp>
#include <ctime>

#include "qscd/gateway/csc/sign_algorithm.hpp"

namespace qscd::gateway {
namespace {

namespace bj = boost::json;

struct QualifierRow {
    policy::CertificateType type;
    std::string_view qualifier, sentence;
};
constexpr std::array qualifier_rows{
    QualifierRow{policy::CertificateType::qcp_n_qscd, "eu_eidas_qes", "Qualified electronic signature"},
    QualifierRow{policy::CertificateType::qcp_n, "eu_eidas_aesqc",
                 "Advanced electronic signature with a qualified certificate"},
    QualifierRow{policy::CertificateType::lcp, "eu_eidas_aes", "Advanced electronic signature"},
};

struct ObjectRow {
    policy::Factor factor;
    std::string_view type, generator, label;
};
constexpr std::array object_rows{
    ObjectRow{policy::Factor::pin, "Password", "", "PIN"},
    ObjectRow{policy::Factor::totp, "Password", "totp", "Code of the authenticator app"},
    ObjectRow{policy::Factor::sms, "ChallengeResponse", "", "Code sent by SMS"},
};

struct Dates {
    TimePoint from, to;
};

std::optional<TimePoint> time_of(const ASN1_TIME* time) {
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
    return from_unix(::timegm(&parts));
}

Result<X509Cert> certificate_of(const DescribedCredential& credential) {
    auto parsed = certificate_from_der(view_of(credential.description.certificate()));
    if (!parsed)
        return Error{Errc::internal, "credential " + credential.facts.id.hex() + ": its certificate cannot be read"};
    return parsed;
}

Result<Dates> dates_of(const X509& certificate) {
    const auto from = time_of(X509_get0_notBefore(&certificate)), to = time_of(X509_get0_notAfter(&certificate));
    if (!from || !to) return Error{Errc::internal, "a certificate without dates"};
    return Dates{*from, *to};
}

bool is_enabled(const DescribedCredential& credential, const Dates& dates, TimePoint now) {
    return credential.description.status() == pb::CredentialDescription::ACTIVE && now <= dates.to;
}

// RFC 4514, in UTF-8: characters beyond ASCII stay what they are.
std::string name_of(const X509_NAME* name) {
    const BioPtr out{BIO_new(BIO_s_mem())};
    X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
    char* text = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

std::string serial_of(const X509& certificate) {
    const BigNum number{ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr)};
    const std::unique_ptr<char, decltype([](char* text) { OPENSSL_free(text); })> hex{BN_bn2hex(number.get())};
    return hex.get();
}

bj::object key_object(const CredentialFacts& facts, bool enabled) {
    bj::array algorithms;
    for (const auto& row : sign_algorithms)
        if (fits(row.scheme, facts.key_kind)) algorithms.emplace_back(row.oid);
    const auto& kind = row_of(facts.key_kind);
    bj::object out{{"status", enabled ? "enabled" : "disabled"}, {"algo", std::move(algorithms)}, {"len", kind.bits}};
    if (kind.elliptic) out.emplace("curve", kind.curve_oid);
    return out;
}

bj::object certificate_object(const Service& service, const X509& certificate, const Dates& dates,
                              const Wanted& wanted) {
    bj::object out;
    const auto now = service.clock.now();
    if (now >= dates.from) out.emplace("status", now <= dates.to ? "valid" : "expired");
    if (wanted.certificates != Certificates::none) {
        bj::array all{bj::value(to_base64(der_of(certificate, i2d_X509)))};
        if (wanted.certificates == Certificates::chain)
            for (const auto& der : service.authorities.issuers_of(certificate)) all.emplace_back(to_base64(der));
        out.emplace("certificates", std::move(all));
    }
    if (wanted.certificate_info) {
        out.emplace("issuerDN", name_of(X509_get_issuer_name(&certificate)));
        out.emplace("serialNumber", serial_of(certificate));
        out.emplace("subjectDN", name_of(X509_get_subject_name(&certificate)));
        out.emplace("validFrom", generalized_time(dates.from));
        out.emplace("validTo", generalized_time(dates.to));
    }
    return out;
}

// One held factor: "PIN AND TOTP". Several: exactly one of them beside the PIN.
std::string expression_of(const policy::Profile& profile) {
    const auto& expressions = profile.expressions();
    if (expressions.size() == 1) return expressions.front().text();
    std::string held;
    for (const auto& each : expressions)
        held += (held.empty() ? "" : " XOR ") + std::string{policy::row_of(each.held()).name};
    return std::string{policy::row_of(policy::Factor::pin).name} + " AND (" + held + ")";
}

bj::object object_of(policy::Factor factor) {
    const auto& row = *std::ranges::find(object_rows, factor, &ObjectRow::factor);
    bj::object out{{"type", row.type}, {"id", policy::row_of(factor).name}, {"format", "N"}, {"label", row.label}};
    if (!row.generator.empty()) out.emplace("generator", row.generator);
    return out;
}

bj::object authorisation_object(const policy::Profile& profile, const Wanted& wanted) {
    const bool in_clear = profile.allows(policy::Mode::explicit_mode);
    bj::object out{{"mode", in_clear ? "explicit" : "oauth2code"}};
    if (!wanted.authorisation_info) return out;
    bj::array objects;
    if (in_clear) {
        out.emplace("expression", expression_of(profile));
        objects.emplace_back(object_of(policy::Factor::pin));
        for (const auto& expression : profile.expressions()) objects.emplace_back(object_of(expression.held()));
    }
    out.emplace("objects", std::move(objects));
    return out;
}

}  // namespace

Result<Wanted> wanted_in(const json::Object& body) {
    constexpr std::size_t longest_word = 16;
    Wanted out;
    const auto certificates = body.optional_string("certificates", longest_word);
    if (!certificates) return invalid_parameter("certificates");
    if (const auto& word = certificates.value()) {
        if (*word == "none") out.certificates = Certificates::none;
        else if (*word == "chain") out.certificates = Certificates::chain;
        else if (*word != "single") return invalid_parameter("certificates");
    }
    QSCD_TRY(const auto certificate_info, body.optional_boolean("certInfo"));
    QSCD_TRY(const auto authorisation_info, body.optional_boolean("authInfo"));
    out.certificate_info = certificate_info.value_or(false);
    out.authorisation_info = authorisation_info.value_or(false);
    return out;
}

Result<boost::json::object> credential_object(const Service& service, const DescribedCredential& credential,
                                              const Wanted& wanted) {
    QSCD_TRY(const auto certificate, certificate_of(credential));
    QSCD_TRY(const auto dates, dates_of(*certificate));
    const auto& profile = *credential.facts.profile;
    bj::object out;
    for (const auto& row : qualifier_rows) {
        if (row.type != profile.type()) continue;
        out.emplace("description", std::string{row.sentence} + " (" + profile.name() + ")");
        out.emplace("signatureQualifier", row.qualifier);
    }
    out.emplace("key", key_object(credential.facts, is_enabled(credential, dates, service.clock.now())));
    out.emplace("cert", certificate_object(service, *certificate, dates, wanted));
    out.emplace("auth", authorisation_object(profile, wanted));
    out.emplace("SCAL", "2");
    out.emplace("multisign", profile.multisign());
    return out;
}

Result<bool> is_usable(const Service& service, const DescribedCredential& credential) {
    QSCD_TRY(const auto certificate, certificate_of(credential));
    QSCD_TRY(const auto dates, dates_of(*certificate));
    const auto now = service.clock.now();
    return is_enabled(credential, dates, now) && now >= dates.from;
}

}  // namespace qscd::gateway
