#include "qscd/gateway/csc/error_catalogue.hpp"

#include <gtest/gtest.h>

#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

TEST(ErrorCatalogue, API_07_HasARowForEveryError) {
    for (auto code = 1U; code <= static_cast<unsigned>(Errc::internal); ++code)
        EXPECT_TRUE(has_row(static_cast<Errc>(code))) << name_of(static_cast<Errc>(code));
}

struct Literal {
    Error error;
    unsigned status;
    const char *code, *description;
};
const std::string table_3 =
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than "
    "once, or "
    "is otherwise malformed.";
const char* const denied = "The user, authorization server or remote service denied the request.";
const char* const unexpected =
    "The authorization server encountered an unexpected condition that prevented it from fulfilling the request.";
const char* const unavailable =
    "The authorization server is currently unable to handle the request due to a temporary overloading or maintenance "
    "of the "
    "server.";
const Literal literals[] = {
    {{Errc::body_malformed}, 400, "invalid_request", table_3.c_str()},
    {{Errc::parameter_missing, "", {"string", "SAD"}},
     400,
     "invalid_request",
     "Missing (or invalid type) string parameter SAD"},
    {{Errc::parameter_missing, "", {"integer", "numSignatures"}},
     400,
     "invalid_request",
     "Missing (or invalid type) integer parameter numSignatures"},
    {{Errc::parameter_invalid, "", {"string", "credentialID"}},
     400,
     "invalid_request",
     "Invalid parameter credentialID"},
    {{Errc::parameter_invalid, "", {"string", "scope"}},
     400,
     "invalid_scope",
     "The requested scope is invalid, unknown, or malformed."},
    {{Errc::oauth_parameter_missing, "", {"string", "client_id"}},
     400,
     "invalid_request",
     "Missing parameter client_id"},
    {{Errc::hashes_empty}, 400, "invalid_request", "Empty hash array"},
    {{Errc::hash_not_base64}, 400, "invalid_request", "Invalid Base64 hash string parameter"},
    {{Errc::hash_wrong_length}, 400, "invalid_request", "Invalid digest value length"},
    {{Errc::signature_count_invalid}, 400, "invalid_request", "Invalid value for parameter numSignatures"},
    {{Errc::too_many_signatures}, 400, "invalid_request", "Numbers of signatures is too high"},
    {{Errc::factors_wrong}, 400, "invalid_authentication_data", "The authentication data is invalid"},
    {{Errc::credential_locked}, 400, "invalid_request", "Credential locked"},
    {{Errc::credential_disabled}, 400, "invalid_request", "The credential identified by credentialID is disabled"},
    {{Errc::certificate_expired}, 400, "invalid_request", "Signing certificate is expired"},
    {{Errc::sad_expired}, 400, "invalid_request", "SAD expired"},
    {{Errc::hash_not_authorised}, 400, "invalid_request", "Hash is not authorized by the SAD"},
    {{Errc::bearer_malformed}, 400, "invalid_request", "Malformed authorization header"},
    {{Errc::bearer_missing}, 400, "invalid_request", "Malformed authorization header"},
    {{Errc::bearer_invalid}, 401, "invalid_token", "The token provided is not a valid OAuth access or refresh token."},
    {{Errc::bearer_expired}, 401, "expired_token", "The access or refresh token is expired or has been revoked."},
    {{Errc::client_authentication_missing}, 401, "invalid_request", "Client authorization required"},
    {{Errc::too_many_requests}, 429, "temporarily_unavailable", unavailable},
    {{Errc::not_supported}, 501, "invalid_request", "The method is not supported"},
    {{Errc::access_denied}, 400, "access_denied", denied},
    {{Errc::paper_refused}, 500, "server_error", unexpected},
    {{Errc::configuration}, 500, "server_error", unexpected},
    {{Errc::out_of_order}, 500, "server_error", unexpected},
    {{Errc::token_away}, 503, "temporarily_unavailable", unavailable},
    {{Errc::service_away}, 503, "temporarily_unavailable", unavailable},
    {{Errc::store_away}, 503, "temporarily_unavailable", unavailable},
    {{Errc::internal}, 500, "server_error", unexpected},
};

TEST(ErrorCatalogue, API_07_SaysTheLiteralsByteForByte) {
    for (const auto& literal : literals) {
        const auto what = said(literal.error);
        EXPECT_EQ(what.status, literal.status) << describe(literal.error);
        EXPECT_EQ(what.error, literal.code) << describe(literal.error);
        EXPECT_EQ(what.description, literal.description) << describe(literal.error);
    }
}

TEST(ErrorCatalogue, API_07_NeverTellsTheDetail) {
    for (auto code = 1U; code <= static_cast<unsigned>(Errc::internal); ++code) {
        const auto response = response_of({static_cast<Errc>(code), "C_Login at 10.0.0.1", {"string", "SAD"}});
        EXPECT_EQ(response.body.find("C_Login"), std::string::npos);
        EXPECT_EQ(response.content_type, "application/json");
        EXPECT_EQ(object_in(response).members().size(), 2U);
    }
}

TEST(ErrorCatalogue, AnErrorOfANewerDaemonIsOurs) { EXPECT_EQ(said({static_cast<Errc>(4711)}).status, 500U); }

TEST(ErrorCatalogue, A401SaysHowToAuthenticate) {
    EXPECT_EQ(header_of(response_of({Errc::bearer_invalid}), "WWW-Authenticate"), "Bearer");
    EXPECT_EQ(header_of(response_of({Errc::bearer_expired}), "WWW-Authenticate"), "Bearer");
    EXPECT_TRUE(header_of(response_of({Errc::client_authentication_missing}), "WWW-Authenticate"));
    EXPECT_FALSE(header_of(response_of({Errc::parameter_invalid}), "WWW-Authenticate"));
}

TEST(ErrorCatalogue, PercentSignsInANameAreNotFilledAgain) {
    EXPECT_EQ(said({Errc::parameter_invalid, "", {"string", "%t%n"}}).description, "Invalid parameter %t%n");
}

TEST(HttpRefusal, KeepsItsStatus) {
    for (const auto status : {400U, 404U, 405U, 408U, 413U, 414U, 417U, 431U, 500U, 503U, 504U, 505U}) {
        const auto response = http_refusal(status);
        EXPECT_EQ(response.status, status);
        EXPECT_FALSE(error_in(response).empty());
    }
    EXPECT_EQ(error_in(http_refusal(503)), "temporarily_unavailable");
    EXPECT_EQ(description_in(http_refusal(431)), table_3);
}

}  // namespace
}  // namespace qscd::gateway
