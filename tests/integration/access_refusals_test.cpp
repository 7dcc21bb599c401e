// Access tokens, paths and verbs over real HTTPS: refused before anything else is read.
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "base/random.hpp"
#include "tests/integration/refusal.hpp"

namespace qscd::integration {
namespace {

namespace bj = boost::json;

struct BearerCase {
    std::string name;
    std::function<net::Headers(const Portal&)> headers;
    Refusal refusal;
};
std::ostream& operator<<(std::ostream& out, const BearerCase& each) { return out << each.name; }
class BearerRefusal : public testing::TestWithParam<BearerCase> {};

TEST_P(BearerRefusal, ComesBeforeTheBodyIsRead) {
    auto& cast = Stage::cast();
    for (const char* method : {"credentials/list", "credentials/info", "credentials/authorize",
                               "credentials/getChallenge", "signatures/signHash"}) {
        net::Headers headers = GetParam().headers(cast.portal_1);
        headers.emplace_back("Content-Type", "application/json");
        const Evidence evidence{cast.deployment};
        const auto answer = answer_of(cast.deployment.https("POST", std::string{"/csc/v2/"} + method, headers, "{"));
        expect_refusal(evidence, answer, GetParam().refusal);
        const bool challenged = std::ranges::any_of(answer.headers, [](const auto& header) {
            return header.first == "www-authenticate" && header.second == "Bearer";
        });
        EXPECT_EQ(challenged, answer.status == 401);
    }
}
net::Headers authorization(std::string value) { return {{"Authorization", std::move(value)}}; }
Refusal header_refusal(const char* reason) {
    return {400, "invalid_request", "Malformed authorization header", reason, false, ""};
}
const Refusal token_refusal{
    401, "invalid_token", "The token provided is not a valid OAuth access or refresh token.", "bearer_invalid", false,
    ""};
INSTANTIATE_TEST_SUITE_P(
    All, BearerRefusal,
    testing::Values(
        BearerCase{"Absent", [](const Portal&) { return net::Headers{}; }, header_refusal("bearer_missing")},
        BearerCase{"Empty", [](const Portal&) { return authorization(""); }, header_refusal("bearer_malformed")},
        BearerCase{"OtherScheme", [](const Portal& portal) { return authorization("Basic " + portal.token()); },
                   header_refusal("bearer_malformed")},
        BearerCase{"SchemeAlone", [](const Portal&) { return authorization("Bearer"); },
                   header_refusal("bearer_malformed")},
        BearerCase{"NoScheme", [](const Portal& portal) { return authorization(portal.token()); },
                   header_refusal("bearer_malformed")},
        BearerCase{"TwoTokens", [](const Portal& portal) { return authorization("Bearer " + portal.token() + " x"); },
                   header_refusal("bearer_malformed")},
        BearerCase{"CommaInToken", [](const Portal&) { return authorization("Bearer a,b"); },
                   header_refusal("bearer_malformed")},
        BearerCase{"Short", [](const Portal&) { return authorization("Bearer abc"); }, token_refusal},
        BearerCase{"Unknown", [](const Portal&) { return authorization("Bearer " + to_base64url(random_bytes(32))); },
                   token_refusal},
        BearerCase{"TheClientsSecret", [](const Portal& portal) { return authorization("Bearer " + portal.secret()); },
                   token_refusal},
        BearerCase{"OneLetterOff",
                   [](const Portal& portal) {
                       auto token = portal.token();
                       token[5] = token[5] == 'A' ? 'B' : 'A';
                       return authorization("Bearer " + token);
                   },
                   token_refusal},
        BearerCase{"Expired",
                   [](const Portal& portal) {
                       const auto token = portal.token_for(std::chrono::seconds{1});
                       Stage::cast().deployment.advance(std::chrono::seconds{2});
                       return authorization("Bearer " + token);
                   },
                   {401, "expired_token", "The access or refresh token is expired or has been revoked.",
                    "bearer_expired", false, ""}}),
    name_of_case<testing::TestParamInfo<BearerCase>>);

struct TokenCase {
    std::string name;
    std::string form;  // %s: the secret of portal-1
    Refusal refusal;
    net::Headers headers = {};
};
std::ostream& operator<<(std::ostream& out, const TokenCase& each) { return out << each.name; }
class TokenRefusal : public testing::TestWithParam<TokenCase> {};

TEST_P(TokenRefusal, GivesNoToken) {
    auto& cast = Stage::cast();
    auto form = GetParam().form;
    if (const auto at = form.find("%s"); at != std::string::npos) form.replace(at, 2, cast.portal_1.secret());
    const Evidence evidence{cast.deployment};
    expect_refusal(evidence, cast.portal_1.get_token(form, GetParam().headers), GetParam().refusal);
}
Refusal of(Refusal refusal, std::string client) {
    refusal.client = std::move(client);
    return refusal;
}
Refusal form_missing(const std::string& name) {
    return of(invalid_request("Missing parameter " + name, "oauth_parameter_missing"), "");
}
INSTANTIATE_TEST_SUITE_P(
    All, TokenRefusal,
    testing::Values(TokenCase{"Empty", "", form_missing("client_id")},
                    TokenCase{"NoClient", "grant_type=client_credentials&client_secret=%s", form_missing("client_id")},
                    TokenCase{"NoGrant", "client_id=portal-1&client_secret=%s", form_missing("grant_type")},
                    TokenCase{"UnknownGrant", "grant_type=password&client_id=portal-1&client_secret=%s",
                              of(invalid("grant_type"), "")},
                    TokenCase{"CodeGrant", "grant_type=authorization_code&code=1&client_id=portal-1&client_secret=%s",
                              of(invalid("grant_type"), "")},
                    TokenCase{"UnknownClient", "grant_type=client_credentials&client_id=portal-9&client_secret=%s",
                              of(invalid("client_id"), "portal-9")},
                    TokenCase{
                        "NoSecret",
                        "grant_type=client_credentials&client_id=portal-1",
                        {401, "invalid_request", "Client authorization required", "client_authentication_missing"}},
                    TokenCase{"WrongSecret", "grant_type=client_credentials&client_id=portal-1&client_secret=wrong",
                              invalid("client_secret")},
                    TokenCase{"SecretOfAnother", "grant_type=client_credentials&client_id=portal-2&client_secret=%s",
                              of(invalid("client_secret"), "portal-2")},
                    TokenCase{"OtherScope",
                              "grant_type=client_credentials&client_id=portal-1&client_secret=%s&scope=credential",
                              {400, "invalid_scope", "The requested scope is invalid, unknown, or malformed.",
                               "parameter_invalid"}},
                    TokenCase{"ParameterTwice",
                              "grant_type=client_credentials&client_id=portal-1&client_id=portal-1&client_secret=%s",
                              of(malformed(), "")},
                    TokenCase{"BadEscape", "grant_type=client_credentials&client_id=portal-1&client_secret=%zz",
                              of(malformed(), "")},
                    TokenCase{"Json", "{}", of(malformed(), ""), {{"Content-Type", "application/json"}}},
                    TokenCase{"TwoAuthentications",
                              "grant_type=client_credentials&client_id=portal-1&client_secret=%s",
                              of(malformed(), ""),
                              {{"Authorization", "Basic cG9ydGFsLTE6eA=="}}}),
    name_of_case<testing::TestParamInfo<TokenCase>>);

TEST(Token, IsGivenForTheRightSecretAndWorks) {
    auto& cast = Stage::cast();
    const auto answer = cast.portal_1.get_token("grant_type=client_credentials&client_id=portal-1&client_secret=" +
                                                cast.portal_1.secret());
    ASSERT_EQ(answer.status, 200U) << answer;
    EXPECT_EQ(
        cast.portal_1
            .call("credentials/list", {{"userID", "anna"}}, authorization("Bearer " + answer.text("access_token")))
            .status,
        200U);
}

// --- paths and verbs ---

struct PathCase {
    std::string name, verb, path;
    Refusal refusal;
    std::string allow = {};
};
std::ostream& operator<<(std::ostream& out, const PathCase& each) { return out << each.name; }
class PathRefusal : public testing::TestWithParam<PathCase> {};

TEST_P(PathRefusal, IsSaidWithoutLookingFurther) {
    auto& cast = Stage::cast();
    const Evidence evidence{cast.deployment};
    const auto answer = answer_of(cast.deployment.https(
        GetParam().verb, GetParam().path,
        {{"Content-Type", "application/json"}, {"Authorization", "Bearer " + cast.portal_1.token()}},
        GetParam().verb == "POST" ? "{}" : ""));
    expect_refusal(evidence, answer, GetParam().refusal);
    const auto allow = std::ranges::find(answer.headers, "allow", &std::pair<std::string, std::string>::first);
    EXPECT_EQ(allow == answer.headers.end() ? "" : allow->second, GetParam().allow);
}
const Refusal not_supported{501, "invalid_request", "The method is not supported", "not_supported", false, ""};
const Refusal wrong_verb{
    405, "invalid_request", "The HTTP method is not allowed for this path", "method_not_allowed", false, ""};
const Refusal unknown_path{404, "invalid_request", "Unknown path", "not_found", false, ""};
INSTANTIATE_TEST_SUITE_P(
    All, PathRefusal,
    testing::Values(PathCase{"SignDoc", "POST", "/csc/v2/signatures/signDoc", not_supported},
                    PathCase{"ExtendTransaction", "POST", "/csc/v2/credentials/extendTransaction", not_supported},
                    PathCase{"Timestamp", "POST", "/csc/v2/signatures/timestamp", not_supported},
                    PathCase{"Login", "POST", "/csc/v2/auth/login", not_supported},
                    PathCase{"NoSuchMethod", "POST", "/csc/v2/signatures/forge", not_supported},
                    PathCase{"OtherCase", "POST", "/csc/v2/signatures/signhash", not_supported},
                    PathCase{"SlashBehind", "POST", "/csc/v2/signatures/signHash/", not_supported},
                    PathCase{"GetOfAMethod", "GET", "/csc/v2/signatures/signHash", wrong_verb, "POST"},
                    PathCase{"PutOfAMethod", "PUT", "/csc/v2/credentials/authorize", wrong_verb, "POST"},
                    PathCase{"DeleteOfAMethod", "DELETE", "/csc/v2/credentials/info", wrong_verb, "POST"},
                    PathCase{"PostToHealth", "POST", "/health/live", wrong_verb, "GET, HEAD"},
                    PathCase{"Elsewhere", "GET", "/admin", unknown_path},
                    PathCase{"PathUpwards", "POST", "/csc/v2/../v2/info", not_supported},
                    PathCase{"EscapedPath", "POST", "/csc/v2/%69nfo", not_supported}),
    name_of_case<testing::TestParamInfo<PathCase>>);

}  // namespace
}  // namespace qscd::integration
