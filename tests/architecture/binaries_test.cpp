#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/file.hpp"

namespace qscd::architecture {
namespace {

// What a binary must not hold, as it appears in `nm -C`: the design's table of processes. A -test binary obeys its
// daemon's row.
struct Row {
    std::string_view binary;
    std::vector<std::string_view> never;
};
const std::vector<Row> rows{
    {"qscd-gatewayd", {"C_GetFunctionList", "qscd::hsm::", "qscd::authn::", "qscd::ca::"}},
    {"qscd-samd", {"qscd::net::", "qscd::ca::", "qscd::gateway::"}},
    {"qscd-notifierd", {"C_GetFunctionList", "qscd::hsm::", "qscd::authn::", "qscd::ca::", "qscd::sam::"}},
    {"qscd-rad", {"qscd::sam::"}},
    {"qscd-cad", {"qscd::sam::", "qscd::authn::"}},
    {"qscd-statusd", {"qscd::sam::", "qscd::authn::"}},
    {"qscd-tsad", {"qscd::sam::", "qscd::authn::"}},
    {"qscd", {"qscd::sam::"}},
    {"qscd-audit-verify",
     {"C_GetFunctionList",
      "qscd::hsm::", "qscd::sam::", "qscd::net::", "qscd::store::", "qscd::authn::", "qscd::ca::"}},
};
constexpr std::string_view test_clock = "qscd_test_clock_marker", crash_marker = "qscd_test_crash_marker",
                           crash_point = "qscd::crash_point(";

struct Binary {
    std::string name, path;
    bool for_tests() const { return name.ends_with("-test"); }
    std::string_view daemon() const {
        return std::string_view{name}.substr(0, name.size() - (for_tests() ? std::string_view{"-test"}.size() : 0));
    }
};

std::vector<Binary> binaries() {
    const auto list = read_file(QSCD_BINARY_LIST);
    if (!list) throw std::runtime_error(list.error().detail);
    std::vector<Binary> out;
    std::istringstream lines{list.value()};
    for (std::string line; std::getline(lines, line);) {
        const auto tab = line.find('\t');
        out.push_back({line.substr(0, tab), line.substr(tab + 1)});
    }
    return out;
}

const Row* row_of(const Binary& binary) {
    const auto row = std::ranges::find(rows, binary.daemon(), &Row::binary);
    return row == rows.end() ? nullptr : &*row;
}

// The symbols of a binary, one a line; nothing if nm could not read it.
std::optional<std::string> symbols_of(const std::string& path) {
    std::string command = QSCD_NM " -C '";
    for (const char c : path) c == '\'' ? command += "'\\''" : command += c;
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe{::popen((command + "'").c_str(), "r"), &::pclose};
    if (!pipe) return std::nullopt;
    std::string out;
    std::array<char, 65536> block{};
    for (std::size_t count = 0; (count = std::fread(block.data(), 1, block.size(), pipe.get())) > 0;)
        out.append(block.data(), count);
    if (out.empty()) return std::nullopt;
    return out;
}

// The first line of `symbols` with each forbidden text in it, and what is wrong about the clock and the crash points.
std::vector<std::string> faults(const Binary& binary, const Row& row, const std::string& symbols) {
    std::vector<std::string> out;
    for (const auto never : row.never) {
        const auto at = symbols.find(never);
        if (at == std::string::npos) continue;
        const auto begin = symbols.rfind('\n', at) + 1;
        out.push_back(binary.name + " holds " + symbols.substr(begin, symbols.find('\n', at) - begin));
    }
    if (const bool found = symbols.find(test_clock) != std::string::npos; found != binary.for_tests())
        out.push_back(binary.name + (found ? " has a test clock" : " has no test clock"));
    const bool may_crash = symbols.find(crash_marker) != std::string::npos;
    const bool must = binary.for_tests() && symbols.find(crash_point) != std::string::npos;
    if (may_crash != must)
        out.push_back(binary.name + (may_crash ? " crashes when a test says so" : " has crash points that do nothing"));
    return out;
}

TEST(Binaries, HoldOnlyWhatTheirProcessMay) {
    for (const auto& binary : binaries()) {
        const Row* row = row_of(binary);
        if (row == nullptr) {
            ADD_FAILURE() << binary.name << " has no row";
            continue;
        }
        if (!std::filesystem::exists(binary.path)) {
            ADD_FAILURE() << binary.path << " was not built";
            continue;
        }
        const auto symbols = symbols_of(binary.path);
        if (!symbols) {
            ADD_FAILURE() << QSCD_NM << " cannot read " << binary.path;
            continue;
        }
        for (const auto& fault : faults(binary, *row, *symbols)) ADD_FAILURE() << fault;
    }
}

// This very program has a test clock, so a reader that sees nothing would be noticed.
TEST(Binaries, AreReadByASearchThatFinds) {
    ASSERT_NE(process_clock().now(), TimePoint{});
    const auto symbols = symbols_of(std::filesystem::read_symlink("/proc/self/exe"));
    ASSERT_TRUE(symbols);
    EXPECT_NE(symbols->find(test_clock), std::string::npos);
    EXPECT_NE(symbols->find("qscd::process_clock()"), std::string::npos);
    EXPECT_FALSE(symbols_of("/nonexistent"));
}

const std::string clean = "0 T main\n0 T qscd::policy::parse(int)\n";

TEST(Faults, NameTheSymbol) {
    const Binary gateway{"qscd-gatewayd", ""};
    EXPECT_TRUE(faults(gateway, rows[0], clean).empty());
    EXPECT_EQ(faults(gateway, rows[0], clean + "1 T qscd::hsm::Session::open()\n2 T x\n"),
              (std::vector<std::string>{"qscd-gatewayd holds 1 T qscd::hsm::Session::open()"}));
    EXPECT_EQ(faults(gateway, rows[0], clean + "         U C_GetFunctionList").size(), 1U);
}

TEST(Faults, ATestClockIsForTestBinariesAlone) {
    const std::string with_clock = clean + "0 R qscd_test_clock_marker\n";
    const Binary release{"qscd-gatewayd", ""}, test{"qscd-gatewayd-test", ""};
    EXPECT_EQ(row_of(test), row_of(release));
    EXPECT_EQ(faults(release, rows[0], with_clock), std::vector<std::string>{"qscd-gatewayd has a test clock"});
    EXPECT_EQ(faults(test, rows[0], clean), std::vector<std::string>{"qscd-gatewayd-test has no test clock"});
    EXPECT_TRUE(faults(test, rows[0], with_clock).empty());
    EXPECT_TRUE(faults(release, rows[0], clean).empty());
}

TEST(Faults, CrashPointsWorkInTestBinariesAlone) {
    const std::string points = clean + "0 T qscd::crash_point(std::basic_string_view<char>)\n",
                      clock = "0 R qscd_test_clock_marker\n", marker = "0 R qscd_test_crash_marker\n";
    const Binary release{"qscd-gatewayd", ""}, test{"qscd-gatewayd-test", ""};
    EXPECT_TRUE(faults(release, rows[0], points).empty());
    EXPECT_TRUE(faults(test, rows[0], points + clock + marker).empty());
    EXPECT_EQ(faults(release, rows[0], points + marker),
              std::vector<std::string>{"qscd-gatewayd crashes when a test says so"});
    EXPECT_EQ(faults(test, rows[0], points + clock),
              std::vector<std::string>{"qscd-gatewayd-test has crash points that do nothing"});
}

}  // namespace
}  // namespace qscd::architecture
