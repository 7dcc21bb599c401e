#include <gtest/gtest.h>

#include "base/request_id.hpp"
#include "qscd/gateway/csc/routes.hpp"
#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

const std::string ask_info = R"({"credentialID":")" + annas_app.hex() + "\"}";
const char* const table_3 =
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than "
    "once, or "
    "is otherwise malformed.";

net::Request request_to(const World& world, std::string method, std::string path) {
    net::Request request;
    request.method = std::move(method);
    request.path = request.target = std::move(path);
    request.headers = {{"authorization", "Bearer " + world.bearer}, {"content-type", "application/json"}};
    request.body = ask_info;
    return request;
}

TEST(FrontDoor, AnUnknownMethodBelowTheBaseIsNotSupported) {
    World world;
    for (const auto* path :
         {"/csc/v2/signatures/signDoc", "/csc/v2/", "/csc/v2/infos", "/csc/v2/info/", "/csc/v2/%69nfo"}) {
        const auto response = world.send(request_to(world, "POST", path));
        EXPECT_EQ(response.status, 501U) << path;
        EXPECT_EQ(response.body, R"({"error":"invalid_request","error_description":"The method is not supported"})");
    }
}

TEST(FrontDoor, ElsewhereIsNothing) {
    World world;
    for (const auto* path : {"/", "/csc/v1/info", "/csc/v2", "/health", "/logo.png/"})
        EXPECT_EQ(world.send(request_to(world, "POST", path)).status, 404U) << path;
}

TEST(FrontDoor, AWrongVerbIsToldTheRightOne) {
    World world;
    for (const auto& route : routes()) {
        const bool get = route.verb == "GET";
        for (const auto* verb : {"PUT", "DELETE", "OPTIONS", get ? "POST" : "GET"}) {
            const auto response = world.send(request_to(world, verb, std::string{route.path}));
            EXPECT_EQ(response.status, 405U) << verb << ' ' << route.path;
            EXPECT_EQ(header_of(response, "Allow"), get ? "GET, HEAD" : "POST");
        }
    }
}

TEST(FrontDoor, AUD_02_EachAnswerNamesItsRequest) {
    World world;
    std::set<std::string> seen;
    const auto check = [&](const net::Response& response, std::string_view what) {
        const auto id = header_of(response, "X-Request-Id").value_or("");
        EXPECT_TRUE(RequestId::from_hex(id)) << what;
        EXPECT_TRUE(seen.insert(id).second) << what;
    };
    for (const auto& route : routes()) {
        auto request = request_to(world, std::string{route.verb}, std::string{route.path});
        request.headers.emplace_back("x-request-id", std::string(32, 'a'));
        check(world.send(request), route.path);
        check(world.send(request), "the same again");
    }
    check(world.send(request_to(world, "GET", "/x")), "an unknown path");
    check(FrontDoor::refuse(413), "what never became a request");
}

TEST(FrontDoor, AUD_02_TheSamIsAskedUnderTheIdOfTheAnswer) {
    World world;
    std::optional<RequestId> asked;
    world.sam.at_describe = [&] {
        asked = current_request();
        return Result<void>{success()};
    };
    const auto response = world.send(request_to(world, "POST", "/csc/v2/credentials/info"));
    ASSERT_TRUE(asked);
    EXPECT_EQ(header_of(response, "X-Request-Id"), asked->hex());
    EXPECT_FALSE(current_request());
}

TEST(FrontDoor, NothingMayBeStored) {
    World world;
    for (const auto& route : routes()) {
        const auto response = world.send(request_to(world, std::string{route.verb}, std::string{route.path}));
        EXPECT_EQ(header_of(response, "Cache-Control"), "no-store") << route.path;
    }
    EXPECT_EQ(header_of(world.send(request_to(world, "GET", "/x")), "Cache-Control"), "no-store");
    EXPECT_EQ(header_of(FrontDoor::refuse(413), "Cache-Control"), "no-store");
}

