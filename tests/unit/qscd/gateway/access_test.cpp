#include <gtest/gtest.h>

#include "base/file.hpp"
#include "tests/instruments/cluster/place.hpp"
#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

ClientId client(const char* name) { return ClientId::from(name).value(); }

std::optional<Errc> refusal(const World& world, std::string_view token) {
    const auto holder = world.access->token_holder(token);
    return holder ? std::nullopt : std::optional{holder.error().code};
}

TEST(Access, ATokenWorksForItsLifeAndNoSecondLonger) {
    World world;
    const auto token = world.token_of("acme", 3600s);
    EXPECT_EQ(world.access->token_holder(token).value(), client("acme"));
    world.clock.advance(3599s);
    EXPECT_TRUE(world.access->token_holder(token));
    world.clock.advance(1s);
    EXPECT_EQ(refusal(world, token), Errc::bearer_expired);
}

TEST(Access, WhatIsNoTokenIsUnknown) {
    World world;
    auto changed = world.bearer;
    changed[0] = changed[0] == 'A' ? 'B' : 'A';
    for (const auto& token : {std::string{}, std::string{"x"}, changed, world.bearer + "A", world.bearer + "="})
        EXPECT_EQ(refusal(world, token), Errc::bearer_invalid) << token;
}

TEST(Access, AnExpiredTokenIsForgottenInTheEnd) {
    World world;
    const auto token = world.token_of("acme", 60s);
    world.clock.advance(60s + expired_memory + 61s);
    EXPECT_EQ(refusal(world, token), Errc::bearer_expired) << "nothing was issued since, so nothing was swept";
    world.token_of("acme");
    EXPECT_EQ(refusal(world, token), Errc::bearer_invalid);
}

TEST(Access, AllIsThereAfterARestart) {
    World world;
    const auto expiring = world.token_of("acme", 60s);
    world.access.reset();
    world.access = Access::open(instruments::place_of(world.folder / "gatewayd.sqlite"), world.clock).value();
    EXPECT_EQ(world.access->token_holder(world.bearer).value(), client("acme"));
    EXPECT_TRUE(world.access->secret_is_right(client("acme"), SecretBytes{std::string_view{acme_secret}}));
    EXPECT_TRUE(world.access->may_act_for(client("acme"), anna));
    EXPECT_FALSE(world.access->may_act_for(client("acme"), boris));
    world.clock.advance(60s);
    EXPECT_EQ(refusal(world, expiring), Errc::bearer_expired);
}

TEST(Access, TheStoreHoldsNoTokenAndNoSecret) {
    World world;
    const auto bytes = from_base64url(world.bearer).value();
    for (const auto& entry : std::filesystem::directory_iterator{world.folder}) {
        const auto content = read_file(entry.path()).value();
        EXPECT_EQ(content.find(world.bearer), std::string::npos);
        EXPECT_EQ(content.find(text_of(bytes)), std::string::npos);
        EXPECT_EQ(content.find(acme_secret), std::string::npos);
    }
}

TEST(Access, SecretsAreComparedForTheirClientAlone) {
    World world;
    const auto right = [&](const char* name, std::string_view secret) {
        return world.access->secret_is_right(client(name), SecretBytes{secret});
    };
    EXPECT_TRUE(right("acme", acme_secret));
    EXPECT_FALSE(right("acme", "another secret"));
    EXPECT_FALSE(right("other", acme_secret));
    EXPECT_FALSE(right("nobody", acme_secret));
    EXPECT_FALSE(right("acme", ""));
}

TEST(Access, PutReplacesTheListOfSigners) {
    World world;
    ASSERT_TRUE(world.access->put({client("acme"), "Acme", sha256(view_of(acme_secret)), "", {boris}}));
    EXPECT_FALSE(world.access->may_act_for(client("acme"), anna));
    EXPECT_TRUE(world.access->may_act_for(client("acme"), boris));
    EXPECT_TRUE(world.access->token_holder(world.bearer)) << "the secret is the same";
}

TEST(Access, ANewSecretEndsTheTokensOfTheOldOne) {
    World world;
    const auto others = world.token_of("other");
    ASSERT_TRUE(world.access->put({client("acme"), "Acme", sha256(view_of("new")), "", {anna}}));
    EXPECT_EQ(refusal(world, world.bearer), Errc::bearer_invalid);
    EXPECT_TRUE(world.access->token_holder(others));
}

TEST(Access, ATokenIsForAKnownClient) {
    World world;
    EXPECT_FALSE(world.access->issue_token(client("nobody"), 60s));
}

}  // namespace
}  // namespace qscd::gateway
