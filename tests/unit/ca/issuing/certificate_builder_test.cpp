#include "ca/issuing/certificate_builder.hpp"

#include <set>

#include "ca/issuing/signed_object.hpp"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

std::string hex(const Bytes& bytes) { return to_hex(bytes); }

std::string dotted(const ASN1_OBJECT* object) {
    std::array<char, 80> text{};
    OBJ_obj2txt(text.data(), text.size(), object, 1);
    return text.data();
}
Bytes content_of(const ASN1_STRING* text) {
    return {ASN1_STRING_get0_data(text), ASN1_STRING_get0_data(text) + ASN1_STRING_length(text)};
}

struct Extension {
    std::string oid;
    bool critical;
    std::string value;  // hex
    bool operator==(const Extension&) const = default;
};
std::vector<Extension> extensions_of(const X509& certificate) {
    std::vector<Extension> out;
    for (int i = 0; i < X509_get_ext_count(&certificate); ++i) {
        auto* each = X509_get_ext(&certificate, i);
        out.push_back({dotted(X509_EXTENSION_get_object(each)), X509_EXTENSION_get_critical(each) != 0,
                       hex(content_of(X509_EXTENSION_get_data(each)))});
    }
    return out;
}
std::string value_of(const X509& certificate, const std::string& oid) {
    for (const auto& each : extensions_of(certificate))
        if (each.oid == oid) return each.value;
    return "absent";
}
std::vector<std::string> order_of(const X509& certificate) {
    std::vector<std::string> out;
    for (const auto& each : extensions_of(certificate)) out.push_back(each.oid);
    return out;
}

struct Built {
    std::string profile = "qscd";
    KeyKind kind = KeyKind::p256;
    protocol::Subject subject = anna;
    TimePoint not_before = at(2026, 11, 20);
    std::string public_base = "http://pki.qscd-test.example";
    TrialPki pki = TrialPki{};
    policy::Policy policy = trial_policy();
    Bytes public_key = {};
    Bytes serial = random_serial();

    Result<X509Cert> make() {
        const auto& profile_row = *policy.find(profile);
        const auto& authority = authority_for(policy::is_qualified(profile_row.type()));
        if (public_key.empty()) public_key = spki_of(*software_key(kind));
        QSCD_TRY(const auto tbs, to_be_signed({.profile = profile_row,
                                               .subject = subject,
                                               .public_key = public_key,
                                               .issuer = pki.hierarchy.issuing(authority),
                                               .issuer_name = authority.name,
                                               .serial = serial,
                                               .not_before = not_before,
                                               .public_base = public_base}));
        const auto key = pki.key_of(authority);
        QSCD_TRY(const auto algorithm, signature_algorithm_of(*key));
        QSCD_TRY(const auto der, sign_object(tbs, algorithm, *key));
        return certificate_from_der(der);
    }
};

const std::string semantics_natural = "301506082b06010505070b023009060704008bec490101";
const std::string pds_en = to_hex(view_of("https://pki.qscd-test.example/pds-en.pdf"));

TEST(CertificateOfAPerson, HasTheFieldsOfTheProfile) {
    Built built;
    const auto certificate = built.make().value();
    EXPECT_EQ(X509_get_version(certificate.get()), X509_VERSION_3);
    EXPECT_EQ(content_of(X509_get0_serialNumber(certificate.get())), built.serial);
    EXPECT_EQ(der_of(*X509_get_issuer_name(certificate.get()), i2d_X509_NAME),
              der_of(*X509_get_subject_name(built.pki.hierarchy.qualified.get()), i2d_X509_NAME));
    EXPECT_EQ(der_of(*X509_get_X509_PUBKEY(certificate.get()), i2d_X509_PUBKEY), built.public_key);
    const ASN1_BIT_STRING *issuer_id = nullptr, *subject_id = nullptr;
    X509_get0_uids(certificate.get(), &issuer_id, &subject_id);
    EXPECT_EQ(issuer_id, nullptr);
    EXPECT_EQ(subject_id, nullptr);
    EXPECT_EQ(X509_verify(certificate.get(), built.pki.qualified_key.get()), 1);
    // ecdsa-with-SHA384, parameters absent, the same inside and outside.
    const X509_ALGOR* outer = nullptr;
    X509_get0_signature(nullptr, &outer, certificate.get());
    EXPECT_EQ(hex(der_of(*outer, i2d_X509_ALGOR)), "300a06082a8648ce3d040303");
    EXPECT_EQ(X509_ALGOR_cmp(outer, X509_get0_tbs_sigalg(certificate.get())), 0);
}

