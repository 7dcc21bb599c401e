// Factors and credentials over real HTTPS: what a wrong or spent factor costs and tells, and what nobody but its portal sees.
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "base/random.hpp"
#include "tests/integration/refusal.hpp"

namespace qscd::integration {
namespace {

namespace bj = boost::json;

TEST(Factors, AnswerTheSameWhicheverOfThemIsWrong) {
    auto& cast = Stage::cast();
    const auto [signer, credential, portal] = cast.throw_away();
    const std::vector<Bytes> hashes{hash_numbered(1)};
    std::vector<Answer> answers;
    auto expected = from_sam(wrong_factors());
    expected.client = portal.client();
    const auto attempt = [&](const std::string& pin, const std::string& code) {
        const Evidence evidence{cast.deployment};
        answers.push_back(portal.authorise(credential.id, hashes, {pin, "TOTP", code}));
        expect_refusal(evidence, answers.back(), expected);
        EXPECT_EQ(evidence.count("factors-spent"), 1U);
    };
    attempt(Signer::wrong_pin(), signer->fresh_code());
    attempt(signer->pin(), signer->wrong_code());
    attempt(Signer::wrong_pin(), signer->wrong_code());
    attempt("123", signer->fresh_code());  // no PIN of this policy
    attempt("12ab5678", signer->fresh_code());
    attempt("", "");
    for (const auto& answer : answers) EXPECT_EQ(answer, answers.front());
}

TEST(Factors, ACodeIsGoodOnceForAllCredentialsOfItsApp) {
    auto& cast = Stage::cast();
    const auto code = cast.anna.fresh_code();
    ASSERT_EQ(cast.portal_1.authorise(cast.anna_qscd.id, {hash_numbered(1)}, {cast.anna.pin(), "TOTP", code}).status,
              200U);
    for (const auto* credential : {&cast.anna_qscd, &cast.anna_lcp}) {
        const Evidence evidence{cast.deployment};
        expect_refusal(evidence,
                       cast.portal_1.authorise(credential->id, {hash_numbered(2)}, {cast.anna.pin(), "TOTP", code}),
                       from_sam(wrong_factors()));
    }
    const auto earlier = cast.anna.code_at(cast.deployment.now() - std::chrono::seconds{30});
    EXPECT_EQ(cast.portal_1.authorise(cast.anna_qscd.id, {hash_numbered(2)}, {cast.anna.pin(), "TOTP", earlier}).error,
              "invalid_authentication_data")
        << "nor the code of a step before it";
}

TEST(Factors, ARightCodeIsSpentEvenWhenThePinIsWrong) {
    auto& cast = Stage::cast();
    const auto [signer, credential, portal] = cast.throw_away();
    const auto code = signer->fresh_code();
    EXPECT_EQ(portal.authorise(credential.id, {hash_numbered(1)}, {Signer::wrong_pin(), "TOTP", code}).status, 400U);
    const Evidence evidence{cast.deployment};
    auto expected = from_sam(wrong_factors());
    expected.client = portal.client();
    expect_refusal(evidence, portal.authorise(credential.id, {hash_numbered(1)}, {signer->pin(), "TOTP", code}),
                   expected);
    EXPECT_EQ(portal.authorise(credential.id, {hash_numbered(1)}, {signer->pin(), "TOTP", signer->fresh_code()}).status,
              200U);
}

constexpr unsigned wrong_pins_allowed = 5;  // as the policy says

TEST(Factors, BlockTheCredentialAfterThePolicysNumberOfWrongPins) {
    auto& cast = Stage::cast();
    const auto [signer, credential, portal] = cast.throw_away();
    const std::vector<Bytes> hashes{hash_numbered(1)};
    ASSERT_FALSE(portal.sad_for(*signer, credential, hashes).empty());  // restores the tries
    for (unsigned i = 0; i < wrong_pins_allowed; ++i) {
        const Evidence evidence{cast.deployment};
        EXPECT_EQ(portal.authorise(credential.id, hashes, {Signer::wrong_pin(), "TOTP", signer->fresh_code()}).error,
                  "invalid_authentication_data");
        EXPECT_EQ(evidence.count("credential-blocked"), i + 1 == wrong_pins_allowed ? 1U : 0U) << i;
    }
    const Evidence evidence{cast.deployment};
    auto expected = from_sam(invalid_request("Credential locked", "credential_locked"));
    expected.client = portal.client();
    expect_refusal(evidence, portal.authorise(credential.id, hashes, {signer->pin(), "TOTP", signer->fresh_code()}),
                   expected);
    cast.deployment.kill_daemons({"samd"});
    ASSERT_TRUE(eventually([&] { return cast.serves(); }));
    cast.deployment.advance(std::chrono::seconds{60});  // codes up to now and one step on are spent by an unclean end
    EXPECT_EQ(portal.authorise(credential.id, hashes, {signer->pin(), "TOTP", signer->fresh_code()}).description,
              "Credential locked")
        << "a restart forgives nothing";
}

TEST(Factors, WrongCodesCostNoPinTry) {
    auto& cast = Stage::cast();
    const auto [signer, credential, portal] = cast.throw_away();
    for (unsigned i = 0; i < 2 * wrong_pins_allowed; ++i) {
        EXPECT_EQ(
            portal.authorise(credential.id, {hash_numbered(1)}, {Signer::wrong_pin(), "TOTP", signer->wrong_code()})
                .error,
            "invalid_authentication_data");
        cast.deployment.advance(std::chrono::minutes{2});  // nine in ten minutes
    }
    EXPECT_EQ(portal.authorise(credential.id, {hash_numbered(1)}, {signer->pin(), "TOTP", signer->fresh_code()}).status,
              200U);
}

TEST(Factors, WrongCodesOfADayAreCountedByPortalAndCredential) {
    auto& cast = Stage::cast();
    const auto [signer, credential, portal] = cast.throw_away();
    for (unsigned i = 0; i < 15; ++i) {
        ASSERT_EQ(
            portal.authorise(credential.id, {hash_numbered(1)}, {signer->pin(), "TOTP", signer->wrong_code()}).status,
            400U);
        cast.deployment.advance(std::chrono::minutes{2});
    }
    const Evidence evidence{cast.deployment};
    Refusal expected{
        429, "temporarily_unavailable", temporarily_unavailable_text, "too_many_requests", true, portal.client()};
    expect_refusal(evidence,
                   portal.authorise(credential.id, {hash_numbered(1)}, {signer->pin(), "TOTP", signer->fresh_code()}),
                   expected);
}

TEST(Factors, AnSmsCodeIsForItsHashesItsPortalAndThreeTries) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> asked{hash_numbered(1), hash_numbered(2)}, others{hash_numbered(3)};
    const auto attempt = [&](const Portal& portal, const std::vector<Bytes>& hashes, const std::string& code) {
        const Evidence evidence{cast.deployment};
        auto expected = from_sam(wrong_factors());
        expected.client = portal.client();
        expect_refusal(evidence, portal.authorise(cast.boris_sms.id, hashes, {cast.boris.pin(), "SMS", code}),
                       expected);
    };
    ASSERT_EQ(cast.portal_1.challenge(cast.boris_sms.id, asked).status, 204U);
    auto code = cast.boris.sent_code();
    attempt(cast.portal_1, others, code);
    attempt(cast.portal_2, asked, code);
    EXPECT_EQ(cast.portal_1.authorise(cast.boris_sms.id, {asked[1], asked[0]}, {cast.boris.pin(), "SMS", code}).status,
              200U)
        << "the third try, in another order";
    attempt(cast.portal_1, asked, code);  // good once

