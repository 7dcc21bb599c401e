#include "policy/certificate_type.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace qscd::policy {
namespace {

TEST(CertificateTypes, CA_09_HaveThePolicyOidsOfTheStandards) {
    EXPECT_EQ(row_of(CertificateType::lcp).policy_oid, "0.4.0.2042.1.3");
    EXPECT_EQ(row_of(CertificateType::qcp_n).policy_oid, "0.4.0.194112.1.0");
    EXPECT_EQ(row_of(CertificateType::qcp_n_qscd).policy_oid, "0.4.0.194112.1.2");
}

TEST(CertificateTypes, CA_10_QualifiedOnesCarryComplianceTypeAndDisclosure) {
    for (const auto type : {CertificateType::qcp_n, CertificateType::qcp_n_qscd}) {
        EXPECT_TRUE(has(row_of(type).qc, Qc::compliance | Qc::type_esign | Qc::pds));
        EXPECT_FALSE(has(row_of(type).qc, Qc::type_eseal));
        EXPECT_TRUE(is_qualified(type));
    }
    EXPECT_EQ(row_of(CertificateType::lcp).qc, Qc::none);
    EXPECT_FALSE(is_qualified(CertificateType::lcp));
}

TEST(CertificateTypes, CA_11_OnlyQscdOnesSayQcSscd) {
    for (const auto& row : type_rows)
        EXPECT_EQ(has(row.qc, Qc::sscd),
                  row.type == CertificateType::qcp_n_qscd || row.type == CertificateType::qcp_l_qscd)
            << row.name;
    EXPECT_TRUE(needs_qscd(CertificateType::qcp_n_qscd));
    EXPECT_FALSE(needs_qscd(CertificateType::qcp_n));
}

TEST(CertificateTypes, AllCommitToContentAndNothingElse) {
    for (const auto& row : type_rows) EXPECT_EQ(row.key_usage, KeyUsage::non_repudiation) << row.name;
}

TEST(CertificateTypes, AreFoundByTheirExactName) {
    for (const auto& row : type_rows) EXPECT_EQ(certificate_type_named(row.name), row.type);
    for (const auto* name : {"", "qcp-n", "QCP-n-qscd ", "QCP-n-QSCD"}) EXPECT_FALSE(certificate_type_named(name));
}

TEST(CertificateTypes, ThreeAreIssuable) {
    std::vector<std::string_view> names;
    for (const auto& row : type_rows)
        if (row.issuable) names.push_back(row.name);
    EXPECT_EQ(names, (std::vector<std::string_view>{"LCP", "QCP-n", "QCP-n-qscd"}));
}

TEST(QcStatements, StandInTheOrderOfEmissionWithTheirIdentifiers) {
    std::string text;
    for (const auto& row : qc_rows)
        if (has(row_of(CertificateType::qcp_n_qscd).qc, row.qc))
            text += std::string{row.name} + " " + std::string{row.oid} + " " + std::string{row.value_oid} + "\n";
    EXPECT_EQ(text,
              "QcCompliance 0.4.0.1862.1.1 \nQcSSCD 0.4.0.1862.1.4 \nQcType 0.4.0.1862.1.6 0.4.0.1862.1.6.1\n"
              "QcPDS 0.4.0.1862.1.5 \n");
}

}  // namespace
}  // namespace qscd::policy
