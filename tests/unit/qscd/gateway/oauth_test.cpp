#include <gtest/gtest.h>

#include "qscd/gateway/oauth/form.hpp"
#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

const std::string grant = "grant_type=client_credentials", id = "client_id=acme",
                  secret = "client_secret=correct+horse%2Fbattery%2Bstaple%25";

net::Headers basic(std::string_view pair) { return {{"authorization", "Basic " + to_base64(view_of(pair))}}; }
const char* const encoded_pair = "acme:correct+horse%2Fbattery%2bstaple%25";

void expect_token(World& world, const net::Response& response) {
    ASSERT_EQ(response.status, 200U) << response.body;
    const auto object = object_in(response);
    EXPECT_EQ(object.members().size(), 3U);
    EXPECT_EQ(object.string("token_type", 10).value(), "Bearer");
    EXPECT_EQ(object.integer("expires_in").value(), 3600);
    const auto token = object.string("access_token", 100).value();
    EXPECT_EQ(token.size(), 43U) << "32 bytes";
    EXPECT_EQ(world.access->token_holder(token).value().text(), "acme");
    EXPECT_EQ(header_of(response, "Cache-Control"), "no-store");
}

TEST(Token, IsIssuedForTheSecretInTheForm) {
    World world;
    expect_token(world, world.post_form(grant + "&" + id + "&" + secret));
    expect_token(world, world.post_form(secret + "&" + id + "&" + grant + "&scope=service", {}, "/oauth2/token"));
}

TEST(Token, IsIssuedForTheSecretInTheHeader) {
    World world;
    expect_token(world, world.post_form(grant, basic(encoded_pair)));
    expect_token(world, world.post_form(grant + "&" + id, basic(encoded_pair)));
    auto lower = basic(encoded_pair);
    lower[0].second.replace(0, 5, "basic");
    expect_token(world, world.post_form(grant, lower));
}

TEST(Token, API_02_IsNotIssuedForASharedSecretUnderAQualifiedPolicy) {
    World world;
    world.policy = policy_with("qualified");
    EXPECT_EQ(world.post_form(grant + "&" + id + "&" + secret).status, 401U);
    world.policy = policy_with("trial");
    EXPECT_EQ(world.post_form(grant + "&" + id + "&" + secret).status, 200U);
}

TEST(Token, IsAnotherOneEachTime) {
    World world;
    EXPECT_NE(world.post_form(grant + "&" + id + "&" + secret).body,
              world.post_form(grant + "&" + id + "&" + secret).body);
}

TEST(Token, ExpiresAfterAnHour) {
    World world;
    world.bearer = object_in(world.post_form(grant + "&" + id + "&" + secret)).string("access_token", 100).value();
    const auto ask = R"({"credentialID":")" + annas_app.hex() + "\"}";
    world.clock.advance(3599s);
    EXPECT_EQ(world.post("credentials/info", ask).status, 200U);
    world.clock.advance(1s);
    EXPECT_EQ(error_in(world.post("credentials/info", ask)), "expired_token");
}

struct Bad {
    const char* name;
    std::string body;
    net::Headers headers;
    unsigned status;
    const char *error, *description;
};
const char* const table_3 =
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than "
    "once, or "
    "is otherwise malformed.";
