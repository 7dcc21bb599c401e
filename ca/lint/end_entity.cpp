#include "ca/lint/end_entity.hpp"

#include <algorithm>
#include <array>
#include <set>

namespace qscd::ca::lint_rules {
namespace {

using policy::Qc;
using Policies = std::unique_ptr<CERTIFICATEPOLICIES, FreeWith<CERTIFICATEPOLICIES_free>>;
using Sequence = std::unique_ptr<ASN1_SEQUENCE_ANY,
                                 decltype([](ASN1_SEQUENCE_ANY* all) { sk_ASN1_TYPE_pop_free(all, ASN1_TYPE_free); })>;

std::string dotted(const ASN1_OBJECT* object) {
    std::array<char, 128> text{};
    OBJ_obj2txt(text.data(), text.size(), object, 1);
    return text.data();
}

Bytes content_of(const ASN1_STRING* text) {
    if (text == nullptr) return {};
    const auto* bytes = ASN1_STRING_get0_data(text);
    return {bytes, bytes + ASN1_STRING_length(text)};
}

struct Extension {
    std::string oid;
    bool critical;
    Bytes value;
};
std::vector<Extension> extensions_of(const X509& certificate) {
    std::vector<Extension> out;
    for (int i = 0; i < X509_get_ext_count(&certificate); ++i) {
        auto* each = X509_get_ext(&certificate, i);
        out.push_back({dotted(X509_EXTENSION_get_object(each)), X509_EXTENSION_get_critical(each) != 0,
                       content_of(X509_EXTENSION_get_data(each))});
    }
    return out;
}
const Extension* find(const std::vector<Extension>& all, std::string_view oid) {
    const auto found = std::ranges::find(all, oid, &Extension::oid);
    return found == all.end() ? nullptr : &*found;
}

Sequence sequence_in(ByteView der) {
    const auto* at = der.data();
    Sequence out{d2i_ASN1_SEQUENCE_ANY(nullptr, &at, static_cast<long>(der.size()))};
    if (at != der.data() + der.size()) out.reset();
    return out;
}

// The statements' identifiers with what stands behind each; nothing for a value that is no QCStatements.
struct Statement {
    std::string oid;
    Bytes information;
};
std::optional<std::vector<Statement>> statements_in(ByteView value) {
    const auto outer = sequence_in(value);
    if (!outer) return std::nullopt;
    std::vector<Statement> out;
    for (int i = 0; i < sk_ASN1_TYPE_num(outer.get()); ++i) {
        const auto* each = sk_ASN1_TYPE_value(outer.get(), i);
        if (each->type != V_ASN1_SEQUENCE) return std::nullopt;
        const auto inner = sequence_in(content_of(each->value.sequence));
        const int count = inner ? sk_ASN1_TYPE_num(inner.get()) : 0;
        if (count < 1 || count > 2) return std::nullopt;
        const auto* id = sk_ASN1_TYPE_value(inner.get(), 0);
        if (id->type != V_ASN1_OBJECT) return std::nullopt;
        Statement statement{dotted(id->value.object), {}};
        if (count == 2) {
            const auto* information = sk_ASN1_TYPE_value(inner.get(), 1);
            if (information->type != V_ASN1_SEQUENCE) return std::nullopt;
            statement.information = content_of(information->value.sequence);
        }
        out.push_back(std::move(statement));
    }
    return out;
}

Bytes object_der(std::string_view oid) {
    const std::unique_ptr<ASN1_OBJECT, FreeWith<ASN1_OBJECT_free>> object{OBJ_txt2obj(std::string{oid}.c_str(), 1)};
    return der_of(*object, i2d_ASN1_OBJECT);
}

constexpr std::string_view qc_statements_oid = "1.3.6.1.5.5.7.1.3", key_usage_oid = "2.5.29.15";
constexpr std::string_view syntax_v2 = "1.3.6.1.5.5.7.11.2";
constexpr std::array<std::string_view, 7> known_extensions{
    "2.5.29.35", "2.5.29.14", key_usage_oid, "2.5.29.32", "2.5.29.31", "1.3.6.1.5.5.7.1.1", qc_statements_oid};

bool version_is_three(const Candidate& c) { return X509_get_version(&c.certificate) == X509_VERSION_3; }

bool serial_is_long_and_positive(const Candidate& c) {
    const auto* serial = X509_get0_serialNumber(&c.certificate);
    const auto size = ASN1_STRING_length(serial);
    return ASN1_STRING_type(serial) == V_ASN1_INTEGER && size >= 8 && size <= 20 &&
           (size < 20 || ASN1_STRING_get0_data(serial)[0] < 0x80);
}

bool issuer_is_the_issuers_subject(const Candidate& c) {
    return der_of(*X509_get_issuer_name(&c.certificate), i2d_X509_NAME) ==
           der_of(*X509_get_subject_name(&c.issuer), i2d_X509_NAME);
}

bool signature_algorithm_fits_the_issuers_key(const Candidate& c) {
    const auto* key = X509_get0_pubkey(&c.issuer);
    const int nid = OBJ_obj2nid(X509_get0_tbs_sigalg(&c.certificate)->algorithm);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) return nid == NID_sha384WithRSAEncryption;
    return nid == (EVP_PKEY_get_bits(key) == 256 ? NID_ecdsa_with_SHA256 : NID_ecdsa_with_SHA384);
}

bool ends_within_the_issuers_life(const Candidate& c) {
    const auto *begin = X509_get0_notBefore(&c.certificate), *end = X509_get0_notAfter(&c.certificate);
    return ASN1_TIME_compare(begin, end) < 0 && ASN1_TIME_compare(end, X509_get0_notAfter(&c.issuer)) <= 0 &&
           ASN1_TIME_compare(X509_get0_notBefore(&c.issuer), begin) <= 0;
}

bool lives_five_years_at_most(const Candidate& c) {
    int days = 0, seconds = 0;
    return ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(&c.certificate), X509_get0_notAfter(&c.certificate)) ==
               1 &&
           days <= 5 * 365 + 2;
}

