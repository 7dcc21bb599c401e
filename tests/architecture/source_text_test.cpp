#include "tests/architecture/source_text.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace qscd::architecture {
namespace {

struct Blanked {
    const char *name, *text, *code;
};
const Blanked cases[] = {
    {"LineComment", "a; // C_Sign\nb;", "a;          \nb;"},
    {"BlockCommentKeepsItsLines", "a /* x\ny */ b", "a     \n     b"},
    {"String", "f(\"C_Sign\");", "f(        );"},
    {"EscapedQuote", "f(\"\\\"x\"); g();", "f(     ); g();"},
    {"RawString", "R\"~(a \" b)~\" c", "R            c"},
    {"Character", "'\"' x", "    x"},
    {"DigitSeparatorIsCode", "1'000 + x'", "1'000 + x'"},
    {"CommentInsideStringIsNone", "\"//\" x", "     x"},
    {"UnfinishedComment", "a /* x", "a     "},
};
struct CodeOf : ::testing::TestWithParam<Blanked> {};
INSTANTIATE_TEST_SUITE_P(, CodeOf, ::testing::ValuesIn(cases), [](const auto& test) { return test.param.name; });
TEST_P(CodeOf, KeepsCodeAlone) { EXPECT_EQ(code_of(GetParam().text), GetParam().code); }

TEST(LinesOf, KeepsEmptyLines) { EXPECT_EQ(lines_of("a\n\nb"), (std::vector<std::string>{"a", "", "b"})); }

TEST(IsBelow, DoesNotConfuseNamesThatBeginAlike) {
    EXPECT_TRUE(is_below("hsm", "hsm"));
    EXPECT_TRUE(is_below("hsm/session.hpp", "hsm"));
    EXPECT_FALSE(is_below("hsm-config/x.hpp", "hsm"));
}

TEST(SourcesBelow, FindsWhatStandsInARoomWithItsText) {
    const auto sources = sources_below(QSCD_SOURCE_DIR, {"base", "no-such-room"});
    const auto found = std::ranges::find_if(sources,
                                            [](const Source& source) { return source.path == "base/result.hpp"; });
    ASSERT_NE(found, sources.end());
    EXPECT_NE(found->text.find("enum class Errc"), std::string::npos);
}

}  // namespace
}  // namespace qscd::architecture