    ASSERT_EQ(cast.portal_1.challenge(cast.boris_sms.id, asked).status, 204U);
    code = cast.boris.sent_code();
    auto wrong = code;
    wrong[0] = wrong[0] == '0' ? '1' : '0';
    for (int i = 0; i < 3; ++i) attempt(cast.portal_1, asked, wrong);
    attempt(cast.portal_1, asked, code);  // the tries are used up

    ASSERT_EQ(cast.portal_1.challenge(cast.boris_sms.id, asked).status, 204U);
    code = cast.boris.sent_code();
    cast.deployment.advance(std::chrono::seconds{300});
    attempt(cast.portal_1, asked, code);  // too old

    cast.deployment.advance(std::chrono::minutes{10});  // three unfinished ones in that time
    ASSERT_EQ(cast.portal_1.challenge(cast.boris_sms.id, asked).status, 204U);
    const auto first = cast.boris.sent_code();
    ASSERT_EQ(cast.portal_1.challenge(cast.boris_sms.id, asked).status, 204U);
    attempt(cast.portal_1, asked,
            first == cast.boris.sent_code() ? wrong : first);  // a new challenge ends the one before
}

// --- credentials that are not there for the asker, and disabled ones ---

TEST(Credentials, OfAnotherSignerAnswerByteForByteAsIfTheyDidNotExist) {
    auto& cast = Stage::cast();
    const std::string foreign = cast.anna_qscd.id, unknown = unknown_credential;
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)});
    const auto code = cast.anna.fresh_code();
    const auto ask = [&](const std::string& id, const char* method) {
        bj::object body = Portal::authorisation(id, {hash_numbered(1)}, {cast.anna.pin(), "TOTP", code});
        body["authObjectID"] = "SMS";
        body["SAD"] = sad;
        body["signAlgo"] = "1.2.840.10045.4.3.2";
        return cast.portal_2.call(method, body);
    };
    for (const char* method :
         {"credentials/info", "credentials/authorize", "credentials/getChallenge", "signatures/signHash"}) {
        const Evidence evidence{cast.deployment};
        auto answer = ask(foreign, method);
        auto expected = invalid("credentialID");
        expected.client = "portal-2";
        expect_refusal(evidence, answer, expected);
        auto nothing = ask(unknown, method);
        EXPECT_EQ(answer, nothing) << method;
        const auto same_each_time = [](net::Headers headers) {  // but for which request it was
            EXPECT_EQ(std::erase_if(headers, [](const auto& header) { return header.first == "x-request-id"; }), 1U);
            std::erase_if(headers, [](const auto& header) { return header.first == "date"; });
            return headers;
        };
        EXPECT_EQ(same_each_time(answer.headers), same_each_time(nothing.headers)) << method;
    }
    const auto anna = cast.portal_2.call("credentials/list", {{"userID", "anna"}});
    EXPECT_EQ(anna, cast.portal_2.call("credentials/list", {{"userID", "nobody"}}));
    EXPECT_EQ(anna.description, "Invalid parameter userID");
    EXPECT_EQ(cast.portal_1.sign({foreign, sad, {hash_numbered(1)}}).status, 200U) << "nothing of it was used";
    EXPECT_EQ(cast.portal_1.authorise(foreign, {hash_numbered(1)}, {cast.anna.pin(), "TOTP", code}).status, 200U);
}

