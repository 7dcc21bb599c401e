#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

std::string info_of(const CredentialId& id, const std::string& more = "") {
    return R"({"credentialID":")" + id.hex() + "\"" + more + "}";
}
std::string list_of(const std::string& user, const std::string& more = "") {
    return R"({"userID":")" + user + "\"" + more + "}";
}

std::string member(const json::Object& object, const char* name) {
    return boost::json::serialize(object.members().at(name));
}
std::vector<std::string> names_in(const json::Object& object) {
    std::vector<std::string> out;
    for (const auto& each : object.members()) out.emplace_back(each.key());
    return out;
}
using Names = std::vector<std::string>;

TEST(CredentialsInfo, SaysExactlyThisOfAnEllipticKeyWithAnApp) {
    World world;
    const auto info = object_in(world.post(
        "credentials/info", info_of(annas_app, R"(,"certificates":"none","certInfo":true,"authInfo":true)")));
    EXPECT_EQ(names_in(info),
              (Names{"description", "signatureQualifier", "key", "cert", "auth", "SCAL", "multisign", "lang"}));
    EXPECT_EQ(member(info, "signatureQualifier"), R"("eu_eidas_aes")");
    EXPECT_EQ(
        member(info, "key"),
        R"({"status":"enabled","algo":["1.2.840.10045.2.1","1.2.840.10045.4.3.2","1.2.840.10045.4.3.3","1.2.840.10045.4.3.4"],)"
        R"("len":256,"curve":"1.2.840.10045.3.1.7"})");
    EXPECT_EQ(member(info, "cert"), R"({"status":"valid","issuerDN":"CN=Issuing,O=TSP,C=DE","serialNumber":"0A1B2C3D",)"
                                    "\"subjectDN\":\"serialNumber=A1,CN=Änne \\\\\\\"A\\\\\\\" Example,C=DE\","
                                    R"("validFrom":"20261119120000Z","validTo":"20261121120000Z"})");
    EXPECT_EQ(
        member(info, "auth"),
        R"({"mode":"explicit","expression":"PIN AND TOTP","objects":[{"type":"Password","id":"PIN","format":"N","label":"PIN"},)"
        R"({"type":"Password","id":"TOTP","format":"N","label":"Code of the authenticator app","generator":"totp"}]})");
    EXPECT_EQ(member(info, "SCAL"), R"("2")");
    EXPECT_EQ(member(info, "multisign"), "3");
    EXPECT_EQ(member(info, "lang"), R"("en")");
}

TEST(CredentialsInfo, SaysExactlyThisOfAnRsaKeyWithSms) {
    World world;
    const auto info = object_in(
        world.post("credentials/info", info_of(annas_sms, R"(,"certificates":"none","authInfo":true)")));
    EXPECT_EQ(member(info, "signatureQualifier"), R"("eu_eidas_aesqc")");
    EXPECT_EQ(member(info, "key"),
              R"({"status":"enabled","algo":["1.2.840.113549.1.1.1","1.2.840.113549.1.1.11","1.2.840.113549.1.1.12",)"
              R"("1.2.840.113549.1.1.13","1.2.840.113549.1.1.10"],"len":3072})");
    EXPECT_EQ(member(info, "cert"), R"({"status":"valid"})");
    EXPECT_EQ(
        member(info, "auth"),
        R"({"mode":"explicit","expression":"PIN AND SMS","objects":[{"type":"Password","id":"PIN","format":"N","label":"PIN"},)"
        R"({"type":"ChallengeResponse","id":"SMS","format":"N","label":"Code sent by SMS"}]})");
}

TEST(CredentialsInfo, AChoiceOfHeldFactorsIsExactlyOneOfThem) {
    World world;
    auto& credential = world.sam.credentials.at(annas_app);
    credential.set_profile("either");
    credential.set_key_kind(static_cast<unsigned>(KeyKind::rsa4096));
    const auto info = object_in(world.post("credentials/info", info_of(annas_app, R"(,"authInfo":true)")));
    const auto auth = info.object("auth").value();
    EXPECT_EQ(member(auth, "expression"), R"x("PIN AND (TOTP XOR SMS)")x");
    EXPECT_EQ(auth.objects("objects", 10).value().size(), 3U);
}