bool times_have_the_right_type(const Candidate& c) {
    return std::ranges::all_of(std::array{X509_get0_notBefore(&c.certificate), X509_get0_notAfter(&c.certificate)},
                               [](const ASN1_TIME* time) {
                                   const auto text = content_of(time);
                                   const bool utc = ASN1_STRING_type(time) == V_ASN1_UTCTIME;
                                   return text.size() == (utc ? 13U : 15U) && text.back() == 'Z' &&
                                          (utc ? text_of(text) < "50" : text_of(text) >= "2050");
                               });
}

// One value each; text of the right kind [EN 319 412-2, 4.2.4].
struct Attribute {
    int nid, string_type;
    bool required;
};
constexpr std::array subject_attributes{
    Attribute{NID_countryName, V_ASN1_PRINTABLESTRING, true}, Attribute{NID_givenName, V_ASN1_UTF8STRING, false},
    Attribute{NID_surname, V_ASN1_UTF8STRING, false},         Attribute{NID_serialNumber, V_ASN1_PRINTABLESTRING, true},
    Attribute{NID_commonName, V_ASN1_UTF8STRING, true},
};
bool subject_has_its_attributes(const Candidate& c) {
    const auto* name = X509_get_subject_name(&c.certificate);
    int known = 0;
    for (const auto& attribute : subject_attributes) {
        const int at = X509_NAME_get_index_by_NID(name, attribute.nid, -1);
        if (at < 0 && attribute.required) return false;
        if (at < 0) continue;
        const auto* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
        if (ASN1_STRING_type(value) != attribute.string_type || ASN1_STRING_length(value) == 0) return false;
        if (X509_NAME_get_index_by_NID(name, attribute.nid, at) >= 0) return false;
        ++known;
    }
    return known == X509_NAME_entry_count(name) && known > 3;  // a given name or a surname beside the required ones
}

bool key_is_on_the_allow_list(const Candidate& c) {
    const auto* key = X509_get0_pubkey(&c.certificate);
    if (key == nullptr) return false;
    const int bits = EVP_PKEY_get_bits(key);
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC ? bits == 256 || bits == 384
                                                    : EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA && bits >= 3072;
}

bool extensions_are_known_and_single(const Candidate& c) {
    std::set<std::string> seen;
    return std::ranges::all_of(extensions_of(c.certificate), [&](const Extension& each) {
        return seen.insert(each.oid).second && std::ranges::count(known_extensions, each.oid) == 1 &&
               each.critical == (each.oid == key_usage_oid);
    });
}

bool key_usage_is_the_types(const Candidate& c) {
    const auto extensions = extensions_of(c.certificate);
    const auto* usage = find(extensions, key_usage_oid);
    return usage != nullptr && policy::row_of(c.type).key_usage == policy::KeyUsage::non_repudiation &&
           usage->value == Bytes{0x03, 0x02, 0x06, 0x40};
}

bool subject_key_identifier_is_the_keys(const Candidate& c) {
    std::array<std::uint8_t, 20> digest{};
    unsigned size = 0;
    return X509_pubkey_digest(&c.certificate, EVP_sha1(), digest.data(), &size) == 1 &&
           content_of(X509_get0_subject_key_id(&c.certificate)) == Bytes(digest.begin(), digest.end());
}

bool authority_key_identifier_is_the_issuers(const Candidate& c) {
    const auto identifier = content_of(X509_get0_authority_key_id(&c.certificate));
    return !identifier.empty() && identifier == content_of(X509_get0_subject_key_id(const_cast<X509*>(&c.issuer))) &&
           X509_get0_authority_issuer(&c.certificate) == nullptr &&
           X509_get0_authority_serial(&c.certificate) == nullptr;
}

bool policies_name_the_type_first_and_once(const Candidate& c) {
    const Policies policies{static_cast<CERTIFICATEPOLICIES*>(
        X509_get_ext_d2i(&c.certificate, NID_certificate_policies, nullptr, nullptr))};
    if (!policies || sk_POLICYINFO_num(policies.get()) < 1) return false;
    for (int i = 0; i < sk_POLICYINFO_num(policies.get()); ++i) {
        const auto* each = sk_POLICYINFO_value(policies.get(), i);
        const auto oid = dotted(each->policyid);
        if (each->qualifiers != nullptr || oid == "2.5.29.32.0") return false;
        if (i == 0 ? oid != policy::row_of(c.type).policy_oid : oid.starts_with("0.4.0.")) return false;
    }
    return true;
}

