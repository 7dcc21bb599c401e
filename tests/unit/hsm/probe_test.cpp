// What the probe finds in SoftHSM2, and that each lie and each refusal of a module shows in it.
#include "hsm/probe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
    void SetUp() override {
        place = std::make_unique<SpiedToken>("probe");
        module = place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "sam"));
        token = SoftToken::open(module, "sam", 1).value();
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
        if (!each.found && each.needed == needed) out.emplace_back(each.name);
    return out;
}

struct ProbeTest : ::testing::Test {
    Token& token = *World::token;
    void SetUp() override { World::place->command(""); }
    void TearDown() override { World::place->command(""); }
};

TEST_F(ProbeTest, SoftHsmIsFitAndFinishesABegunOperation) {
    const auto report = probe(token).value();
    EXPECT_TRUE(report.fit()) << describe(report);
    EXPECT_THAT(missing(report, true), IsEmpty());
    EXPECT_THAT(missing(report, false), ElementsAre("begun-operations-end"));
    EXPECT_EQ(report.token.label, "sam");
    EXPECT_EQ(report.token.model, "SoftHSM v2");
    EXPECT_THAT(describe(report),
                AllOf(HasSubstr("yes  labels-change"), HasSubstr("fit for use"), Not(HasSubstr("NO "))));
}

TEST_F(ProbeTest, LeavesNothingBehindAndWritesNothing) {
    World::place->start_counting();
    const auto files = [] {
        std::size_t count = 0;
        for ([[maybe_unused]] const auto& each : std::filesystem::recursive_directory_iterator{World::place->tokens()})
            ++count;
        return count;
    };
    const auto before = files();
    ASSERT_TRUE(probe(token));
    EXPECT_EQ(files(), before);
    EXPECT_TRUE(token.keys("").value().empty());
    EXPECT_FALSE(token.read_data("qscd-probe").value());
}

struct Broken {
    const char *name, *fault, *finding;
};
struct ProbeOfABrokenModule : ProbeTest, ::testing::WithParamInterface<Broken> {};
INSTANTIATE_TEST_SUITE_P(, ProbeOfABrokenModule,
                         ::testing::Values(Broken{"MechanismMissing", "C_GetMechanismInfo 1 0x70", "ec-key-pairs"},
                                           Broken{"SignatureWrong", "corrupt-signature", "p256-signs"},
                                           Broken{"LocalIsAlwaysTrue", "lie-attribute CKA_LOCAL 01", "imported-told"},
                                           Broken{"NeverExtractableIsAlwaysTrue",
                                                  "lie-attribute CKA_NEVER_EXTRACTABLE 01", "extractable-told"},
                                           Broken{"ValuesAreShown", "lie-attribute CKA_VALUE 0102", "values-hidden"},
                                           Broken{"CopiesAreMade", "C_CopyObject 1 0", "copies-refused"},
                                           Broken{"ChangesAreTaken", "C_SetAttributeValue 1 0", "changes-refused"},
                                           Broken{"OtherUsesAreTaken", "C_DeriveKey 1 0", "other-uses-refused"},
                                           Broken{"RandomIsStuck", "stuck-random 5a", "random"},
                                           Broken{"RandomFails", "C_GenerateRandom 1+ 0x120", "random"},
                                           Broken{"NoDataObjects", "C_CreateObject 2 0x13", "data-objects"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(ProbeOfABrokenModule, QSCD_29_IsUnfitAndNamesWhy) {
    World::place->command(std::string{GetParam().fault} + "\n");
    const auto report = probe(token);
    ASSERT_TRUE(report) << describe(report.error());
    EXPECT_FALSE(report.value().fit());
    EXPECT_THAT(missing(report.value(), true), ::testing::Contains(GetParam().finding)) << describe(report.value());
    EXPECT_THAT(describe(report.value()), HasSubstr("NOT FIT"));
}

TEST_F(ProbeTest, WithoutChangeableLabelsItIsFitAllTheSame) {
    World::place->command("C_SetAttributeValue 2 0x10\n");
    const auto report = probe(token).value();
    EXPECT_TRUE(report.fit());
    EXPECT_THAT(missing(report, false), ElementsAre("labels-change", "begun-operations-end"));
}

}  // namespace
}  // namespace qscd::hsm
