#include <gtest/gtest.h>

#include "qscd/gateway/csc/sign_algorithm.hpp"
#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

net::Response ask(World& world, std::string body, net::Headers headers) {
    net::Request request;
    request.method = "POST";
    request.path = request.target = "/csc/v2/info";
    request.headers = std::move(headers);
    request.body = std::move(body);
    return world.send(std::move(request));
}
const net::Headers json_type{{"content-type", "application/json"}};

TEST(Info, SaysExactlyThis) {
    World world;
    const auto response = ask(world, "{}", json_type);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(
        response.body,
        R"({"specs":"2.0.0.2","name":"Trial","logo":"https://sign.example:8443/logo.png","region":"DE","lang":"en",)"
        R"("description":"A trial service","authType":["oauth2client"],"oauth2":"https://sign.example:8443/csc/v2",)"
        R"("methods":["credentials/list","credentials/info","credentials/getChallenge","credentials/authorize",)"
        R"("signatures/signHash"],"signAlgorithms":{"algos":["1.2.840.10045.2.1","1.2.840.10045.4.3.2","1.2.840.10045.4.3.3",)"
        R"("1.2.840.10045.4.3.4","1.2.840.113549.1.1.1","1.2.840.113549.1.1.11","1.2.840.113549.1.1.12",)"
        R"("1.2.840.113549.1.1.13","1.2.840.113549.1.1.10","1.2.840.113549.1.1.10","1.2.840.113549.1.1.10"],)"
        R"("algoParams":["","","","","","","","",)"
        R"("MDSgDzANBglghkgBZQMEAgEFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgEFAKIDAgEg",)"
        R"("MDSgDzANBglghkgBZQMEAgIFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgIFAKIDAgEw",)"
        R"("MDSgDzANBglghkgBZQMEAgMFAKEcMBoGCSqGSIb3DQEBCDANBglghkgBZQMEAgMFAKIDAgFA"]},)"
        R"("signature_formats":{"formats":[],"envelope_properties":[]},"conformance_levels":[],"policy":"trial"})");
}

TEST(Info, NeedsNoBodyAndNoBearer) {
    World world;
    const auto usual = ask(world, "{}", json_type).body;
    EXPECT_EQ(ask(world, "", {}).body, usual);
    EXPECT_EQ(ask(world, "", json_type).body, usual);
    EXPECT_EQ(ask(world, R"({"lang":"xx-XX","unknown":[1]})", json_type).body, usual);
    EXPECT_EQ(ask(world, R"({"lang":null})", json_type).body, usual);
}

TEST(Info, ABodyThatIsThereMustBeJson) {
    World world;
    EXPECT_EQ(ask(world, "{}", {}).status, 400U);
    EXPECT_EQ(ask(world, "{", json_type).status, 400U);
    EXPECT_EQ(description_in(ask(world, R"({"lang":1})", json_type)),
              "Missing (or invalid type) string parameter lang");
}

TEST(Info, SpeaksOfAPolicyOnlyUnderTrial) {
    World world;
    const auto qualified = policy_with("qualified");
    Service service{world.sam,         *world.access, world.directory,  world.health,
                    world.authorities, qualified,     world.deployment, world.clock};
    FrontDoor door{service};
    net::Request request;
    request.method = "POST";
    request.path = "/csc/v2/info";
    EXPECT_FALSE(object_in(door.answer(request)).has("policy"));
}

TEST(Logo, IsAPng) {
    World world;
    net::Request request;
    request.method = "GET";
    request.path = "/logo.png";
    const auto response = world.send(request);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.content_type, "image/png");
    EXPECT_TRUE(response.body.starts_with("\x89PNG\r\n\x1a\n"));
}

}  // namespace
}  // namespace qscd::gateway