bool statements_are_the_types(const Candidate& c) {
    const auto wanted = policy::row_of(c.type).qc;
    const auto extensions = extensions_of(c.certificate);
    const auto* value = find(extensions, qc_statements_oid);
    if (wanted == Qc::none || value == nullptr) return wanted == Qc::none && value == nullptr;
    auto found = statements_in(value->value);
    if (!found) return false;
    for (const auto& row : policy::qc_rows) {
        if (!has(wanted, row.qc)) continue;
        const auto at = std::ranges::find(*found, row.oid, &Statement::oid);
        if (at == found->end()) return false;
        const bool bare = row.value_oid.empty() && row.qc != Qc::pds;
        if (bare != at->information.empty()) return false;
        // An information's content is kept with its own header: SEQUENCE { value }.
        if (!row.value_oid.empty()) {
            const auto inner = sequence_in(at->information);
            if (!inner || sk_ASN1_TYPE_num(inner.get()) != 1 ||
                !std::ranges::equal(object_der(row.value_oid), ByteView{at->information}.subspan(2)))
                return false;
        }
        found->erase(at);
    }
    return found->size() == 1 && found->front().oid == syntax_v2;
}

bool has_http_pointers(const Candidate& c) {
    const std::unique_ptr<CRL_DIST_POINTS, FreeWith<CRL_DIST_POINTS_free>> points{
        static_cast<CRL_DIST_POINTS*>(X509_get_ext_d2i(&c.certificate, NID_crl_distribution_points, nullptr, nullptr))};
    const std::unique_ptr<AUTHORITY_INFO_ACCESS, FreeWith<AUTHORITY_INFO_ACCESS_free>> access{
        static_cast<AUTHORITY_INFO_ACCESS*>(X509_get_ext_d2i(&c.certificate, NID_info_access, nullptr, nullptr))};
    const auto is_http = [](const GENERAL_NAME* name) {
        return name->type == GEN_URI && text_of(content_of(name->d.uniformResourceIdentifier)).starts_with("http://");
    };
    if (!points || sk_DIST_POINT_num(points.get()) != 1 || !access || sk_ACCESS_DESCRIPTION_num(access.get()) != 1)
        return false;
    const auto* point = sk_DIST_POINT_value(points.get(), 0);
    const auto* method = sk_ACCESS_DESCRIPTION_value(access.get(), 0);
    return point->distpoint != nullptr && point->distpoint->type == 0 && point->reasons == nullptr &&
           point->CRLissuer == nullptr && sk_GENERAL_NAME_num(point->distpoint->name.fullname) == 1 &&
           is_http(sk_GENERAL_NAME_value(point->distpoint->name.fullname, 0)) &&
           OBJ_obj2nid(method->method) == NID_ad_ca_issuers && is_http(method->location);
}

constexpr std::array rules{
    Rule{"version", "[RFC 5280, 4.1.2.1]", version_is_three},
    Rule{"serial", "[RFC 5280, 4.1.2.2] [CA-15]", serial_is_long_and_positive},
    Rule{"issuer", "[RFC 5280, 4.1.2.4]", issuer_is_the_issuers_subject},
    Rule{"signature-algorithm", "[RFC 5280, 4.1.1.2]", signature_algorithm_fits_the_issuers_key},
    Rule{"within-issuer", "[CA-08]", ends_within_the_issuers_life},
    Rule{"lifetime", "[CA-08]", lives_five_years_at_most},
    Rule{"time-type", "[RFC 5280, 4.1.2.5]", times_have_the_right_type},
    Rule{"subject", "[EN 319 412-2, 4.2.4] [CA-12]", subject_has_its_attributes},
    Rule{"key", "[TS 119 312] [QSCD-10]", key_is_on_the_allow_list},
    Rule{"extensions", "[RFC 5280, 4.2] [EN 319 412-2, 4.3]", extensions_are_known_and_single},
    Rule{"key-usage", "[EN 319 412-2, NAT-4.3.2]", key_usage_is_the_types},
    Rule{"subject-key-identifier", "[RFC 5280, 4.2.1.2]", subject_key_identifier_is_the_keys},
    Rule{"authority-key-identifier", "[EN 319 412-2, GEN-4.3.1-1]", authority_key_identifier_is_the_issuers},
    Rule{"policies", "[EN 319 412-2, QCS-5.2] [CA-09]", policies_name_the_type_first_and_once},
    Rule{"statements", "[EN 319 412-5] [CA-10] [CA-11]", statements_are_the_types},
    Rule{"pointers", "[EN 319 412-2, GEN-4.3.11, GEN-4.4.1] [CA-46]", has_http_pointers},
};

}  // namespace

const std::span<const Rule> end_entity{rules};

}  // namespace qscd::ca::lint_rules
