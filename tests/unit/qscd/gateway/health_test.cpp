#include <gtest/gtest.h>

#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

net::Response get(World& world, std::string path, std::string method = "GET") {
    net::Request request;
    request.method = std::move(method);
    request.path = request.target = std::move(path);
    return world.send(std::move(request));
}
std::string member(const net::Response& response, const char* name) {
    return object_in(response).string(name, 100).value();
}

TEST(Health, ReadySaysUnderWhichPolicy) {
    World world;
    const auto response = get(world, "/health/ready");
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(
        response.body,
        R"({"status":"ready","policy":"trial","gatewayd":"ready","samd":"ready","rad":"ready","missing":[],"absent_shards":[]})");
}

TEST(Health, QSCD_21_ReadyWhileSomeShardsAreAwayAndNamesThem) {
    World world;
    for (unsigned number = 1; number <= 3; ++number) {
        auto& shard = *world.sam.report.add_shards();
        shard.set_number(number);
        shard.set_usable(number == 1);
        shard.set_detail("secret place");
    }
    const auto response = get(world, "/health/ready");
    EXPECT_EQ(response.status, 200U);
    EXPECT_NE(response.body.find(R"("absent_shards":[2,3])"), std::string::npos) << response.body;
    EXPECT_EQ(response.body.find("secret place"), std::string::npos);
}

TEST(Health, SAM_20_ReadyNamesWhatSamdsConfinementMisses) {
    World world;
    world.sam.report.add_missing("memory not locked");
    world.sam.report.add_missing("separation off");
    const auto response = get(world, "/health/ready");
    EXPECT_EQ(response.status, 200U);
    EXPECT_NE(response.body.find(R"("missing":["memory not locked","separation off"])"), std::string::npos)
        << response.body;
}

TEST(Health, LiveAsksNobody) {
    World world;
    world.sam.at_health = [] { return Result<void>{Error{Errc::service_away}}; };
    const auto response = get(world, "/health/live");
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body, R"({"status":"live"})");
    EXPECT_EQ(world.sam.healths, 0);
}

struct Away {
    const char* name;
    std::function<void(World&)> make;
    const char *part, *reason;
};
const Away aways[] = {
    {"Samd", [](World& w) { w.sam.at_health = [] { return Result<void>{Error{Errc::service_away, "secret place"}}; }; },
     "samd", "service_away"},
    {"Tokens",
     [](World& w) {
         w.sam.report.set_tokens(false);
         w.sam.report.set_detail("secret place");
     },
     "samd", "token_away"},
    {"SamsStore", [](World& w) { w.sam.report.set_store(false); }, "samd", "store_away"},
    {"SamsClock", [](World& w) { w.sam.report.set_clock("jumped"); }, "samd", "clock_jumped"},
    {"RasStore", [](World& w) { w.registration.report.set_store(false); }, "rad", "store_away"},
};
struct PartAway : ::testing::TestWithParam<Away> {};
INSTANTIATE_TEST_SUITE_P(, PartAway, ::testing::ValuesIn(aways), [](const auto& test) { return test.param.name; });
TEST_P(PartAway, IsNamedByItsClassAlone) {
    World world;
    GetParam().make(world);
    const auto response = get(world, "/health/ready");
    EXPECT_EQ(response.status, 503U);
    EXPECT_EQ(member(response, "status"), "not ready");
    EXPECT_EQ(member(response, GetParam().part), GetParam().reason);
    EXPECT_EQ(response.body.find("secret place"), std::string::npos);
}

TEST(Health, AsksOnceForMany) {
    World world;
    for (int i = 0; i < 100; ++i) get(world, "/health/ready");
    EXPECT_LE(world.sam.healths, 2);
}

}  // namespace
}  // namespace qscd::gateway