struct Bearer {
    const char* name;
    std::optional<std::string> header;
    unsigned status;
    const char *error, *description;
};
const char* const malformed = "Malformed authorization header";
const Bearer bearers[] = {
    {"None", std::nullopt, 400, "invalid_request", malformed},
    {"Empty", "", 400, "invalid_request", malformed},
    {"SchemeAlone", "Bearer", 400, "invalid_request", malformed},
    {"SchemeAndBlank", "Bearer ", 400, "invalid_request", malformed},
    {"AnotherScheme", "Basic YTpi", 400, "invalid_request", malformed},
    {"NoScheme", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400, "invalid_request", malformed},
    {"TwoTokens", "Bearer a b", 400, "invalid_request", malformed},
    {"NoTokenCharacter", "Bearer a,b", 400, "invalid_request", malformed},
    {"PaddingAlone", "Bearer ==", 400, "invalid_request", malformed},
    {"Unknown", "Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 401, "invalid_token",
     "The token provided is not a valid OAuth access or refresh token."},
    {"TooShort", "Bearer abc", 401, "invalid_token",
     "The token provided is not a valid OAuth access or refresh token."},
};
struct WrongBearer : ::testing::TestWithParam<Bearer> {};
INSTANTIATE_TEST_SUITE_P(, WrongBearer, ::testing::ValuesIn(bearers), [](const auto& test) { return test.param.name; });
TEST_P(WrongBearer, IsRefusedByEveryMethodThatNeedsOne) {
    World world;
    for (const auto& route : routes()) {
        if (!route.needs_bearer) continue;
        auto request = request_to(world, "POST", std::string{route.path});
        request.headers = {{"content-type", "application/json"}};
        if (GetParam().header) request.headers.emplace_back("authorization", *GetParam().header);
        const auto response = world.send(request);
        EXPECT_EQ(response.status, GetParam().status);
        EXPECT_EQ(error_in(response), GetParam().error);
        EXPECT_EQ(description_in(response), GetParam().description);
        EXPECT_EQ(header_of(response, "WWW-Authenticate").value_or(""), GetParam().status == 401 ? "Bearer" : "");
    }
    EXPECT_EQ(world.sam.describes, 0);
}

TEST(FrontDoor, AnExpiredTokenIsCalledSo) {
    World world;
    world.clock.advance(3600s);
    const auto response = world.post("credentials/info", ask_info);
    EXPECT_EQ(response.status, 401U);
    EXPECT_EQ(error_in(response), "expired_token");
    EXPECT_EQ(header_of(response, "WWW-Authenticate"), "Bearer");
}

TEST(FrontDoor, TheSchemeIsAWordInAnyCase) {
    World world;
    auto request = request_to(world, "POST", "/csc/v2/credentials/info");
    request.headers[0].second = "bEARER  " + world.bearer;
    EXPECT_EQ(world.send(request).status, 200U);
}

TEST(FrontDoor, JsonMustCallItselfJson) {
    World world;
    const auto status = [&](const char* type) {
        auto request = request_to(world, "POST", "/csc/v2/credentials/info");
        request.headers[1].second = type;
        const auto response = world.send(request);
        if (response.status != 200) {
            EXPECT_EQ(description_in(response), table_3);
        }
        return response.status;
    };
    for (const auto* good : {"application/json", "Application/JSON", "application/json; charset=utf-8",
                             "application/json;charset=UTF-8", "application/json ; charset=\"utf-8\""})
        EXPECT_EQ(status(good), 200U) << good;
    for (const auto* bad : {"", "text/plain", "application/jsonp", "application/json; charset=latin1",
                            "application/json;", "application/x-www-form-urlencoded", "application/json, text/plain"})
        EXPECT_EQ(status(bad), 400U) << bad;
    auto request = request_to(world, "POST", "/csc/v2/credentials/info");
    request.headers.pop_back();
    EXPECT_EQ(world.send(request).status, 400U);
}

TEST(FrontDoor, API_06_JsonHasOneMeaningOrNone) {
    World world;
    const auto id = annas_app.hex();
    for (const auto& body :
         {std::string{}, std::string{"{"}, std::string{"[]"}, std::string{"null"}, std::string{"\"x\""},
          "{\"credentialID\":\"" + id + "\"} x", "{\"credentialID\":\"" + id + "\",\"credentialID\":\"" + id + "\"}",
          "{\"credentialID\":\"" + id + "\",\"x\":1e999}", "{\"credentialID\":\"" + id + "\",\"x\":\"\xff\"}"}) {
        const auto response = world.post("credentials/info", body);
        EXPECT_EQ(response.status, 400U) << body;
        EXPECT_EQ(error_in(response), "invalid_request");
        EXPECT_EQ(description_in(response), table_3);
    }
}

TEST(FrontDoor, ClientDataIsTextThatNobodyReads) {
    World world;
    const auto with = [&](const std::string& value) {
        return world.post("credentials/info",
                          R"({"credentialID":")" + annas_app.hex() + R"(","clientData":)" + value + "}");
    };
    EXPECT_EQ(with("\"anything\"").status, 200U);
    EXPECT_EQ(with("null").status, 200U);
    EXPECT_EQ(description_in(with("[1]")), "Invalid parameter clientData");
}

TEST(FrontDoor, AnExceptionIsOurFaultAndOneAnswer) {
    World world;
    world.sam.at_describe = []() -> Result<void> { throw std::runtime_error("bug at 0x1234"); };
    const auto response = world.post("credentials/info", ask_info);
    EXPECT_EQ(response.status, 500U);
    EXPECT_EQ(error_in(response), "server_error");
    EXPECT_EQ(response.body.find("0x1234"), std::string::npos);
}

// What the log of one call says.
template <class Ask>
std::string log_of(Ask ask) {
    ::testing::internal::CaptureStderr();
    ::testing::internal::CaptureStdout();
    ask();
    return ::testing::internal::GetCapturedStderr() + ::testing::internal::GetCapturedStdout();
}

