// No crash point is forgotten: the table is what the sources say. And a crash point kills the process, once, where and
// when it is told, and otherwise does nothing.
#include "tests/crash/points.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crash_point.hpp"
#include "base/file.hpp"

namespace qscd::crash {
namespace {

namespace fs = std::filesystem;

std::multiset<std::string> names_in_sources() {
    std::multiset<std::string> out;
    const std::regex call{R"re(\bcrash_point\("([^"]*)"\))re"};
    for (const auto* room : {"base", "protocol", "policy", "hsm", "authn", "ca", "ades", "qscd"})
        for (const auto& each : fs::recursive_directory_iterator{fs::path{QSCD_SOURCE_DIR} / room}) {
            if (each.path().extension() != ".cpp" && each.path().extension() != ".hpp") continue;
            const auto text = read_file(each.path());
            if (!text) continue;
            for (std::sregex_iterator at{text.value().begin(), text.value().end(), call}, end; at != end; ++at)
                out.insert((*at)[1]);
        }
    return out;
}

TEST(Points, AreTheTableAndTheTableIsThem) {
    const auto found = names_in_sources();
    for (const auto& name : found)
        EXPECT_EQ(std::ranges::count(points, name, &Point::name), 1) << name << " is missing in points.hpp";
    for (const auto& point : points)
        EXPECT_GE(found.count(std::string{point.name}), 1U) << point.name << " stands nowhere in the sources";
}

TEST(Points, CallsNameThemAsLiterals) {
    const std::regex call{R"re(\bcrash_point\((?!std::string_view|"))re"};
    for (const auto* room : {"hsm", "ca", "qscd"})
        for (const auto& each : fs::recursive_directory_iterator{fs::path{QSCD_SOURCE_DIR} / room}) {
            const auto text = each.is_regular_file() ? read_file(each.path()) : Result<std::string>{""};
            EXPECT_FALSE(text && std::regex_search(text.value(), call)) << each.path();
        }
}

// How a process ends that passes "here" so many times and "there" once, when its file says so.
struct Ended {
    bool killed, file_left;
};
Ended process_with(const std::string& said, int times) {
    const auto file = fs::temp_directory_path() / ("qscd-crash-point-" + std::to_string(::getpid()));
    std::ofstream{file} << said;
    const auto child = ::fork();
    if (child == 0) {
        ::setenv("QSCD_TEST_CRASH_FILE", file.c_str(), 1);
        crash_point("there");
        for (int i = 0; i < times; ++i) crash_point("here");
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    const Ended out{WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, fs::exists(file)};
    fs::remove(file);
    return out;
}

TEST(CrashPoint, KillsAtThePassageThatTheFileNamesAndTakesTheFileAway) {
    for (const int passage : {1, 2, 7}) {
        const auto ended = process_with("here:" + std::to_string(passage), passage);
        EXPECT_TRUE(ended.killed) << passage;
        EXPECT_FALSE(ended.file_left) << passage;
    }
}

TEST(CrashPoint, DoesNothingOtherwise) {
    for (const auto* said : {"here:4", "elsewhere:1", "here", "here:", "here:0", ":1", ""}) {
        const auto ended = process_with(said, 3);
        EXPECT_FALSE(ended.killed) << said;
        EXPECT_TRUE(ended.file_left) << said;
    }
    ::unsetenv("QSCD_TEST_CRASH_FILE");
    crash_point("here");
    ::setenv("QSCD_TEST_CRASH_FILE", "/nonexistent/file", 1);
    crash_point("here");
    ::unsetenv("QSCD_TEST_CRASH_FILE");
}

}  // namespace
}  // namespace qscd::crash
