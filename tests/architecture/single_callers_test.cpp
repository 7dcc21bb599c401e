#include <algorithm>
#include <gtest/gtest.h>
#include <regex>

#include "tests/architecture/source_text.hpp"

namespace qscd::architecture {
namespace {

// What may stand in one place only, so that a reviewer who has read that place has read it all. A pattern is looked
// for in the code of every product room, comments and literals aside.
struct SingleCaller {
    std::string_view name, pattern;
    std::vector<std::string_view> allowed;  // files or folders
};
const std::vector<SingleCaller> single_callers{
    {"signing in a token", R"(\bC_Sign(Init)?\b)", {"hsm"}},
    {"opening a PKCS#11 module", R"(\bC_GetFunctionList\b)", {"hsm"}},
    {"making a key in a token", R"(\bC_GenerateKey(Pair)?\b)", {"hsm"}},
    {"destroying what a token holds", R"(\bC_DestroyObject\b)", {"hsm"}},
    // [QSCD-20] No export call but the making of a wrapped key; the probe tries it with keys of its own.
    {"taking a key out of a token",
     R"(\bC_WrapKey\b)",
     {"hsm/wrapping/opened_key.cpp", "hsm/probe/wrapping.cpp", "hsm/probe/refusals.cpp"}},
    {"opening a wrapped key", R"(\bC_UnwrapKey\b)", {"hsm/wrapping/opened_key.cpp", "hsm/probe/wrapping.cpp"}},
};

std::vector<Violation> strangers(const Source& source, const std::vector<SingleCaller>& table) {
    std::vector<Violation> out;
    const auto lines = lines_of(code_of(source.text));
    for (const auto& row : table) {
        if (std::ranges::any_of(row.allowed, [&](auto place) { return is_below(source.path, place); })) continue;
        const std::regex pattern{row.pattern.begin(), row.pattern.end()};
        for (std::size_t i = 0; i < lines.size(); ++i)
            if (std::regex_search(lines[i], pattern))
                out.push_back({source.path, i + 1, std::string{row.name} + " is not for this place"});
    }
    return out;
}

TEST(SingleCallers, StandWhereTheTableSays) {
    const auto sources = sources_below(QSCD_SOURCE_DIR,
                                       {"base", "protocol", "policy", "hsm", "authn", "ca", "ades", "qscd"});
    ASSERT_FALSE(sources.empty());
    for (const auto& source : sources)
        for (const auto& violation : strangers(source, single_callers)) ADD_FAILURE() << violation;
}

TEST(SingleCallers, AStrangerIsNamedByFileAndLine) {
    const std::string text = "// C_Sign is explained here\nauto rv = api->C_Sign(session);\n";
    EXPECT_EQ(strangers({"qscd/sam/cell.cpp", text}, single_callers),
              (std::vector{Violation{"qscd/sam/cell.cpp", 2, "signing in a token is not for this place"}}));
    EXPECT_TRUE(strangers({"hsm/session.cpp", text}, single_callers).empty());
}

TEST(SingleCallers, AreFoundWithoutACallToo) {
    EXPECT_EQ(strangers({"ca/a.cpp", "auto f = &CK_FUNCTION_LIST::C_SignInit;"}, single_callers).size(), 1U);
    EXPECT_TRUE(strangers({"ca/a.cpp", "check(rv, \"C_Sign\"); C_SignatureList x;"}, single_callers).empty());
}

}  // namespace
}  // namespace qscd::architecture
