#include "ca/subject/subject_rules.hpp"

#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

using policy::CertificateType;

protocol::Subject with(std::string protocol::Subject::* field, std::string value) {
    auto subject = anna;
    subject.*field = std::move(value);
    return subject;
}

TEST(Subject, CA_13_EachSemanticFormIsTaken) {
    for (const auto* serial : {"PNOAT-1", "IDCDE-L01X00T47", "PASIT-YA1234567", "TINEL-123456789"})
        EXPECT_TRUE(check_subject(with(&protocol::Subject::serial_number, serial), CertificateType::qcp_n_qscd))
            << serial;
}

TEST(Subject, LcpMayCarryAnOpaqueNumber) {
    const auto subject = with(&protocol::Subject::serial_number, "7c0ffee");
    EXPECT_TRUE(check_subject(subject, CertificateType::lcp));
    EXPECT_FALSE(check_subject(subject, CertificateType::qcp_n));
}

TEST(Subject, OneNameIsEnough) {
    EXPECT_TRUE(check_subject(with(&protocol::Subject::surname, ""), CertificateType::qcp_n));
    EXPECT_TRUE(check_subject(with(&protocol::Subject::given_name, ""), CertificateType::qcp_n));
}

struct Refusal {
    const char* name;
    std::string protocol::Subject::* field;
    std::string value;
};
struct RefusedSubject : ::testing::TestWithParam<Refusal> {};
INSTANTIATE_TEST_SUITE_P(
    , RefusedSubject,
    ::testing::Values(Refusal{"CountryInSmallLetters", &protocol::Subject::country, "at"},
                      Refusal{"CountryOfThreeLetters", &protocol::Subject::country, "AUT"},
                      Refusal{"CountryWithADigit", &protocol::Subject::country, "A1"},
                      Refusal{"NoCommonName", &protocol::Subject::common_name, ""},
                      Refusal{"CommonNameTooLong", &protocol::Subject::common_name, std::string(65, 'a')},
                      Refusal{"SerialEmpty", &protocol::Subject::serial_number, ""},
                      Refusal{"SerialTooLong", &protocol::Subject::serial_number, "PNOAT-" + std::string(59, '1')},
                      Refusal{"SerialWithUnderscore", &protocol::Subject::serial_number, "PNOAT-1_2"},
                      Refusal{"SerialWithAt", &protocol::Subject::serial_number, "PNOAT-a@b"},
                      Refusal{"SerialOfUnknownScheme", &protocol::Subject::serial_number, "XXXAT-123"},
                      Refusal{"SerialWithoutCountry", &protocol::Subject::serial_number, "PNO-123"},
                      Refusal{"SerialWithSmallCountry", &protocol::Subject::serial_number, "PNOat-123"},
                      Refusal{"SerialWithoutHyphen", &protocol::Subject::serial_number, "PNOAT123"},
                      Refusal{"SerialWithoutIdentifier", &protocol::Subject::serial_number, "PNOAT-"},
                      Refusal{"ControlCharacter", &protocol::Subject::surname, "Mus\x07ter"},
                      Refusal{"Nul", &protocol::Subject::surname, std::string("Mus\0ter", 7)},
                      Refusal{"LineBreak", &protocol::Subject::given_name, "An\nna"},
                      Refusal{"C1Control", &protocol::Subject::given_name, "An\xc2\x85na"},
                      Refusal{"BidirectionalOverride", &protocol::Subject::common_name,
                              "Anna\xe2\x80\xae"
                              "annA"},
                      Refusal{"BidirectionalIsolate", &protocol::Subject::common_name, "Anna\xe2\x81\xa7x"},
                      Refusal{"ByteOrderMark", &protocol::Subject::common_name,
                              "\xef\xbb\xbf"
                              "Anna"},
                      Refusal{"Noncharacter", &protocol::Subject::common_name, "Anna\xef\xbf\xbe"},
                      Refusal{"LeadingBlank", &protocol::Subject::given_name, " Anna"},
                      Refusal{"TrailingBlank", &protocol::Subject::given_name, "Anna "},
                      Refusal{"NoUtf8", &protocol::Subject::surname, "\xff\xfe"},
                      Refusal{"OverlongUtf8", &protocol::Subject::surname, "A\xc0\x80"},
                      Refusal{"CutUtf8", &protocol::Subject::surname, "A\xc3"},
                      Refusal{"Surrogate", &protocol::Subject::surname, "A\xed\xa0\x80"}),
    [](const auto& test) { return test.param.name; });
TEST_P(RefusedSubject, CA_12_IsNotCertified) {
    const auto verdict = check_subject(with(GetParam().field, GetParam().value), CertificateType::qcp_n_qscd);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::paper_refused);
}

TEST(Subject, WithoutAnyNameIsRefused) {
    auto subject = anna;
    subject.given_name.clear();
    subject.surname.clear();
    EXPECT_FALSE(check_subject(subject, CertificateType::lcp));
}

TEST(Subject, NamesOf64CharactersInAnyScriptPass) {
    std::string name;
    for (int i = 0; i < 64; ++i) name += "\xce\xa9";  // Ω
    EXPECT_TRUE(check_subject(with(&protocol::Subject::common_name, name), CertificateType::qcp_n));
}

}  // namespace
}  // namespace qscd::ca