TEST(CredentialsInfo, WithoutExplicitModeThePageCollects) {
    World world;
    const auto info = object_in(world.post("credentials/info", info_of(annas_page, R"(,"authInfo":true)")));
    EXPECT_EQ(member(info, "auth"), R"({"mode":"oauth2code","objects":[]})");
    EXPECT_EQ(member(info, "signatureQualifier"), R"("eu_eidas_qes")");
}

TEST(CredentialsInfo, AnswersExactlyTheFieldsAskedFor) {
    World world;
    const std::pair<const char*, std::size_t> certificates[] = {{"none", 0}, {"single", 1}, {"chain", 3}};
    for (const auto& [word, count] : certificates)
        for (const bool certificate_info : {false, true})
            for (const bool authorisation_info : {false, true}) {
                const auto response = world.post(
                    "credentials/info",
                    info_of(annas_app, std::string{R"(,"certificates":")"} + word + R"(","certInfo":)" +
                                           (certificate_info ? "true" : "false") + R"(,"authInfo":)" +
                                           (authorisation_info ? "true" : "false")));
                const auto info = object_in(response);
                const auto cert = info.object("cert").value(), auth = info.object("auth").value();
                Names expected{"status"};
                if (count > 0) expected.push_back("certificates");
                if (certificate_info)
                    expected.insert(expected.end(), {"issuerDN", "serialNumber", "subjectDN", "validFrom", "validTo"});
                EXPECT_EQ(names_in(cert), expected);
                if (count > 0) {
                    EXPECT_EQ(cert.strings("certificates", 10, 100'000).value().size(), count);
                }
                EXPECT_EQ(names_in(auth),
                          authorisation_info ? (Names{"mode", "expression", "objects"}) : Names{"mode"});
            }
}

TEST(CredentialsInfo, TheChainBeginsWithTheSignerAndEndsWithTheRoot) {
    World world;
    const auto info = object_in(world.post("credentials/info", info_of(annas_app, R"(,"certificates":"chain")")));
    const auto chain = info.object("cert").value().strings("certificates", 10, 100'000).value();
    ASSERT_EQ(chain.size(), 3U);
    EXPECT_EQ(chain[0], to_base64(view_of(world.sam.credentials.at(annas_app).certificate())));
    EXPECT_EQ(chain[1], to_base64(der_of(*pki().issuing, i2d_X509)));
    EXPECT_EQ(chain[2], to_base64(der_of(*pki().root, i2d_X509)));
}

TEST(CredentialsInfo, SaysWhatIsNoLongerGood) {
    World world;
    world.sam.credentials.at(annas_sms).set_status(pb::CredentialDescription::DISABLED);
    const auto disabled = object_in(world.post("credentials/info", info_of(annas_sms)));
    EXPECT_EQ(disabled.object("key").value().string("status", 20).value(), "disabled");
    EXPECT_EQ(disabled.object("cert").value().string("status", 20).value(), "valid");
    world.clock.advance(24h);
    world.bearer = world.token_of("acme");
    EXPECT_EQ(object_in(world.post("credentials/info", info_of(annas_app)))
                  .object("cert")
                  .value()
                  .string("status", 20)
                  .value(),
              "valid");
    world.clock.advance(1s);
    const auto expired = object_in(world.post("credentials/info", info_of(annas_app)));
    EXPECT_EQ(expired.object("key").value().string("status", 20).value(), "disabled");
    EXPECT_EQ(expired.object("cert").value().string("status", 20).value(), "expired");
}

TEST(Credentials, WrongParametersHaveTheirRows) {
    World world;
    const auto with = [&](const char* more) { return info_of(annas_app, more); };
    const std::tuple<const char*, std::string, const char*> cases[] = {
        {"credentials/info", "{}", "Missing (or invalid type) string parameter credentialID"},
        {"credentials/info", R"({"credentialID":null})", "Missing (or invalid type) string parameter credentialID"},
        {"credentials/info", R"({"credentialID":7})", "Missing (or invalid type) string parameter credentialID"},
        {"credentials/info", R"({"credentialID":")" + std::string(1000, 'a') + "\"}", "Invalid parameter credentialID"},
        {"credentials/info", with(R"(,"certificates":"all")"), "Invalid parameter certificates"},
        {"credentials/info", with(R"(,"certificates":"")"), "Invalid parameter certificates"},
        {"credentials/info", with(R"(,"certificates":1)"), "Invalid parameter certificates"},
        {"credentials/info", with(R"(,"certificates":"a very long word indeed")"), "Invalid parameter certificates"},
        {"credentials/info", with(R"(,"certInfo":"true")"), "Missing (or invalid type) boolean parameter certInfo"},
        {"credentials/info", with(R"(,"authInfo":1)"), "Missing (or invalid type) boolean parameter authInfo"},
        {"credentials/info", with(R"(,"lang":1)"), "Missing (or invalid type) string parameter lang"},
        {"credentials/list", "{}", "Invalid parameter userID"},
        {"credentials/list", R"({"userID":1})", "Invalid parameter userID"},
        {"credentials/list", R"({"userID":""})", "Invalid parameter userID"},
        {"credentials/list", R"({"userID":null})", "Invalid parameter userID"},
        {"credentials/list", list_of(std::string(256, 'a')), "Invalid parameter userID"},
        {"credentials/list", list_of("nobody"), "Invalid parameter userID"},
        {"credentials/list", list_of("boris"), "Invalid parameter userID"},
        {"credentials/list", list_of("anna", R"(,"certificates":"all")"), "Invalid parameter certificates"},
        {"credentials/list", list_of("anna", R"(,"onlyValid":1)"),
         "Missing (or invalid type) boolean parameter onlyValid"},
    };
    for (const auto& [method, body, description] : cases) {
        const auto response = world.post(method, body);
        EXPECT_EQ(response.status, 400U) << body;
        EXPECT_EQ(error_in(response), "invalid_request") << body;
        EXPECT_EQ(description_in(response), description) << body;
    }
}

// The four that are one: unknown, malformed, another signer's, still being enrolled.
TEST(Credentials, WhatIsNotTheClientsIsOneAnswerByteForByte) {
    World world;
    auto upper = annas_app.hex();
    std::ranges::transform(upper, upper.begin(),
                           [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; });
    const std::string ids[] = {nobodys.hex(),          boriss.hex(), annas_new.hex(), "x", "", upper,
                               annas_app.hex() + "00", "a b"};
    const auto hash = base64_hash();
    for (const auto* method :
         {"credentials/info", "credentials/getChallenge", "credentials/authorize", "signatures/signHash"}) {
        for (const auto* more :
             {"", R"(,"authObjectID":"SMS","numSignatures":1,"authData":[],"signAlgo":"1.2.840.10045.4.3.2")"}) {
            for (const auto& id : ids) {
                auto response = world.post(
                    method, R"({"SAD":"YWJj","credentialID":")" + id + "\"" + more + R"(,"hashes":[")" + hash + "\"]}");
                EXPECT_EQ(response.status, 400U);
                EXPECT_EQ(response.body,
                          R"({"error":"invalid_request","error_description":"Invalid parameter credentialID"})")
                    << method << id;
                EXPECT_EQ(
                    std::erase_if(response.headers, [](const auto& each) { return each.first == "X-Request-Id"; }), 1U)
                    << "new for each request";
                EXPECT_EQ(response.headers, (net::Headers{{"Cache-Control", "no-store"}}));
            }
        }
    }
    EXPECT_TRUE(world.sam.opened.empty() && world.sam.authorised.empty() && world.sam.signed_hashes.empty());
}

TEST(CredentialsList, NamesTheFinishedOnesOfThisSigner) {
    World world;
    const auto response = world.post("credentials/list", list_of("anna", R"(,"maxResults":1,"pageToken":"x")"));
    EXPECT_EQ(response.body, R"({"credentialIDs":[")" + annas_app.hex() + R"(",")" + annas_sms.hex() + R"(",")" +
                                 annas_page.hex() + "\"]}");
}

