#include <gtest/gtest.h>

#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

const std::string sha256_oid = R"("hashAlgorithmOID":"2.16.840.1.101.3.4.2.1")";
const std::string good_factors = R"("authData":[{"id":"PIN","value":"1234"},{"id":"TOTP","value":"123456"}])";

std::string body(const CredentialId& id, const std::string& more) {
    return R"({"credentialID":")" + id.hex() + "\"," + more + "}";
}
std::string hashes(std::initializer_list<std::string> each) {
    std::string out;
    for (const auto& one : each) out += (out.empty() ? "\"" : ",\"") + one + "\"";
    return "\"hashes\":[" + out + "]";
}
const std::string one_hash = hashes({base64_hash()});

TEST(Authorize, ForwardsWhatWasAskedAndAnswersTheSad) {
    World world;
    const auto response = world.post(
        "credentials/authorize",
        body(annas_app, R"("numSignatures":2,)" + hashes({base64_hash('b'), base64_hash('a')}) + "," + sha256_oid +
                            "," + good_factors + R"(,"description":"Two contracts")"));
    ASSERT_EQ(response.status, 200U) << response.body;
    EXPECT_EQ(response.body, R"({"SAD":")" + to_base64url(view_of("\xff\xfe the sad token, 32 bytes of it")) +
                                 R"(","expiresIn":120})");
    ASSERT_EQ(world.sam.authorised.size(), 1U);
    const auto& asked = world.sam.authorised[0];
    EXPECT_EQ(asked.client(), "acme");
    EXPECT_EQ(asked.credential(), text_of(annas_app.bytes()));
    EXPECT_EQ(asked.hash_algorithm(), 1U);
    EXPECT_EQ(asked.hashes_size(), 2);
    EXPECT_EQ(asked.hashes(0), std::string(32, 'b'));
    ASSERT_EQ(asked.factors_size(), 2);
    EXPECT_EQ(asked.factors(0).id(), "PIN");
    EXPECT_EQ(asked.factors(0).value(), "1234");
    EXPECT_EQ(asked.factors(1).value(), "123456");
}

TEST(Authorize, WhatTheFactorsAreWorthTheSamSays) {
    for (const auto* factors :
         {R"("authData":[])", R"("authData":[{"id":"PIN"}])", R"("authData":[{"id":"RETINA","value":"x"}])",
          R"("authData":[{"id":"PIN","value":"1"},{"id":"PIN","value":"2"}])"}) {
        World world;
        world.sam.at_authorise = [] { return Result<void>{Error{Errc::factors_wrong}}; };
        const auto response = world.post(
            "credentials/authorize",
            body(annas_app, R"("numSignatures":1,)" + one_hash + "," + sha256_oid + "," + factors));
        EXPECT_EQ(error_in(response), "invalid_authentication_data");
        EXPECT_EQ(world.sam.authorised.size(), 1U);
    }
}

