#include <gtest/gtest.h>

#include "protocol/message.hpp"
#include "protocol/services.pb.h"
#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

pb::GatewayRequest add_client() {
    pb::GatewayRequest request;
    auto& client = *request.mutable_add_client();
    client.set_client("newcomer");
    client.set_name("Newcomer");
    client.set_secret_digest(string_of(sha256(view_of("secret")).bytes()));
    client.set_redirect_uri("https://new.example/cb");
    client.add_signers(string_of(anna.bytes()));
    return request;
}

pb::GatewayRequest issue_token(const char* client, unsigned lifetime) {
    pb::GatewayRequest request;
    request.mutable_issue_token()->set_client(client);
    request.mutable_issue_token()->set_lifetime(lifetime);
    return request;
}

Result<Administration::Reply> ask(World& world, const pb::GatewayRequest& request,
                                  std::string_view role = "bootstrap") {
    return world.administration.answer(role, protocol::encode(request));
}

TEST(Administration, AddsAClientWhoMayThenAct) {
    World world;
    ASSERT_TRUE(ask(world, add_client()));
    const auto id = ClientId::from("newcomer").value();
    EXPECT_TRUE(world.access->secret_is_right(id, SecretBytes{std::string_view{"secret"}}));
    EXPECT_TRUE(world.access->may_act_for(id, anna));
    EXPECT_FALSE(world.access->may_act_for(id, boris));
    ASSERT_TRUE(ask(world, add_client())) << "again: the same";
}

TEST(Administration, RefusesAClientThatIsNone) {
    World world;
    const std::function<void(pb::AddClient&)> changes[] = {
        [](auto& c) { c.set_client(""); },
        [](auto& c) { c.set_client("new comer"); },
        [](auto& c) { c.set_secret_digest("x"); },
        [](auto& c) { c.add_signers("short"); },
        [](auto& c) { c.set_name(std::string(256, 'x')); },
        [](auto& c) { c.set_redirect_uri(std::string(2049, 'x')); },
    };
    for (const auto& change : changes) {
        auto request = add_client();
        change(*request.mutable_add_client());
        EXPECT_FALSE(ask(world, request)) << request.ShortDebugString();
    }
    EXPECT_FALSE(world.access->knows(ClientId::from("newcomer").value()));
}

TEST(Administration, IssuesServiceTokensOfADayAtMost) {
    World world;
    const auto reply = ask(world, issue_token("acme", 86'400));
    ASSERT_TRUE(reply);
    const auto& token = dynamic_cast<const pb::ServiceToken&>(*reply.value()).token();
    EXPECT_EQ(world.access->token_holder(token).value().text(), "acme");
    for (const auto life : {0U, 86'401U, 4'000'000'000U}) EXPECT_FALSE(ask(world, issue_token("acme", life))) << life;
    EXPECT_FALSE(ask(world, issue_token("nobody", 60)));
}

TEST(Administration, API_02_IssuesNoServiceTokenUnderAQualifiedPolicy) {
    World world;
    const auto qualified = policy_with("qualified");
    Administration administration{*world.access, world.health, qualified};
    const auto reply = administration.answer("bootstrap", protocol::encode(issue_token("acme", 60)));
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::access_denied);
}

TEST(Administration, AnswersTheOwnerAlone) {
    World world;
    for (const auto* role : {"samd", "rad", "gatewayd", ""}) {
        const auto reply = ask(world, issue_token("acme", 60), role);
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().code, Errc::access_denied);
    }
    EXPECT_FALSE(ask(world, {}));
    EXPECT_FALSE(world.administration.answer("bootstrap", view_of("\x7f not a message")));
}

TEST(Administration, ReportsHealthWithItsReason) {
    World world;
    world.sam.report.set_tokens(false);
    world.sam.report.set_detail("the token directory is gone");
    pb::GatewayRequest request;
    request.mutable_health();
    const auto reply = ask(world, request);
    ASSERT_TRUE(reply);
    const auto& report = dynamic_cast<const pb::ServiceHealthReport&>(*reply.value());
    EXPECT_FALSE(report.good());
    EXPECT_EQ(report.detail(), "samd: the token directory is gone");
}

}  // namespace
}  // namespace qscd::gateway