TEST(CertificateOfAPerson, CA_12_NamesTheSubjectInOrderWithTheRightStringTypes) {
    Built built;
    const auto certificate = built.make().value();
    const auto* name = X509_get_subject_name(certificate.get());
    struct Attribute {
        int nid, type;
        std::string value;
    };
    const std::vector<Attribute> wanted{{NID_countryName, V_ASN1_PRINTABLESTRING, anna.country},
                                        {NID_givenName, V_ASN1_UTF8STRING, anna.given_name},
                                        {NID_surname, V_ASN1_UTF8STRING, anna.surname},
                                        {NID_serialNumber, V_ASN1_PRINTABLESTRING, anna.serial_number},
                                        {NID_commonName, V_ASN1_UTF8STRING, anna.common_name}};
    ASSERT_EQ(X509_NAME_entry_count(name), static_cast<int>(wanted.size()));
    for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
        const auto* entry = X509_NAME_get_entry(name, i);
        const auto& each = wanted[static_cast<std::size_t>(i)];
        EXPECT_EQ(OBJ_obj2nid(X509_NAME_ENTRY_get_object(entry)), each.nid);
        EXPECT_EQ(ASN1_STRING_type(X509_NAME_ENTRY_get_data(entry)), each.type);
        EXPECT_EQ(text_of(content_of(X509_NAME_ENTRY_get_data(entry))), each.value);
        EXPECT_EQ(X509_NAME_ENTRY_set(entry), i);  // one attribute a RelativeDistinguishedName
    }
}

TEST(CertificateOfAPerson, LeavesOutANameThePersonDoesNotHave) {
    Built built;
    built.subject.given_name.clear();
    const auto certificate = built.make().value();
    EXPECT_EQ(X509_NAME_get_index_by_NID(X509_get_subject_name(certificate.get()), NID_givenName, -1), -1);
}

TEST(CertificateOfAPerson, HasTheExtensionsOfItsTypeAndNoOther) {
    Built qscd, lcp;
    lcp.profile = "lcp";
    const std::vector<std::string> without_statements{"2.5.29.35", "2.5.29.14", "2.5.29.15",
                                                      "2.5.29.32", "2.5.29.31", "1.3.6.1.5.5.7.1.1"};
    auto with_statements = without_statements;
    with_statements.push_back("1.3.6.1.5.5.7.1.3");
    EXPECT_EQ(order_of(*qscd.make().value()), with_statements);
    EXPECT_EQ(order_of(*lcp.make().value()), without_statements);
    for (const auto& each : extensions_of(*qscd.make().value()))
        EXPECT_EQ(each.critical, each.oid == "2.5.29.15") << each.oid;
}

TEST(CertificateOfAPerson, HasKeyIdentifiersUsageAndPointersByteForByte) {
    Built built;
    const auto certificate = built.make().value();
    std::array<std::uint8_t, 20> digest{};
    unsigned size = 0;
    ASSERT_EQ(X509_pubkey_digest(certificate.get(), EVP_sha1(), digest.data(), &size), 1);
    EXPECT_EQ(value_of(*certificate, "2.5.29.14"), "0414" + to_hex(digest));
    const auto issuer_key = content_of(X509_get0_subject_key_id(built.pki.hierarchy.qualified.get()));
    EXPECT_EQ(value_of(*certificate, "2.5.29.35"), "30168014" + hex(issuer_key));
    EXPECT_EQ(value_of(*certificate, "2.5.29.15"), "03020640");
    const std::string crl = "http://pki.qscd-test.example/crl/qualified.crl";
    EXPECT_EQ(value_of(*certificate, "2.5.29.31"), "30363034a032a030862e" + to_hex(view_of(crl)));
}

TEST(CertificateOfAPerson, CA_46_PointsWhereThePolicySays) {
    for (const std::string base : {"http://pki.qscd-test.example", "http://status.other.example/v1"}) {
        Built built;
        built.public_base = base;
        const auto certificate = built.make().value();
        EXPECT_NE(value_of(*certificate, "2.5.29.31").find(to_hex(view_of(base + "/crl/qualified.crl"))),
                  std::string::npos);
        const auto access = value_of(*certificate, "1.3.6.1.5.5.7.1.1");
        EXPECT_NE(access.find(to_hex(view_of(base + "/aia/qualified.cer"))), std::string::npos);
        EXPECT_NE(access.find("06082b06010505073002"), std::string::npos);  // caIssuers
        EXPECT_EQ(access.find("06082b06010505073001"), std::string::npos);  // no responder, so no pointer to one
    }
}