TEST(Authorize, WrongParametersHaveTheirRows) {
    const std::string count = R"("numSignatures":1,)", rest = "," + sha256_oid + "," + good_factors;
    const std::string long_id = R"("authData":[{"id":")" + std::string(33, 'x') + R"(","value":"1"}])";
    const std::string long_value = R"("authData":[{"id":"PIN","value":")" + std::string(65, '1') + R"("}])";
    std::string many, nine;
    for (int i = 0; i < 101; ++i) many += (i == 0 ? "\"" : ",\"") + base64_hash() + "\"";
    for (int i = 0; i < 9; ++i) nine += std::string{i == 0 ? "" : ","} + R"({"id":"PIN","value":"1"})";
    const std::pair<std::string, const char*> cases[] = {
        {one_hash + rest, "Missing (or invalid type) integer parameter numSignatures"},
        {R"("numSignatures":"1",)" + one_hash + rest, "Missing (or invalid type) integer parameter numSignatures"},
        {R"("numSignatures":1.0,)" + one_hash + rest, "Missing (or invalid type) integer parameter numSignatures"},
        {R"("numSignatures":0,)" + one_hash + rest, "Invalid value for parameter numSignatures"},
        {R"("numSignatures":-1,)" + one_hash + rest, "Invalid value for parameter numSignatures"},
        {R"("numSignatures":4,)" + one_hash + rest, "Numbers of signatures is too high"},
        {R"("numSignatures":2,)" + one_hash + rest, "Invalid value for parameter numSignatures"},
        {count + hashes({base64_hash(), base64_hash()}) + rest, "Invalid value for parameter numSignatures"},
        {count + "\"hashes\":[" + many + "]" + rest, "Numbers of signatures is too high"},
        {count + sha256_oid + "," + good_factors, "Missing (or invalid type) array parameter hashes"},
        {count + "\"hashes\":\"x\"" + rest, "Missing (or invalid type) array parameter hashes"},
        {count + "\"hashes\":[1]" + rest, "Missing (or invalid type) array parameter hashes"},
        {count + "\"hashes\":[]" + rest, "Empty hash array"},
        {count + hashes({"!"}) + rest, "Invalid Base64 hash string parameter"},
        {count + hashes({base64_hash('a', 31)}) + rest, "Invalid digest value length"},
        {count + hashes({""}) + rest, "Invalid digest value length"},
        {count + one_hash + "," + good_factors, "Missing (or invalid type) string parameter hashAlgorithmOID"},
        {count + one_hash + R"(,"hashAlgorithmOID":"1.3.14.3.2.26",)" + good_factors,
         "Invalid parameter hashAlgorithmOID"},
        {count + one_hash + R"(,"hashAlgorithmOID":"2.16.840.1.101.3.4.2.2",)" + good_factors,
         "Invalid digest value length"},
        {count + one_hash + "," + sha256_oid, "Missing (or invalid type) array parameter authData"},
        {count + one_hash + "," + sha256_oid + R"(,"authData":{"id":"PIN"})",
         "Missing (or invalid type) array parameter authData"},
        {count + one_hash + "," + sha256_oid + R"(,"authData":["1234"])",
         "Missing (or invalid type) array parameter authData"},
        {count + one_hash + "," + sha256_oid + R"(,"authData":[{"value":"1"}])", "Invalid parameter authData"},
        {count + one_hash + "," + sha256_oid + R"(,"authData":[{"id":"PIN","value":1234}])",
         "Invalid parameter authData"},
        {count + one_hash + "," + sha256_oid + "," + long_id, "Invalid parameter authData"},
        {count + one_hash + "," + sha256_oid + "," + long_value, "Invalid parameter authData"},
        {count + one_hash + "," + sha256_oid + R"(,"authData":[)" + nine + "]", "Invalid parameter authData"},
        {count + one_hash + rest + R"(,"description":")" + std::string(501, 'x') + "\"",
         "Invalid parameter description"},
    };
    World world;
    for (const auto& [more, description] : cases) {
        const auto response = world.post("credentials/authorize", body(annas_app, more));
        EXPECT_EQ(response.status, 400U) << more;
        EXPECT_EQ(error_in(response), "invalid_request") << more;
        EXPECT_EQ(description_in(response), description) << more;
    }
    EXPECT_TRUE(world.sam.authorised.empty());
}

TEST(Authorize, TheSamsRefusalsKeepTheirRows) {
    const std::pair<Errc, const char*> cases[] = {
        {Errc::credential_locked, "Credential locked"},
        {Errc::credential_disabled, "The credential identified by credentialID is disabled"},
        {Errc::certificate_expired, "Signing certificate is expired"},
        {Errc::factors_wrong, "The authentication data is invalid"},
        {Errc::access_denied, "The user, authorization server or remote service denied the request."},
    };
    for (const auto& [code, description] : cases) {
        World world;
        world.sam.at_authorise = [answer = code] { return Result<void>{Error{answer}}; };
        const auto response = world.post(
            "credentials/authorize",
            body(annas_app, R"("numSignatures":1,)" + one_hash + "," + sha256_oid + "," + good_factors));
        EXPECT_EQ(response.status, 400U);
        EXPECT_EQ(description_in(response), description);
    }
}

