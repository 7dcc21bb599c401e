#include "qscd/gateway/csc/routes.hpp"

#include <gtest/gtest.h>
#include <regex>

#include "base/file.hpp"

namespace qscd::gateway {
namespace {

// Two blanks and a path open a path, four and a verb one of its operations.
std::set<std::string> described() {
    const auto text = read_file(std::filesystem::path{QSCD_SOURCE_DIR} / "docs" / "api" / "openapi.yaml").value();
    const std::regex line{R"re(^(?:  (/\S*):|    (get|post):)\s*$)re", std::regex::multiline};
    std::set<std::string> out;
    std::string path;
    for (std::sregex_iterator at{text.begin(), text.end(), line}, end; at != end; ++at) {
        if ((*at)[1].matched) path = (*at)[1];
        else out.insert(((*at)[2] == "get" ? "GET " : "POST ") + path);
    }
    return out;
}

TEST(Routes, API_09_AreThoseThatTheDescriptionNames) {
    std::set<std::string> served;
    for (const auto& route : routes()) served.insert(std::string{route.verb} + " " + std::string{route.path});
    EXPECT_EQ(served, described());
    EXPECT_EQ(served.size(), routes().size()) << "a path twice";
}

TEST(Routes, OnlyTheseNeedNoBearer) {
    const std::set<std::string_view> open{"/csc/v2/info", "/csc/v2/oauth2/token", "/oauth2/token",
                                          "/health/live", "/health/ready",        "/logo.png"};
    for (const auto& route : routes()) EXPECT_EQ(route.needs_bearer, !open.contains(route.path)) << route.path;
}

}  // namespace
}  // namespace qscd::gateway
