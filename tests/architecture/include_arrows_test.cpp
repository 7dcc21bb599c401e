#include <algorithm>
#include <gtest/gtest.h>
#include <regex>

#include "tests/architecture/source_text.hpp"

namespace qscd::architecture {
namespace {

// The whole of it: a room includes itself and what its row names, with all that lies below, but for `never`. The row
// with the longest matching room counts. `never` is for rooms that a process without network links.
struct Row {
    std::string_view room;
    std::vector<std::string_view> may;
    std::vector<std::string_view> never = {};
};
const std::vector<Row> rows{
    {"base", {}},
    {"protocol", {"base"}},
    {"policy", {"base"}, {"base/net"}},
    {"hsm", {"base"}, {"base/net", "hsm/deployed"}},
    {"hsm/deployed", {"base", "hsm", "policy"}, {"base/net"}},
    {"ades", {"base"}},
    {"authn", {"base", "policy"}, {"base/net"}},
    {"ca/lint", {"base", "policy"}, {"base/net"}},
    {"ca/subject", {"base", "protocol", "policy"}, {"base/net"}},
    {"ca/registration", {"base", "protocol", "policy", "authn", "hsm", "ca/subject"}},
    {"ca/issuing", {"base", "protocol", "policy", "hsm", "ca/lint", "ca/subject"}},
    {"ca/status", {"base", "protocol", "policy", "hsm"}},
    {"ca/tsa", {"base", "protocol", "policy", "hsm"}},
    {"qscd/audit", {"base", "protocol"}, {"base/net", "base/store", "base/process"}},
    {"qscd/gateway", {"base", "protocol", "policy"}},
    {"qscd/genesis", {"base", "protocol", "hsm"}, {"base/net"}},
    {"qscd/sam", {"base", "protocol", "policy", "authn", "hsm", "qscd/genesis"}, {"base/net"}},
    {"qscd/sam/cells", {"base"}, {"base/net", "base/store"}},
    {"qscd/sam/activation",
     {"base", "policy", "authn", "qscd/sam/cells"},
     {"base/net", "base/store", "base/log", "base/process"}},
    {"qscd/sam/state", {"base", "protocol", "hsm", "qscd/genesis", "qscd/sam/cells"}, {"base/net"}},
    {"qscd/notifier", {"base", "protocol"}},
    {"qscd/supervisor", {"base", "protocol", "policy"}},
    {"qscd/cli", {"base", "protocol", "policy", "hsm", "ca", "ades", "qscd/audit", "qscd/supervisor", "qscd/genesis"}},
};
const std::vector<std::string_view> product{"base", "protocol", "policy", "hsm", "authn", "ca", "ades", "qscd"};

// Headers that cost seconds a translation unit, and the places that pay.
const std::vector<std::string_view> heavy{"boost/asio", "boost/beast"};
const std::vector<std::string_view> heavy_allowed{"base/net", "tests/unit/base/net"};

const Row* row_for(std::string_view path) {
    const Row* best = nullptr;
    for (const auto& row : rows)
        if (is_below(path, row.room) && (best == nullptr || row.room.size() > best->room.size())) best = &row;
    return best;
}

bool below_any(std::string_view path, const std::vector<std::string_view>& folders) {
    return std::ranges::any_of(folders, [&](auto folder) { return is_below(path, folder); });
}

struct Include {
    std::size_t line;
    bool quoted;
    std::string target;
};
std::vector<Include> includes_of(const Source& source) {
    static const std::regex directive{R"re(^\s*#\s*include\s*([<"])([^>"]+)[>"])re"};
    std::vector<Include> out;
    std::size_t number = 0;
    for (const auto& line : lines_of(source.text)) {
        ++number;
        if (std::smatch match; std::regex_search(line, match, directive))
            out.push_back({number, match[1] == "\"", match[2]});
    }
    return out;
}

// beast.hpp belongs to boost/beast as much as boost/beast/core.hpp does.
bool is_heavy(std::string_view target) {
    return std::ranges::any_of(
        heavy, [&](auto name) { return is_below(target, name) || target == std::string{name} + ".hpp"; });
}

std::vector<Violation> heavy_includes(const Source& source) {
    std::vector<Violation> out;
    if (below_any(source.path, heavy_allowed)) return out;
    for (const auto& include : includes_of(source))
        if (is_heavy(include.target))
            out.push_back({source.path, include.line, "<" + include.target + "> belongs in base/net alone"});
    return out;
}

std::vector<Violation> wrong_arrows(const Source& source) {
    const Row* row = row_for(source.path);
    if (row == nullptr) return {{source.path, 1, "no row says what this room may include"}};
    std::vector<Violation> out;
    for (const auto& include : includes_of(source)) {
        const std::string_view target = include.target;
        const bool ours = below_any(target, product) && target.find('/') != std::string_view::npos;
        if (!ours && !include.quoted) continue;
        if (!ours || target.find("..") != std::string_view::npos) {
            out.push_back({source.path, include.line, "\"" + include.target + "\" is no path from the project's root"});
            continue;
        }
        const bool allowed = is_below(target, row->room) || below_any(target, row->may);
        if (!allowed || below_any(target, row->never))
            out.push_back({source.path, include.line, std::string{row->room} + " must not include " + include.target});
    }
    return out;
}

TEST(IncludeArrows, PointOnlyWhereTheTableSays) {
    const auto sources = sources_below(QSCD_SOURCE_DIR, product);
    ASSERT_FALSE(sources.empty());
    for (const auto& source : sources)
        for (const auto& violation : wrong_arrows(source)) ADD_FAILURE() << violation;
}

TEST(IncludeArrows, BeastAndAsioStayInsideBaseNet) {
    auto everywhere = product;
    everywhere.insert(everywhere.end(), {"tests", "benchmarks"});
    for (const auto& source : sources_below(QSCD_SOURCE_DIR, everywhere))
        for (const auto& violation : heavy_includes(source)) ADD_FAILURE() << violation;
}

// Snippets made up to be wrong, so that the check above is known to be able to fail.
struct Snippet {
    const char *name, *path, *include;
    bool allowed;
};
const Snippet snippets[] = {
    {"BaseIncludesItself", "base/a.cpp", "\"base/result.hpp\"", true},
    {"BaseIncludesARoomOfBase", "base/store/a.cpp", "\"base/log/log.hpp\"", true},
    {"SystemHeader", "base/a.cpp", "<openssl/evp.h>", true},
    {"BaseIncludesHsm", "base/a.cpp", "\"hsm/session.hpp\"", false},
    {"InAngleBracketsToo", "base/a.cpp", "<hsm/session.hpp>", false},
    {"GatewayIncludesStore", "qscd/gateway/csc/a.cpp", "\"base/store/sql.hpp\"", true},
    {"GatewayIncludesHsm", "qscd/gateway/csc/a.cpp", "\"hsm/session.hpp\"", false},
    {"GatewayIncludesAuthn", "qscd/gateway/a.cpp", "\"authn/pin.hpp\"", false},
    {"GatewayIncludesSam", "qscd/gateway/a.cpp", "\"qscd/sam/cell.hpp\"", false},
    {"SamIncludesHsm", "qscd/sam/a.cpp", "\"hsm/session.hpp\"", true},
    {"SamIncludesStore", "qscd/sam/a.cpp", "\"base/store/sql.hpp\"", true},
    {"SamIncludesNet", "qscd/sam/a.cpp", "\"base/net/socket.hpp\"", false},
    {"AuthnIncludesHsm", "authn/a.cpp", "\"hsm/session.hpp\"", false},
    {"IssuingIncludesLint", "ca/issuing/a.cpp", "\"ca/lint/lint.hpp\"", true},
    {"IssuingIncludesRegistration", "ca/issuing/a.cpp", "\"ca/registration/a.hpp\"", false},
    {"NothingOutsideIncludesQscd", "ca/status/a.cpp", "\"qscd/sam/cell.hpp\"", false},
    {"CommandIncludesSupervisor", "qscd/cli/a.cpp", "\"qscd/supervisor/up.hpp\"", true},
    {"CommandIncludesSam", "qscd/cli/a.cpp", "\"qscd/sam/cell.hpp\"", false},
    {"RelativePath", "base/a.cpp", "\"../hsm/session.hpp\"", false},
    {"PathThatClimbs", "base/a.cpp", "\"base/../hsm/session.hpp\"", false},
    {"BareName", "hsm/a.cpp", "\"session.hpp\"", false},
    {"RoomWithoutARow", "ca/a.cpp", "<string>", false},
};
struct MadeUp : ::testing::TestWithParam<Snippet> {};
INSTANTIATE_TEST_SUITE_P(, MadeUp, ::testing::ValuesIn(snippets), [](const auto& test) { return test.param.name; });
TEST_P(MadeUp, IsJudgedByTheTable) {
    const auto& snippet = GetParam();
    const Source source{snippet.path, std::string{"#pragma once\n\n#include "} + snippet.include + "\n"};
    EXPECT_EQ(wrong_arrows(source).empty(), snippet.allowed);
}

TEST(IncludeArrows, NameFileAndLine) {
    const Source source{"base/a.cpp",
                        "#include <string>\n  #  include \"hsm/session.hpp\"\n// #include \"ca/x.hpp\"\n"};
    EXPECT_EQ(wrong_arrows(source), (std::vector{Violation{"base/a.cpp", 2, "base must not include hsm/session.hpp"}}));
}

TEST(HeavyIncludes, AreRefusedOutsideBaseNet) {
    for (const auto* target : {"boost/beast/http.hpp", "boost/asio.hpp"}) {
        const auto line = "#include <" + std::string{target} + ">\n";
        EXPECT_EQ(heavy_includes({"base/net/http/a.cpp", line}).size(), 0U);
        EXPECT_EQ(heavy_includes({"base/network.cpp", line}).size(), 1U);
        EXPECT_EQ(heavy_includes({"qscd/gateway/a.cpp", line}).size(), 1U);
        EXPECT_EQ(heavy_includes({"tests/integration/a_test.cpp", line}).size(), 1U);
    }
    EXPECT_TRUE(heavy_includes({"base/a.cpp", "#include <boost/json.hpp>\n"}).empty());
}

}  // namespace
}  // namespace qscd::architecture
