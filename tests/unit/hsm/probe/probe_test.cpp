// What the probe finds in SoftHSM2, and that each lie and each refusal of a module shows in it.
#include "hsm/probe/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "hsm/admission.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct World : ::testing::Environment {
    static inline std::unique_ptr<SpiedToken> place;
    static inline std::shared_ptr<Module> module;
    static inline std::unique_ptr<Token> token;
    static inline std::optional<ProbeReport> full;  // takes seconds: RSA keys
    static inline std::size_t files_before = 0, files_after = 0;
    static std::size_t files() {
        const std::filesystem::recursive_directory_iterator all{place->tokens()};
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }
    void SetUp() override {
        place = std::make_unique<SpiedToken>("probe");
        module = place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "sam"));
        token = SoftToken::open(module, "sam", 1).value();
        files_before = files();
        full = probe(*token).value();
        files_after = files();
    }
    void TearDown() override {
        token.reset();
        module.reset();
        place.reset();
    }
};
[[maybe_unused]] const auto* const world = ::testing::AddGlobalTestEnvironment(new World);

std::vector<std::string> missing(const ProbeReport& report, bool needed) {
    std::vector<std::string> out;
    for (const auto& each : report.findings)
        if (each.tried && !each.found && (each.needed_by != 0) == needed) out.emplace_back(each.name);
    return out;
}
std::vector<std::string> untried(const ProbeReport& report) {
    std::vector<std::string> out;
    for (const auto& each : report.findings)
        if (!each.tried) out.emplace_back(each.name);
    return out;
}

struct ProbeTest : ::testing::Test {
    Token& token = *World::token;
    void SetUp() override { World::place->command(""); }
    void TearDown() override { World::place->command(""); }
};

TEST_F(ProbeTest, SoftHsmIsFitForEverything) {
    const auto& report = *World::full;
    EXPECT_TRUE(report.fit()) << describe(report);
    for (const auto& row : use_rows()) EXPECT_TRUE(report.fit(row.use)) << row.name;
    EXPECT_THAT(missing(report, true), IsEmpty());
    EXPECT_THAT(missing(report, false),
                ElementsAre("wrap-kwp", "wrap-cbc-pad", "wrap-rsa-kwp", "wrap-rsa-cbc-pad", "begun-operations-end"));
    EXPECT_THAT(untried(report), IsEmpty());
    EXPECT_EQ(report.wrap_mechanism, CK_MECHANISM_TYPE{CKM_AES_KEY_WRAP_PAD});
    EXPECT_EQ(report.token.label, "sam");
    EXPECT_EQ(report.token.model, "SoftHSM v2");
    EXPECT_EQ(report.token.firmware, "2.6");
    EXPECT_EQ(report.cryptoki, "2.40");
    EXPECT_THAT(report.flags, ::testing::IsSupersetOf({"login-required", "initialised", "user-pin-set"}));
    EXPECT_EQ(report.find("ec-point")->detail, "in a DER OCTET STRING");
    EXPECT_THAT(describe(report), AllOf(HasSubstr("yes  labels-change"), HasSubstr("fit for use"),
                                        HasSubstr("yes  the SAM's own keys"), Not(HasSubstr("NO "))));
}

TEST_F(ProbeTest, AtStartItLeavesOutWhatTakesLongAndNothingElse) {
    const auto report = probe(token, Depth::start).value();
    EXPECT_THAT(untried(report), ElementsAre("rsa-made", "rsa-pkcs1-signs", "rsa-pss-signs",
                                             "allowed-mechanisms-enforced", "wrap-rsa-kwp", "wrap-rsa-key-wrap-pad",
                                             "wrap-rsa-key-wrap", "wrap-rsa-cbc-pad", "wraps-rsa"));
    for (const auto& row : use_rows()) EXPECT_THAT(report.unfit_for(row.use), IsEmpty()) << row.name;
    EXPECT_TRUE(report.fit(Use::sam));
    EXPECT_THAT(report.lacking(Use::rsa_signers), ElementsAre("rsa-made", "rsa-pkcs1-signs", "rsa-pss-signs"));
}

