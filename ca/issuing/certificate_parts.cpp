#include "ca/issuing/certificate_parts.hpp"

#include <ctime>

#include "base/der.hpp"
#include "base/random.hpp"

namespace qscd::ca {
namespace {

constexpr std::string_view ca_issuers_method = "1.3.6.1.5.5.7.48.2";

// GeneralName: uniformResourceIdentifier [6] IMPLICIT IA5String.
Bytes uri(std::string_view url) { return der::text(der::context(6), url); }

}  // namespace

Bytes distinguished_name(std::initializer_list<NameAttribute> attributes) {
    Bytes names;
    for (const auto& each : attributes) {
        if (each.value.empty()) continue;
        const auto attribute = der::sequence(
            {der::object_identifier(each.oid), der::text(each.string_tag, each.value)});
        der::append(names, der::value(der::set_tag, {attribute}));
    }
    return der::sequence({names});
}

Bytes extension(std::string_view oid, bool critical, ByteView value) {
    const auto flag = critical ? der::true_value() : Bytes{};
    return der::sequence({der::object_identifier(oid), flag, der::value(der::octet_string_tag, {value})});
}

Result<Bytes> key_identifier_of(ByteView public_key) {
    const auto* at = public_key.data();
    const std::unique_ptr<X509_PUBKEY, FreeWith<X509_PUBKEY_free>> parsed{
        d2i_X509_PUBKEY(nullptr, &at, static_cast<long>(public_key.size()))};
    if (!parsed || at != public_key.data() + public_key.size())
        return Error{Errc::paper_refused, "not a SubjectPublicKeyInfo"};
    const std::uint8_t* bits = nullptr;
    int size = 0;
    X509_PUBKEY_get0_param(nullptr, &bits, &size, nullptr, parsed.get());
    Bytes out(20);
    if (EVP_Digest(bits, static_cast<std::size_t>(size), out.data(), nullptr, EVP_sha1(), nullptr) != 1)
        return Error{Errc::internal, "EVP_Digest: " + openssl_reason()};
    return out;
}

Result<Bytes> key_identifier_in(const X509& certificate) {
    const auto* found = X509_get0_subject_key_id(const_cast<X509*>(&certificate));
    if (found == nullptr) return Error{Errc::configuration, "the issuer's certificate has no subjectKeyIdentifier"};
    const auto* bytes = ASN1_STRING_get0_data(found);
    return Bytes{bytes, bytes + ASN1_STRING_length(found)};
}

Bytes subject_key_identifier(ByteView key_identifier) { return der::value(der::octet_string_tag, {key_identifier}); }

Bytes authority_key_identifier(ByteView key_identifier) {
    return der::sequence({der::value(der::context(0), {key_identifier})});
}

Bytes certificate_policies(const std::vector<std::string>& oids) {
    Bytes policies;
    for (const auto& oid : oids) der::append(policies, der::sequence({der::object_identifier(oid)}));
    return der::sequence({policies});
}

Bytes crl_distribution_point(std::string_view url) {
    const auto full_name = der::value(der::context_constructed(0), {uri(url)});
    const auto name = der::value(der::context_constructed(0),
                                 {full_name});  // explicit: DistributionPointName is a CHOICE
    return der::sequence({der::sequence({name})});
}

Bytes ca_issuers(std::string_view url) {
    return der::sequence({der::sequence({der::object_identifier(ca_issuers_method), uri(url)})});
}

Bytes tbs_certificate(const TbsFields& fields) {
    const auto version = der::value(der::context_constructed(0), {der::unsigned_integer(2)});  // v3
    const auto validity = der::sequence({der::time(fields.not_before), der::time(fields.not_after)});
    const auto extensions = der::value(der::context_constructed(3), {der::sequence({fields.extensions})});
    return der::sequence({version, der::unsigned_integer(fields.serial), fields.algorithm, fields.issuer, validity,
                          fields.subject, fields.public_key, extensions});
}

Bytes random_serial() {
    auto serial = random_bytes(16);
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40);
    return serial;
}

TimePoint end_of_years(TimePoint begin, int years) {
    const auto day = std::chrono::floor<std::chrono::days>(begin);
    auto date = std::chrono::year_month_day{day} + std::chrono::years{years};
    if (!date.ok()) date = date.year() / date.month() / std::chrono::last;
    return std::chrono::sys_days{date} + (begin - day) - std::chrono::seconds{1};
}

Result<TimePoint> time_of(const ASN1_TIME& time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(&time, &parts) != 1) return Error{Errc::internal, "a time that is none"};
    return from_unix(::timegm(&parts));
}

std::string crl_path(std::string_view authority) { return "/crl/" + std::string{authority} + ".crl"; }
std::string certificate_path(std::string_view authority) { return "/aia/" + std::string{authority} + ".cer"; }

}  // namespace qscd::ca