TEST(CertificateOfAPerson, CA_09_NamesThePolicyOfItsTypeThenItsOwn) {
    Built qscd, qcp_n, lcp;
    qcp_n.profile = "qcp-n";
    lcp.profile = "lcp";
    EXPECT_EQ(value_of(*qscd.make().value(), "2.5.29.32"), "300b3009060704008bec400102");
    EXPECT_EQ(value_of(*lcp.make().value(), "2.5.29.32"), "300a3008060604008f7a0103");
    EXPECT_EQ(value_of(*qcp_n.make().value(), "2.5.29.32"), "30193009060704008bec400100300c060a2b06010401868d1f0102");
}

TEST(CertificateOfAPerson, CA_10_CA_11_SaysTheStatementsOfItsTypeInTheirFixedOrder) {
    Built qscd, qcp_n, lcp;
    qcp_n.profile = "qcp-n";
    lcp.profile = "lcp";
    const std::string compliance = "3008060604008e460101", sscd = "3008060604008e460104";
    const std::string esign = "3013060604008e4601063009060704008e46010601";
    const auto of_qscd = value_of(*qscd.make().value(), "1.3.6.1.5.5.7.1.3");
    const auto of_qcp_n = value_of(*qcp_n.make().value(), "1.3.6.1.5.5.7.1.3");
    EXPECT_EQ(of_qscd.substr(4).find(compliance + sscd + esign), 0U) << of_qscd;
    EXPECT_EQ(of_qcp_n.substr(6).find(compliance + esign), 0U) << of_qcp_n;
    EXPECT_EQ(of_qcp_n.find(sscd), std::string::npos);
    EXPECT_NE(of_qscd.find("1628" + pds_en + "1302656e"), std::string::npos) << of_qscd;
    EXPECT_NE(of_qcp_n.find("13026465"), std::string::npos);  // de
    EXPECT_TRUE(of_qscd.ends_with(semantics_natural)) << of_qscd;
    EXPECT_EQ(value_of(*lcp.make().value(), "1.3.6.1.5.5.7.1.3"), "absent");
}

TEST(CertificateOfAPerson, CA_08_LivesFiveYearsLessASecond) {
    Built built;
    const auto certificate = built.make().value();
    EXPECT_EQ(text_of(content_of(X509_get0_notBefore(certificate.get()))), "261120120000Z");
    EXPECT_EQ(text_of(content_of(X509_get0_notAfter(certificate.get()))), "311120115959Z");
}

TEST(CertificateOfAPerson, CA_08_BornOnALeapDayEndsOnThe28th) {
    Built built;
    built.not_before = at(2028, 2, 29);
    EXPECT_EQ(text_of(content_of(X509_get0_notAfter(built.make().value().get()))), "330228115959Z");
}

TEST(CertificateOfAPerson, CA_08_NeverOutlivesItsIssuer) {
    Built last, late;
    const auto issuers_end = at(2038, 1, 1) - std::chrono::seconds{1};  // twelve years from 2026-01-01 12:00
    last.not_before = at(2033, 1, 1);
    EXPECT_TRUE(last.make());
    late.not_before = at(2033, 1, 1) + std::chrono::seconds{1};
    const auto refused = late.make();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::access_denied);
    EXPECT_EQ(time_of(*X509_get0_notAfter(late.pki.hierarchy.qualified.get())).value(), issuers_end);
}

TEST(CertificateOfAPerson, IsMadeForEveryKindOfKey) {
    for (const auto& row : key_kind_rows) {
        Built built;
        built.kind = row.kind;
        const auto certificate = built.make();
        ASSERT_TRUE(certificate) << row.name;
        EXPECT_EQ(EVP_PKEY_get_bits(X509_get0_pubkey(certificate.value().get())), static_cast<int>(row.bits));
    }
}

TEST(Serial, CA_15_HasSixteenOctetsOf126RandomBits) {
    std::set<Bytes> seen;
    for (int i = 0; i < 10'000; ++i) {
        const auto serial = random_serial();
        ASSERT_EQ(serial.size(), 16U);
        ASSERT_EQ(serial[0] & 0xc0, 0x40);
        ASSERT_TRUE(seen.insert(serial).second);
    }
}

}  // namespace
}  // namespace qscd::ca