const Bad bad[] = {
    {"NoClient", grant, {}, 400, "invalid_request", "Missing parameter client_id"},
    {"EmptyClient", grant + "&client_id=&" + secret, {}, 400, "invalid_request", "Missing parameter client_id"},
    {"NoGrantType", id + "&" + secret, {}, 400, "invalid_request", "Missing parameter grant_type"},
    {"UnknownGrantType",
     "grant_type=password&" + id + "&" + secret,
     {},
     400,
     "invalid_request",
     "Invalid parameter grant_type"},
    {"CodeGrant",
     "grant_type=authorization_code&" + id + "&" + secret,
     {},
     400,
     "invalid_request",
     "Invalid parameter grant_type"},
    {"RefreshGrant",
     "grant_type=refresh_token&" + id + "&" + secret,
     {},
     400,
     "invalid_request",
     "Invalid parameter grant_type"},
    {"UnknownClient", grant + "&client_id=nobody&" + secret, {}, 400, "invalid_request", "Invalid parameter client_id"},
    {"ClientThatCannotBe",
     grant + "&client_id=a%20b&" + secret,
     {},
     400,
     "invalid_request",
     "Invalid parameter client_id"},
    {"UnknownClientWithoutSecret",
     grant + "&client_id=nobody",
     {},
     400,
     "invalid_request",
     "Invalid parameter client_id"},
    {"NoSecret", grant + "&" + id, {}, 401, "invalid_request", "Client authorization required"},
    {"EmptySecret", grant + "&" + id + "&client_secret=", {}, 401, "invalid_request", "Client authorization required"},
    {"WrongSecret",
     grant + "&" + id + "&client_secret=guess",
     {},
     400,
     "invalid_request",
     "Invalid parameter client_secret"},
    {"AnothersSecret",
     grant + "&" + id + "&client_secret=another+secret",
     {},
     400,
     "invalid_request",
     "Invalid parameter client_secret"},
    {"WrongSecretInHeader", grant, basic("acme:guess"), 400, "invalid_request", "Invalid parameter client_secret"},
    {"EmptySecretInHeader", grant, basic("acme:"), 400, "invalid_request", "Invalid parameter client_secret"},
    {"UnknownClientInHeader", grant, basic("nobody:guess"), 400, "invalid_request", "Invalid parameter client_id"},
    {"TwoClients", grant + "&client_id=other", basic(encoded_pair), 400, "invalid_request",
     "Invalid parameter client_id"},
    {"TwoAuthentications", grant + "&" + secret, basic(encoded_pair), 400, "invalid_request", table_3},
    {"HeaderWithoutColon", grant, basic("acme"), 400, "invalid_request", "Malformed authorization header"},
    {"HeaderNotBase64",
     grant,
     {{"authorization", "Basic !!"}},
     400,
     "invalid_request",
     "Malformed authorization header"},
    {"HeaderBadPercent", grant, basic("acme:%zz"), 400, "invalid_request", "Malformed authorization header"},
    {"HeaderOfAnotherScheme",
     grant,
     {{"authorization", "Bearer abc"}},
     400,
     "invalid_request",
     "Malformed authorization header"},
    {"WrongScope",
     grant + "&" + id + "&" + secret + "&scope=credential",
     {},
     400,
     "invalid_scope",
     "The requested scope is invalid, unknown, or malformed."},
    {"TwoScopes",
     grant + "&" + id + "&" + secret + "&scope=service+credential",
     {},
     400,
     "invalid_scope",
     "The requested scope is invalid, unknown, or malformed."},
    {"ParameterTwice", grant + "&" + grant + "&" + id + "&" + secret, {}, 400, "invalid_request", table_3},
    {"ParameterTwiceOnceEncoded",
     grant + "&" + id + "&client%5Fid=acme&" + secret,
     {},
     400,
     "invalid_request",
     table_3},
    {"BadPercent", grant + "&" + id + "&client_secret=%4", {}, 400, "invalid_request", table_3},
    {"Nul", grant + "&" + id + "&client_secret=a%00", {}, 400, "invalid_request", table_3},
};
struct BadTokenRequest : ::testing::TestWithParam<Bad> {};
INSTANTIATE_TEST_SUITE_P(, BadTokenRequest, ::testing::ValuesIn(bad), [](const auto& test) { return test.param.name; });
TEST_P(BadTokenRequest, IsRefusedByItsRow) {
    World world;
    const auto response = world.post_form(GetParam().body, GetParam().headers);
    EXPECT_EQ(response.status, GetParam().status);
    EXPECT_EQ(error_in(response), GetParam().error);
    EXPECT_EQ(description_in(response), GetParam().description);
}

TEST(Token, TheFormMustCallItselfOne) {
    World world;
    net::Request request;
    request.method = "POST";
    request.path = "/csc/v2/oauth2/token";
    request.headers = {{"content-type", "application/json"}};
    request.body = grant + "&" + id + "&" + secret;
    EXPECT_EQ(description_in(world.send(request)), table_3);
}

TEST(Form, ManyParametersAreTooMany) {
    std::string text = "p0=x";
    for (int i = 1; i < 32; ++i) text += "&p" + std::to_string(i) + "=x";
    EXPECT_TRUE(Form::parse(text));
    EXPECT_FALSE(Form::parse(text + "&one=more"));
}

TEST(Form, DecodesAndFindsNothingWhereNothingIs) {
    const auto form = Form::parse("a=x%3D%26+y&b=&c&&d=e=f").value();
    EXPECT_EQ(form.text("a"), "x=& y");
    EXPECT_FALSE(form.text("b"));
    EXPECT_FALSE(form.text("c"));
    EXPECT_EQ(form.text("d"), "e=f");
    EXPECT_FALSE(form.text("z"));
}

}  // namespace
}  // namespace qscd::gateway
