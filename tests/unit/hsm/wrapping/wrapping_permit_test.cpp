// Which modules may hold signers' keys under wrapping keys: what the probe says decides, and nothing else. [QSCD-29]
// [QSCD-30]
#include "tests/unit/hsm/wrapping/wrapping_world.hpp"

namespace qscd::hsm {
namespace {

using ::testing::HasSubstr;

struct WrapPermitTest : WrappingTest {
    static Finding& finding(ProbeReport& report, std::string_view name) {
        return *std::ranges::find(report.findings, name, &Finding::name);
    }
};

TEST_F(WrapPermitTest, IsGivenToSoftHsmAtStartAndInFull) {
    for (const auto depth : {Depth::start, Depth::full}) {
        const auto permit = may_wrap(probe(token, depth).value());
        ASSERT_TRUE(permit) << describe(permit.error());
        EXPECT_EQ(permit.value().mechanism(), CK_MECHANISM_TYPE{CKM_AES_KEY_WRAP_PAD});
        for (const auto& row : key_kind_rows) EXPECT_TRUE(permit.value().allows(row.kind)) << row.name;
    }
}

// What other modules do, put into the report of this one; and then into the module's own answers.
struct Unfit {
    const char* name;
    std::vector<std::string_view> not_found;
    std::optional<CK_MECHANISM_TYPE> mechanism;
    const char* says;
};
const Unfit unfit[] = {
    {"IgnoresTheUnwrapTemplate",
     {"unwrap-template-enforced"},
     CKM_AES_KEY_WRAP_PAD,
     "unwrap-template-enforced"},                 // NSS
    {"RefusesTheUnwrapTemplateAndKnowsCbcAlone",  // opencryptoki
     {"unwrap-template-enforced", "tampered-blob-refused", "wraps-p256"},
     CKM_AES_CBC_PAD,
     "unwrap-template-enforced"},
    {"OpensAlteredBlobs", {"tampered-blob-refused"}, CKM_AES_KEY_WRAP_PAD, "tampered-blob-refused"},
    {"LetsAKekDecrypt", {"kek-only-wraps"}, CKM_AES_KEY_WRAP_PAD, "kek-only-wraps"},
    {"MakesNoKek", {"kek-made"}, std::nullopt, "kek-made"},  // a TPM
    {"WrapsByCbcAlone", {}, CKM_AES_CBC_PAD, "CKM_AES_KEY_WRAP_PAD"},
    {"WrapsNothing", {"wraps-p256", "wraps-rsa"}, std::nullopt, "wraps-p256"},
};
struct UnfitModule : WrapPermitTest, ::testing::WithParamInterface<Unfit> {};
INSTANTIATE_TEST_SUITE_P(, UnfitModule, ::testing::ValuesIn(unfit), [](const auto& test) { return test.param.name; });

TEST_P(UnfitModule, QSCD_30_IsRefusedByName) {
    auto report = probe(token, Depth::start).value();
    for (const auto name : GetParam().not_found) finding(report, name).found = false;
    report.wrap_mechanism = GetParam().mechanism;
    const auto permit = may_wrap(report);
    ASSERT_FALSE(permit);
    EXPECT_EQ(permit.error().code, Errc::not_supported);
    EXPECT_THAT(permit.error().detail, HasSubstr(GetParam().says));
}

struct Broken {
    const char *name, *fault;
};
struct BrokenModule : WrapPermitTest, ::testing::WithParamInterface<Broken> {};
INSTANTIATE_TEST_SUITE_P(, BrokenModule,
                         ::testing::Values(Broken{"NoKek", "C_GenerateKey 1+ 0x70"},
                                           Broken{"NoWrap", "C_WrapKey 1+ 0x54"},
                                           Broken{"NoUnwrap", "C_UnwrapKey 1+ 0x54"},
                                           Broken{"OpensEverything", "C_UnwrapKey 2+ 0x0"},
                                           Broken{"KekDecrypts", "C_DecryptInit 1+ 0x0"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(BrokenModule, QSCD_30_IsRefusedByWhatTheProbeFindsInIt) {
    place.command(std::string{GetParam().fault} + "\n");
    const auto report = probe(token, Depth::start);
    if (report) EXPECT_FALSE(may_wrap(report.value())) << describe(report.value());
}

TEST_F(WrapPermitTest, QSCD_30_WhatTheProbeDoesNotSayIsNotAssumed) {
    EXPECT_FALSE(may_wrap(ProbeReport{}));
    auto report = probe(token, Depth::start).value();
    auto& untried = finding(report, "unwrap-template-enforced");
    untried.tried = untried.found = false;
    EXPECT_FALSE(may_wrap(report));
}

// As NSS: its EC keys do not come back.
TEST_F(WrapPermitTest, QSCD_30_ForOneKindAloneTheOtherIsRefusedBeforeAKeyIsMade) {
    auto report = probe(token, Depth::full).value();
    finding(report, "wraps-p256").found = false;
    const auto permit = may_wrap(report);
    ASSERT_TRUE(permit) << describe(permit.error());
    EXPECT_FALSE(permit.value().allows(KeyKind::p256));
    EXPECT_TRUE(permit.value().allows(KeyKind::rsa3072));

    const auto binding = token.generate_hmac_key(random_fixed<CkaId>(), "binding-2").value();
    Wrapping rsa_alone{token, permit.value(), binding};
    place.start_counting();
    const auto made = rsa_alone.generate(KeyKind::p256, world.kek->id, random_fixed<CkaId>(), anna);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::not_supported);
    EXPECT_EQ(calls("C_GenerateKeyPair"), 0u);
    ASSERT_TRUE(token.destroy(binding->id()));
}

}  // namespace
}  // namespace qscd::hsm
