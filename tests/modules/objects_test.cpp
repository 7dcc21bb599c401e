// Data objects, anchors and random bytes on every module.
#include <set>

#include "tests/modules/suite.hpp"

namespace qscd::modules {
namespace {

using hsm::Anchors;

struct Objects : ModuleSuite {};
INSTANTIATE_TEST_SUITE_P(, Objects, ::testing::ValuesIn(instruments::chosen_modules()),
                         [](const auto& test) { return name_of(test.param); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Objects);

TEST_P(Objects, ADataObjectIsReadBackAndFoundAfterAReinitialisation) {
    QSCD_NEEDS("data-objects");
    const auto made = token().create_data("genesis", view_of("first roster"));
    ASSERT_TRUE(made) << describe(made.error());
    EXPECT_EQ(token().read_data("genesis").value(), bytes_of("first roster"));
    ASSERT_TRUE(module().reinitialise());
    EXPECT_EQ(token().read_data("genesis").value(), bytes_of("first roster"));
    EXPECT_FALSE(token().read_data("other").value());
}

TEST_P(Objects, AnAnchorTellsWhatWasLastWrittenInTheFormThatTheProbeFound) {
    QSCD_NEEDS("data-objects");
    auto anchors = Anchors::open(token(), "suite");
    ASSERT_TRUE(anchors) << describe(anchors.error());
    ASSERT_FALSE(anchors.value().present());
    const auto made = anchors.value().create(view_of("0"));
    ASSERT_TRUE(made) << describe(made.error());
    EXPECT_EQ(anchors.value().form(), found("labels-change") ? Anchors::Form::label : Anchors::Form::numbered);
    for (int i = 1; i <= 5; ++i) {
        const auto written = anchors.value().write(view_of(std::to_string(i)));
        ASSERT_TRUE(written) << i << " " << describe(written.error());
        const auto contents = anchors.value().read();
        ASSERT_TRUE(contents) << describe(contents.error());
        EXPECT_EQ(contents.value().damaged, 0u);
        EXPECT_THAT(contents.value().whole,
                    ::testing::ElementsAre(bytes_of(std::to_string(i)), bytes_of(std::to_string(i - 1))));
    }
    const Bytes largest(Anchors::largest_content, 0xff);
    ASSERT_TRUE(anchors.value().write(largest));
    ASSERT_TRUE(module().reinitialise());
    auto later = Anchors::open(token(), "suite");
    ASSERT_TRUE(later) << describe(later.error());
    EXPECT_EQ(later.value().form(), anchors.value().form());
    EXPECT_EQ(later.value().read().value().whole.at(0), largest);
}

TEST_P(Objects, AnAnchorThatSomebodyElseWroteFencesThisOne) {
    QSCD_NEEDS("data-objects");
    auto first = Anchors::open(token(), "fenced").value();
    ASSERT_TRUE(first.create(view_of("one")));
    auto second = Anchors::open(token(), "fenced").value();
    ASSERT_TRUE(second.write(view_of("two")));
    const auto late = first.write(view_of("late"));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::fenced) << describe(late.error());
    EXPECT_EQ(second.read().value().whole.at(0), bytes_of("two"));
}

TEST_P(Objects, QSCD_24_RandomBytesOfTheModuleAreMixedAndNeverTheSame) {
    hsm::MixedRandom random{token()};
    std::set<Bytes> seen;
    for (int i = 0; i < 20; ++i) {
        const auto secret = random.secret(32);
        ASSERT_TRUE(secret) << describe(secret.error());
        EXPECT_TRUE(seen.emplace(secret.value().reveal().begin(), secret.value().reveal().end()).second);
    }
}

}  // namespace
}  // namespace qscd::modules