TEST_F(ProbeTest, NamesAreUniqueAndTheSameAtEachDepth) {
    const auto names = [](const ProbeReport& report) {
        std::vector<std::string_view> out;
        for (const auto& each : report.findings) out.push_back(each.name);
        return out;
    };
    const auto full = names(*World::full);
    EXPECT_EQ(full, names(probe(token, Depth::start).value()));
    EXPECT_EQ(std::set<std::string_view>(full.begin(), full.end()).size(), full.size());
    EXPECT_FALSE(World::full->has("no-such-finding"));
}

TEST_F(ProbeTest, LeavesNothingBehindAndWritesNothing) {
    EXPECT_EQ(World::files_after, World::files_before);
    EXPECT_TRUE(token.keys("").value().empty());
    EXPECT_FALSE(token.read_data("qscd-probe").value());
}

struct Broken {
    const char *name, *fault, *finding;
    friend void PrintTo(const Broken& row, std::ostream* out) { *out << row.name; }
};
struct ProbeOfABrokenModule : ProbeTest, ::testing::WithParamInterface<Broken> {};
INSTANTIATE_TEST_SUITE_P(, ProbeOfABrokenModule,
                         ::testing::Values(Broken{"MechanismMissing", "C_GetMechanismInfo 4 0x70", "hmac"},
                                           Broken{"NoMechanismList", "C_GetMechanismList 1+ 0x30", "mechanism-list"},
                                           Broken{"SignatureWrong", "corrupt-signature", "p256-signs"},
                                           Broken{"OneSessionAtATime", "C_OpenSession 1+ 0xb1", "parallel-sessions"},
                                           Broken{"LocalIsAlwaysTrue", "lie-attribute CKA_LOCAL 01", "imported-told"},
                                           Broken{"NeverExtractableIsAlwaysTrue",
                                                  "lie-attribute CKA_NEVER_EXTRACTABLE 01", "extractable-told"},
                                           Broken{"ValuesAreShown", "lie-attribute CKA_VALUE 0102", "values-hidden"},
                                           Broken{"CopiesAreMade", "C_CopyObject 1+ 0", "copies-refused"},
                                           Broken{"WeakerCopiesAreMade", "C_CopyObject 1+ 0", "copies-not-weaker"},
                                           Broken{"ChangesAreTaken", "C_SetAttributeValue 1 0", "changes-refused"},
                                           Broken{"OtherUsesAreTaken", "C_DeriveKey 1+ 0", "other-uses-refused"},
                                           Broken{"UnextractableKeysAreWrapped", "C_WrapKey 1 0",
                                                  "wrap-of-unextractable-refused"},
                                           Broken{"RandomIsStuck", "stuck-random 5a", "random"},
                                           Broken{"RandomFails", "C_GenerateRandom 1+ 0x120", "random"},
                                           Broken{"NoDataObjects", "C_CreateObject 2 0x13", "data-objects"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(ProbeOfABrokenModule, QSCD_29_IsUnfitAndNamesWhy) {
    World::place->command(std::string{GetParam().fault} + "\n");
    const auto report = probe(token, Depth::start);
    ASSERT_TRUE(report) << describe(report.error());
    EXPECT_FALSE(report.value().fit());
    EXPECT_THAT(report.value().unfit_for(Use::sam), ::testing::Contains(GetParam().finding))
        << describe(report.value());
    EXPECT_THAT(describe(report.value()), HasSubstr("NOT FIT"));
}

// Resident keys are as safe as ever; wrapped ones are not to be had.
struct ProbeOfAModuleThatWrapsBadly : ProbeTest, ::testing::WithParamInterface<Broken> {};
INSTANTIATE_TEST_SUITE_P(, ProbeOfAModuleThatWrapsBadly,
                         ::testing::Values(Broken{"NoWrappingKey", "C_GenerateKey 5+ 0x70", "kek-made"},
                                           Broken{"WrappingKeyDecrypts", "C_DecryptInit 1 0", "kek-only-wraps"},
                                           Broken{"WrapsNothing", "C_WrapKey 3+ 0x68", "wraps-p256"},
                                           Broken{"OpensNothing", "C_UnwrapKey 1+ 0x110", "wraps-p256"},
                                           Broken{"OpensDamagedBlobs", "C_UnwrapKey 2+ 0", "tampered-blob-refused"},
                                           Broken{"OpensReadableKeys", "C_UnwrapKey 13+ 0", "unwrap-template-enforced"},
                                           Broken{"RefusesTheTemplate", "C_GenerateKey 5 0x12",
                                                  "unwrap-template-enforced"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(ProbeOfAModuleThatWrapsBadly, QSCD_30_IsUnfitForWrappedKeysAlone) {
    World::place->command(std::string{GetParam().fault} + "\n");
    const auto report = probe(token, Depth::start).value();
    EXPECT_TRUE(report.fit(Use::sam)) << describe(report);
    EXPECT_TRUE(report.fit(Use::elliptic_signers));
    EXPECT_THAT(report.lacking(Use::wrapped_elliptic), ::testing::Contains(GetParam().finding)) << describe(report);
}

TEST_F(ProbeTest, SignersMayBeServedByRsaAlone) {
    World::place->command("C_GetMechanismInfo 1 0x70\n");  // no elliptic keys: then RSA is tried at start, too
    const auto report = probe(token, Depth::start).value();
    EXPECT_FALSE(report.fit(Use::sam));
    EXPECT_FALSE(report.fit(Use::service));
    EXPECT_FALSE(report.fit(Use::elliptic_signers));
    EXPECT_TRUE(report.fit(Use::rsa_signers)) << describe(report);
    EXPECT_TRUE(report.fit(Use::wrapped_rsa));
    EXPECT_FALSE(report.fit(Use::wrapped_elliptic));
}

// Its keys are no evidence, but a person wants to know the rest.
TEST_F(ProbeTest, AModuleThatDoesNotTellWhereKeysWereMadeIsTriedFurther) {
    World::place->command("lie-attribute CKA_LOCAL 00\n");
    const auto report = probe(token, Depth::start).value();
    EXPECT_THAT(report.unfit_for(Use::service), ElementsAre("p256-made", "p384-made"));
    for (const auto* name : {"p256-signs", "parallel-sessions", "values-hidden", "copies-refused", "other-uses-refused",
                             "wrap-of-unextractable-refused", "wraps-p256"})
        EXPECT_TRUE(report.has(name)) << name << "\n" << describe(report);
}

TEST_F(ProbeTest, WithoutChangeableLabelsItIsFitAllTheSame) {
    World::place->command("C_SetAttributeValue 2 0x10\n");
    const auto report = probe(token, Depth::start).value();
    EXPECT_TRUE(report.fit(Use::sam));
    EXPECT_THAT(missing(report, false), ::testing::Contains("labels-change"));
}

// --- what a daemon asks of a token before it works with it ---

const auto accept_any = [](const TokenInfo&) -> Result<void> { return success(); };
Result<std::unique_ptr<Token>> open_required(Requirements wanted) {
    return Token::open(World::module, "sam", SecretBytes{"1234"}, 1, require(std::move(wanted)));
}

TEST_F(ProbeTest, AFitTokenIsAdmittedAndProbedOnce) {
    const auto admitted = open_required({accept_any, {Use::rsa_signers, Use::sam}});
    ASSERT_TRUE(admitted) << describe(admitted.error());
    EXPECT_TRUE(admitted.value()->reachable());
    EXPECT_TRUE(admitted.value()->random(8));
}

TEST_F(ProbeTest, QSCD_04_ATokenOfAnotherModelIsRefusedAsAMistakeOfConfiguration) {
    TokenInfo shown{};
    const auto refused = open_required({[&](const TokenInfo& token) -> Result<void> {
                                            shown = token;
                                            return Error{Errc::configuration, "another model"};
                                        },
                                        {Use::sam}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::configuration);
    EXPECT_THAT(refused.error().detail, HasSubstr("another model"));
    EXPECT_EQ(shown.label, "sam");
    EXPECT_EQ(shown.manufacturer, "SoftHSM project");
    EXPECT_EQ(shown.firmware, "2.6");
}

TEST_F(ProbeTest, QSCD_29_AnUnfitTokenIsRefusedWithTheFindingsName) {
    World::place->command("C_CopyObject 2+ 0\n");
    const auto refused = open_required({accept_any, {Use::sam}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::configuration);
    EXPECT_THAT(refused.error().detail, AllOf(HasSubstr("token sam is not fit for the SAM's own keys"),
                                              HasSubstr("copies-refused"), HasSubstr("QSCD-29")));
    World::place->command("");
}

}  // namespace
}  // namespace qscd::hsm