TEST(Credentials, StillBeingEnrolledAnswerAsIfTheyDidNotExist) {
    auto& cast = Stage::cast();
    const auto before = cast.portal_1.call("credentials/list", {{"userID", "anna"}});
    const auto enrolment = cast.anna.begin("lcp-totp", "P-384");
    EXPECT_EQ(cast.portal_1.call("credentials/list", {{"userID", "anna"}}), before);
    const auto credential = cast.anna.finish(enrolment, "lcp-totp", "P-384");
    EXPECT_NE(cast.portal_1.call("credentials/list", {{"userID", "anna"}}), before);
    EXPECT_EQ(cast.portal_1.call("credentials/info", {{"credentialID", credential.id}}).status, 200U);
}

TEST(Credentials, SignNothingWhileTheyAreDisabled) {
    auto& cast = Stage::cast();
    const auto [signer, credential, portal] = cast.throw_away();
    const std::vector<Bytes> hashes{hash_numbered(1)};
    const auto sad = portal.sad_for(*signer, credential, hashes);
    cast.deployment.answer({"credential", "disable", credential.id, "--reason", "a test"});
    auto expected = from_sam(
        invalid_request("The credential identified by credentialID is disabled", "credential_disabled"));
    expected.client = portal.client();
    {
        const Evidence evidence{cast.deployment};
        expect_refusal(evidence, portal.sign({credential.id, sad, hashes}), expected);
    }
    {
        const Evidence evidence{cast.deployment};
        expect_refusal(evidence, portal.authorise(credential.id, hashes, {signer->pin(), "TOTP", signer->fresh_code()}),
                       expected);
    }
    EXPECT_EQ(portal.call("credentials/info", {{"credentialID", credential.id}})
                  .object()
                  .object("key")
                  .value()
                  .string("status", 100)
                  .value(),
              "disabled");
    cast.deployment.answer({"credential", "enable", credential.id, "--reason", "the test is over"});
    EXPECT_EQ(portal.sign({credential.id, sad, hashes}).status, 200U);
}

}  // namespace
}  // namespace qscd::integration