TEST(Log, AUD_02_NamesTheRequestAndWhatThePortalCallsItWhenThatIsWellFormed) {
    World world;
    const auto said = [&](const std::string& name) {
        auto request = request_to(world, "POST", "/csc/v2/credentials/info");
        request.headers.emplace_back("x-request-id", name);
        net::Response response;
        const auto log = log_of([&] { response = world.send(request); });
        EXPECT_NE(log.find("\"request_id\":\"" + header_of(response, "X-Request-Id").value() + '"'), std::string::npos)
            << log;
        return log;
    };
    for (const auto& good : {std::string{"a"}, std::string{"Order-17_b.2"}, std::string(64, '9')})
        EXPECT_NE(said(good).find("\"portal_request\":\"" + good + '"'), std::string::npos) << good;
    for (const auto& bad : {std::string{}, std::string(65, '9'), std::string{"a b"}, std::string{"a\"b"},
                            std::string{"\xc3\xa4"}, std::string{"a/b"}})
        EXPECT_NE(said(bad).find("\"portal_request\":\"\""), std::string::npos) << bad;
}

TEST(Log, NamesTheCallAndNoSecretOfIt) {
    World world;
    const auto hash = base64_hash();
    const auto authorise =
        R"({"credentialID":")" + annas_app.hex() + R"(","numSignatures":1,"hashes":[")" + hash +
        R"("],"hashAlgorithmOID":"2.16.840.1.101.3.4.2.1","clientData":"client-data-text","authData":[)"
        R"({"id":"PIN","value":"73919264"},{"id":"TOTP","value":"558201"}]})";
    const auto sign = R"({"credentialID":")" + annas_app.hex() + R"(","SAD":"c2VjcmV0LXNhZC10b2tlbg","hashes":[")" +
                      hash + R"("],"signAlgo":"1.2.840.10045.4.3.2"})";
    std::string token, basic = to_base64(view_of("acme:secret-in-basic"));
    const auto log = log_of([&] {
        world.post("credentials/authorize", authorise);
        world.sam.at_authorise = [] { return Result<void>{Error{Errc::factors_wrong}}; };
        world.post("credentials/authorize", authorise);
        world.post("signatures/signHash", sign, {{"idempotency-key", "key-of-the-request"}});
        world.post("signatures/signHash", "{\"SAD\":\"c2VjcmV0LXNhZC10b2tlbg\" broken");
        token =
            object_in(
                world.post_form(
                    "grant_type=client_credentials&client_id=acme&client_secret=correct+horse%2Fbattery%2Bstaple%25"))
                .string("access_token", 100)
                .value();
        world.post_form("grant_type=client_credentials&client_id=acme&client_secret=wrong-secret");
        world.post_form("grant_type=client_credentials", {{"authorization", "Basic " + basic}});
        net::Request lost;
        lost.method = "POST";
        lost.path = "/elsewhere";
        lost.query = "client_secret=secret-in-query";
        lost.target = lost.path + "?" + lost.query;
        world.send(lost);
    });
    for (const auto& secret :
         {std::string{"73919264"}, std::string{"558201"}, std::string{"c2VjcmV0LXNhZC10b2tlbg"}, hash, world.bearer,
          token, std::string{"correct"}, std::string{"wrong-secret"}, std::string{"secret-in-basic"}, basic,
          std::string{"secret-in-query"}, std::string{"client-data-text"}, std::string{"key-of-the-request"}})
        EXPECT_EQ(log.find(secret), std::string::npos) << secret << "\n" << log;
    for (const auto& said :
         {std::string{"/csc/v2/credentials/authorize"}, std::string{"/csc/v2/signatures/signHash"}, annas_app.hex(),
          std::string{"\"client\":\"acme\""}, std::string{"\"error\":\"factors_wrong\""},
          std::string{"\"status\":\"204\""}, std::string{"\"hashes\":\"1\""}, std::string{"\"ms\":"}})
        EXPECT_EQ(log.find(said) == std::string::npos, said.ends_with("204\"")) << said << "\n" << log;
    EXPECT_EQ(std::ranges::count(log, '\n'), 8);
}

TEST(Log, SaysWhyWhenItIsOurs) {
    World world;
    world.sam.at_describe = [] { return Result<void>{Error{Errc::token_away, "C_Login"}}; };
    const auto log = log_of([&] { EXPECT_EQ(world.post("credentials/info", ask_info).status, 503U); });
    EXPECT_NE(log.find("\"error\":\"token_away\""), std::string::npos);
    EXPECT_NE(log.find("C_Login"), std::string::npos);
}

TEST(Log, APathThatIsNotOursIsCutShort) {
    World world;
    const auto log = log_of([&] { world.send(request_to(world, "POST", "/" + std::string(2000, 'x'))); });
    EXPECT_LT(log.size(), 600U);
}

}  // namespace
}  // namespace qscd::gateway