TEST(CredentialsList, DetailsAreThoseOfInfo) {
    World world;
    const auto list = object_in(world.post(
        "credentials/list", list_of("anna", R"(,"credentialInfo":true,"certInfo":true,"certificates":"chain")")));
    const auto infos = list.objects("credentialInfos", 10).value();
    ASSERT_EQ(infos.size(), 3U);
    const auto single = object_in(
        world.post("credentials/info", info_of(annas_app, R"(,"certInfo":true,"certificates":"chain")")));
    auto expected = single.members();
    expected.erase("lang");
    expected["credentialID"] = annas_app.hex();
    EXPECT_EQ(boost::json::serialize(infos[0].members()), boost::json::serialize(expected));
    EXPECT_FALSE(list.has("onlyValid"));
}

TEST(CredentialsList, DetailSwitchesCountOnlyWithDetails) {
    World world;
    EXPECT_EQ(names_in(object_in(
                  world.post("credentials/list", list_of("anna", R"(,"certInfo":true,"certificates":"chain")")))),
              Names{"credentialIDs"});
}

TEST(CredentialsList, OnlyValidIsHonouredAndSaid) {
    World world;
    world.sam.credentials.at(annas_sms).set_status(pb::CredentialDescription::DISABLED);
    world.sam.credentials.at(annas_page)
        .set_certificate(string_of(der_of(*pki().signer("Old", noon - 48h, noon - 1s), i2d_X509)));
    EXPECT_EQ(world.post("credentials/list", list_of("anna", R"(,"onlyValid":true)")).body,
              R"({"credentialIDs":[")" + annas_app.hex() + R"("],"onlyValid":true})");
    const auto all = object_in(world.post("credentials/list", list_of("anna", R"(,"onlyValid":false)")));
    EXPECT_EQ(all.strings("credentialIDs", 10, 40).value().size(), 3U);
    EXPECT_FALSE(all.has("onlyValid"));
}

