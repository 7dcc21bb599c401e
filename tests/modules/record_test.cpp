// What the probe finds on each module is what docs/hsm/modules.md says.
#include <cstdlib>
#include <iostream>

#include "tests/modules/suite.hpp"

namespace qscd::modules {
namespace {

struct Record : ModuleSuite {};
INSTANTIATE_TEST_SUITE_P(, Record, ::testing::ValuesIn(instruments::chosen_modules()),
                         [](const auto& test) { return name_of(test.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Record);

enum Answer : bool { no, yes };
struct Answers {
    Answer softhsm2, opencryptoki, nss_softokn, tpm2, p11_kit;
    bool of(std::string_view module) const {
        if (module == "softhsm2") return softhsm2;
        if (module == "opencryptoki") return opencryptoki;
        if (module == "nss-softokn") return nss_softokn;
        return module == "tpm2" ? tpm2 : p11_kit;
    }
};
struct Row {
    std::string_view finding;
    Answers found;
};
struct UseRow {
    hsm::Use use;
    Answers fit;
};
// clang-format off
constexpr std::array rows{
    //                            SoftHSM2  opencryptoki  NSS  tpm2  p11-kit
    Row{"ec-key-pairs",             {yes,      no,        yes,  yes,  yes}},
    Row{"rsa-key-pairs",            {yes,      yes,       yes,  yes,  yes}},
    Row{"rsa-pss",                  {yes,      yes,       yes,  no,   yes}},
    Row{"secret-keys",              {yes,      yes,       yes,  no,   yes}},
    Row{"ecdh",                     {yes,      no,        yes,  no,   no}},
    Row{"session-keys",             {yes,      yes,       yes,  no,   yes}},
    Row{"p256-made",                {yes,      no,        no,   yes,  yes}},
    Row{"rsa-made",                 {yes,      yes,       no,   no,   yes}},
    Row{"hmac-key-made",            {yes,      yes,       no,   no,   yes}},
    Row{"copies-refused",           {yes,      no,        no,   yes,  yes}},
    Row{"copies-not-weaker",        {yes,      yes,       no,   yes,  yes}},
    Row{"random",                   {yes,      yes,       yes,  yes,  yes}},
    Row{"data-objects",             {yes,      yes,       no,   no,   yes}},
    Row{"labels-change",            {yes,      yes,       no,   no,   yes}},
    Row{"wraps-p256",               {yes,      no,        no,   no,   no}},
    Row{"wraps-rsa",                {yes,      yes,       no,   no,   no}},
    Row{"tampered-blob-refused",    {yes,      no,        no,   no,   no}},
    Row{"unwrap-template-enforced", {yes,      no,        no,   no,   no}},
};
constexpr std::array uses{
    UseRow{hsm::Use::sam,              {yes, no, no, no, yes}},
    UseRow{hsm::Use::service,          {yes, no, no, no, yes}},
    UseRow{hsm::Use::elliptic_signers, {yes, no, no, no, yes}},
    UseRow{hsm::Use::rsa_signers,      {yes, no, no, no, yes}},
    UseRow{hsm::Use::wrapped_elliptic, {yes, no, no, no, no}},
    UseRow{hsm::Use::wrapped_rsa,      {yes, no, no, no, no}},
};
// clang-format on

TEST_P(Record, QSCD_29_IsWhatTheTableSays) {
    for (const auto& row : rows) EXPECT_EQ(report().has(row.finding), row.found.of(GetParam().name)) << row.finding;
    for (const auto& row : uses)
        EXPECT_EQ(report().fit(row.use), row.fit.of(GetParam().name)) << static_cast<unsigned>(row.use);
    if (HasFailure() || std::getenv("QSCD_TEST_SHOW_RECORD") != nullptr) std::cout << describe(report());
}

TEST_P(Record, TheProbeLeavesNothingBehind) {
    QSCD_NEEDS("session-keys");
    const auto before = token().keys("").value().size();
    ASSERT_TRUE(hsm::probe(token()));
    EXPECT_EQ(token().keys("").value().size(), before);
    EXPECT_TRUE(token().keys("qscd-probe").value().empty());
}

}  // namespace
}  // namespace qscd::modules