TEST(Authorize, ExplicitOnAPageCredentialIsTheSamsToRefuse) {
    World world;
    world.sam.at_authorise = [] { return Result<void>{Error{Errc::access_denied}}; };
    const auto response = world.post(
        "credentials/authorize",
        body(annas_page, R"("numSignatures":1,)" + one_hash + "," + sha256_oid + "," + good_factors));
    EXPECT_EQ(error_in(response), "access_denied");
    EXPECT_EQ(world.sam.authorised.size(), 1U);
}

TEST(GetChallenge, SendsACodeForTheseHashes) {
    World world;
    const auto response = world.post(
        "credentials/getChallenge",
        body(annas_sms, R"("authObjectID":"SMS","numSignatures":1,)" + one_hash + "," + sha256_oid));
    EXPECT_EQ(response.status, 204U);
    EXPECT_TRUE(response.body.empty() && response.content_type.empty());
    ASSERT_EQ(world.sam.opened.size(), 1U);
    EXPECT_EQ(world.sam.opened[0].client(), "acme");
    EXPECT_EQ(world.sam.opened[0].hash_algorithm(), 1U);
    EXPECT_EQ(world.sam.opened[0].hashes(0), std::string(32, 'a'));
}

TEST(GetChallenge, WithoutHashesTheSamDecides) {
    World world;
    EXPECT_EQ(world.post("credentials/getChallenge", body(annas_sms, R"("authObjectID":"SMS")")).status, 204U);
    EXPECT_EQ(world.sam.opened.at(0).hash_algorithm(), 0U);
    EXPECT_EQ(world.sam.opened.at(0).hashes_size(), 0);
    world.sam.at_open = [] { return Result<void>{Error{Errc::access_denied}}; };
    EXPECT_EQ(error_in(world.post("credentials/getChallenge", body(annas_sms, R"("authObjectID":"SMS")"))),
              "access_denied");
    world.sam.at_open = [] { return Result<void>{Error{Errc::too_many_requests}}; };
    EXPECT_EQ(world.post("credentials/getChallenge", body(annas_sms, R"("authObjectID":"SMS")")).status, 429U);
}

TEST(GetChallenge, WrongParametersHaveTheirRows) {
    const std::string sms = R"("authObjectID":"SMS",)";
    const std::tuple<CredentialId, std::string, const char*> cases[] = {
        {annas_sms, R"("x":1)", "Missing (or invalid type) string parameter authObjectID"},
        {annas_sms, R"("authObjectID":1)", "Missing (or invalid type) string parameter authObjectID"},
        {annas_sms, R"("authObjectID":"PIN")", "Invalid parameter authObjectID"},
        {annas_sms, R"("authObjectID":"sms")", "Invalid parameter authObjectID"},
        {annas_app, R"("authObjectID":"SMS")", "Invalid parameter authObjectID"},
        {annas_sms, sms + R"("numSignatures":0)", "Invalid value for parameter numSignatures"},
        {annas_sms, sms + R"("numSignatures":101)", "Numbers of signatures is too high"},
        {annas_sms, sms + R"("numSignatures":2,)" + one_hash + "," + sha256_oid,
         "Invalid value for parameter numSignatures"},
        {annas_sms, sms + one_hash, "Missing (or invalid type) string parameter hashAlgorithmOID"},
        {annas_sms, sms + R"("hashes":[],)" + sha256_oid, "Empty hash array"},
        {annas_sms, sms + R"("hashes":7,)" + sha256_oid, "Missing (or invalid type) array parameter hashes"},
        {annas_sms, sms + hashes({base64_hash('a', 64)}) + "," + sha256_oid, "Invalid digest value length"},
    };
    World world;
    for (const auto& [id, more, description] : cases) {
        const auto response = world.post("credentials/getChallenge", body(id, more));
        EXPECT_EQ(response.status, 400U) << more;
        EXPECT_EQ(description_in(response), description) << more;
    }
    EXPECT_TRUE(world.sam.opened.empty());
}

}  // namespace
}  // namespace qscd::gateway