TEST(CredentialsList, ShowsNothingOfAnotherSignerWhateverSamdLists) {
    World world;
    world.sam.credentials.at(annas_sms).set_signer(string_of(boris.bytes()));
    auto& strange = world.sam.credentials.at(boriss);
    strange.set_signer(string_of(anna.bytes()));  // listed as hers; what describes it says otherwise
    world.sam.at_list = [&] {
        strange.set_signer(string_of(anna.bytes()));
        return Result<void>{success()};
    };
    world.sam.at_describe = [&] {
        strange.set_signer(string_of(boris.bytes()));
        return Result<void>{success()};
    };
    EXPECT_EQ(world.post("credentials/list", list_of("anna", R"(,"onlyValid":true)")).body,
              R"({"credentialIDs":[")" + annas_app.hex() + R"(",")" + annas_page.hex() + R"("],"onlyValid":true})");
}

TEST(CredentialsList, ANewAccountIsFoundAndAFoundOneIsNotAskedAgain) {
    World world;
    EXPECT_EQ(world.post("credentials/list", list_of("carla")).status, 400U);
    world.registration.signers.emplace("carla", anna);
    EXPECT_EQ(world.post("credentials/list", list_of("carla")).status, 200U);
    const auto asked = world.registration.finds;
    EXPECT_EQ(world.post("credentials/list", list_of("carla")).status, 200U);
    EXPECT_EQ(world.registration.finds, asked);
}

TEST(Credentials, AnEnrolmentThatFinishesAppears) {
    World world;
    EXPECT_EQ(world.post("credentials/info", info_of(annas_new)).status, 400U);
    auto& credential = world.sam.credentials.at(annas_new);
    credential.set_status(pb::CredentialDescription::ACTIVE);
    credential.set_certificate(world.sam.credentials.at(annas_app).certificate());
    EXPECT_EQ(world.post("credentials/info", info_of(annas_new)).status, 200U);
}

TEST(Credentials, WhatIsAwayIsSaidToBeAway) {
    for (const auto code : {Errc::service_away, Errc::token_away, Errc::store_away}) {
        World world;
        world.registration.at_find = [&] { return Result<void>{Error{code}}; };
        world.sam.at_describe = world.registration.at_find;
        EXPECT_EQ(world.post("credentials/list", list_of("anna")).status, 503U);
        EXPECT_EQ(error_in(world.post("credentials/info", info_of(annas_app))), "temporarily_unavailable");
    }
}

TEST(Credentials, ACertificateThatCannotBeReadIsOurFault) {
    World world;
    world.sam.credentials.at(annas_app).set_certificate("x");
    EXPECT_EQ(world.post("credentials/info", info_of(annas_app)).status, 500U);
}

}  // namespace
}  // namespace qscd::gateway
