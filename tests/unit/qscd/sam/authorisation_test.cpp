// From PIN and code to a SAD token: what each try costs, and what it tells.
#include <latch>

#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

using AuthorisationTest = TrialSam;

TEST_F(AuthorisationTest, AUTHN_01_PinAndCodeGiveASadTokenThatSigns) {
    const auto credential = enrol(anna());
    next_step();
    const auto sad = authorise(credential, {.code = code(credential)});
    ASSERT_TRUE(sad) << describe(sad.error());
    EXPECT_EQ(sad.value().sad().size(), 32u);
    EXPECT_EQ(sad.value().expires_in(), 120u);
    const auto signatures = sign(credential, sad.value().sad());
    ASSERT_TRUE(signatures) << describe(signatures.error());
    ASSERT_EQ(signatures.value().signatures_size(), 1);
    EXPECT_TRUE(verifies(credential, "contract", signatures.value().signatures(0)));
}

// Take Anna's good answer, change its factors, and it is refused as wrong: nothing tells how.
struct Factors {
    const char* name;
    std::function<std::vector<std::pair<std::string, std::string>>(const std::string& pin, const std::string& code)>
        make;
    bool costs_the_code;
};
using Pairs = std::vector<std::pair<std::string, std::string>>;
const Factors wrong_factors[] = {
    {"WrongPin", [](auto& pin, auto& code) { return Pairs{{"PIN", wrong(pin)}, {"TOTP", code}}; }, true},
    {"PinOfAnotherLength", [](auto& pin, auto& code) { return Pairs{{"PIN", pin.substr(1)}, {"TOTP", code}}; }, true},
    {"PinThatIsNoPin", [](auto&, auto& code) { return Pairs{{"PIN", "let me in"}, {"TOTP", code}}; }, true},
    {"EmptyPin", [](auto&, auto& code) { return Pairs{{"PIN", ""}, {"TOTP", code}}; }, true},
    {"WrongCode", [](auto& pin, auto& code) { return Pairs{{"PIN", pin}, {"TOTP", wrong(code)}}; }, false},
    {"EmptyCode", [](auto& pin, auto&) { return Pairs{{"PIN", pin}, {"TOTP", ""}}; }, false},
    {"LongerCode", [](auto& pin, auto& code) { return Pairs{{"PIN", pin}, {"TOTP", code + "0"}}; }, false},
    {"BothWrong", [](auto& pin, auto& code) { return Pairs{{"PIN", wrong(pin)}, {"TOTP", wrong(code)}}; }, false},
    {"Swapped", [](auto& pin, auto& code) { return Pairs{{"PIN", code}, {"TOTP", pin}}; }, false},
    {"PinAlone", [](auto& pin, auto&) { return Pairs{{"PIN", pin}}; }, false},
    {"CodeAlone", [](auto&, auto& code) { return Pairs{{"TOTP", code}}; }, false},
    {"OneMore", [](auto& pin, auto& code) { return Pairs{{"PIN", pin}, {"TOTP", code}, {"SMS", "000000"}}; }, false},
    {"PinTwice", [](auto& pin, auto&) { return Pairs{{"PIN", pin}, {"PIN", pin}}; }, false},
    {"CodeTwice", [](auto&, auto& code) { return Pairs{{"TOTP", code}, {"TOTP", code}}; }, false},
    {"UnknownFactor", [](auto& pin, auto& code) { return Pairs{{"PIN", pin}, {"FACE", code}}; }, false},
    {"LowerCaseIds", [](auto& pin, auto& code) { return Pairs{{"pin", pin}, {"totp", code}}; }, false},
    {"AnotherHeldFactor", [](auto& pin, auto& code) { return Pairs{{"PIN", pin}, {"SMS", code}}; }, false},
};
struct WrongFactors : AuthorisationTest, ::testing::WithParamInterface<Factors> {};
INSTANTIATE_TEST_SUITE_P(, WrongFactors, ::testing::ValuesIn(wrong_factors),
                         [](const auto& test) { return test.param.name; });
TEST_P(WrongFactors, AUTHN_01_AUTHN_09_AreRefusedWithoutAWord) {
    const auto credential = enrol(anna());
    next_step();
    const auto right = code(credential);
    const auto refused = authorise(credential, {.factors = GetParam().make("48151623", right)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::factors_wrong);
    EXPECT_EQ(refused.error().detail, "");
    EXPECT_EQ(refused.error().parameter.name, "");
    EXPECT_EQ(authorise(credential, {.code = right}).has_value(), !GetParam().costs_the_code);
}

TEST_F(AuthorisationTest, AUTHN_01_NoFactorIsRefused) {
    const auto credential = enrol(anna());
    for (const auto& factors : {Pairs{{"", ""}, {"", ""}}, Pairs{{"PIN", ""}}})
        EXPECT_EQ(authorise(credential, {.factors = factors}).error().code, Errc::factors_wrong);
}

TEST_F(AuthorisationTest, AUTHN_09_TheRecordsOfAWrongPinAndAWrongCodeLookTheSame) {
    const auto credential = enrol(anna());
    next_step();
    const auto story_of = [&](const Ask& ask) {
        const auto before = records().size();
        EXPECT_EQ(authorise(credential, ask).error().code, Errc::factors_wrong);
        std::vector<std::string> story;
        const auto all = records();
        for (auto at = before; at < all.size(); ++at) {
            auto text = all[at].type() + " " + all[at].result() + " " + std::to_string(all[at].sealed().size());
            for (const auto& each : all[at].fields()) text += " " + each.name() + "=" + each.value();
            story.push_back(std::move(text));
        }
        return story;
    };
    const auto of_pin = story_of({.pin = "00000000", .code = code(credential)});
    next_step();
    const auto of_code = story_of({.code = wrong(code(credential))});
    EXPECT_EQ(of_pin, of_code);
    EXPECT_EQ(of_pin.size(), 4u);
    EXPECT_TRUE(of_pin[0].starts_with("factors-spent ok"));
    EXPECT_TRUE(of_pin[2].starts_with("authorisation-failed factors_wrong"));
}

TEST_F(AuthorisationTest, AUTHN_16_ACodeIsGoodOnce) {
    const auto credential = enrol(anna());
    next_step();
    ASSERT_TRUE(authorise(credential, {.code = code(credential)}));
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::factors_wrong);
    stop();
    start();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::factors_wrong)
        << "a restart gives nothing back";
}

TEST_F(AuthorisationTest, AUTHN_16_AnOlderStepIsRefusedAfterANewerOne) {
    const auto credential = enrol(anna());
    next_step();
    const auto older = code(credential);
    next_step();
    ASSERT_TRUE(authorise(credential, {.code = code(credential)}));
    EXPECT_EQ(authorise(credential, {.code = older}).error().code, Errc::factors_wrong);
}

TEST_F(AuthorisationTest, AUTHN_16_ACodeIsTakenOneStepLateAndNotTwo) {
    const auto credential = enrol(anna());
    next_step();
    const auto old = code(credential);
    clock.advance(60s);
    EXPECT_EQ(authorise(credential, {.code = old}).error().code, Errc::factors_wrong);
    const auto late = code(credential);
    next_step();
    EXPECT_TRUE(authorise(credential, {.code = late}));
}

TEST_F(AuthorisationTest, AUTHN_16_TwoCredentialsOfOneDeviceShareItsSteps) {
    const auto person = anna();
    const auto first = enrol(person), second = enrol(person, "lcp");
    EXPECT_TRUE(second.totp_secret.empty()) << "shown once [AUTHN-22]";
    next_step();
    const auto shared = totp(first.totp_secret, clock.now());
    ASSERT_TRUE(authorise(first, {.code = shared}));
    EXPECT_EQ(authorise(second, {.code = shared}).error().code, Errc::factors_wrong);
    next_step();
    EXPECT_TRUE(authorise(second, {.code = totp(first.totp_secret, clock.now())}));
}

TEST_F(AuthorisationTest, AUTHN_16_TwoCredentialsOfOneDeviceRaceForOneStepAndOneWins) {
    const auto person = anna();
    const auto first = enrol(person), second = enrol(person);
    next_step();
    const auto shared = totp(first.totp_secret, clock.now());
    std::latch hold{1};
    running->core->post([&](Ledger&) { hold.wait(); }, [](const Error&) {});
    std::atomic<int> good = 0;
    std::vector<std::thread> askers;
    for (const auto* each : {&first, &second})
        askers.emplace_back([&, each] { good += authorise(*each, {.code = shared}) ? 1 : 0; });
    hold.count_down();
    for (auto& asker : askers) asker.join();
    EXPECT_EQ(good, 1);
}

TEST_F(AuthorisationTest, AUTHN_09_AWrongCodeCostsNoPinTry) {
    const auto credential = enrol(anna());
    next_step();
    for (int i = 0; i < 3; ++i)  // as many as there are PIN tries
        EXPECT_EQ(authorise(credential, {.pin = "00000000", .code = wrong(code(credential))}).error().code,
                  Errc::factors_wrong);
    EXPECT_TRUE(authorise(credential, {.code = code(credential)}));
}

TEST_F(AuthorisationTest, AUTHN_07_ThreeWrongPinsBlockAndThenTheRightOneIsRefused) {
    const auto credential = enrol(anna());
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(records("credential-blocked").empty());
        next_step();
        EXPECT_EQ(authorise(credential, {.pin = "00000000", .code = code(credential)}).error().code,
                  Errc::factors_wrong);
    }
    const auto blocked = records("credential-blocked");
    ASSERT_EQ(blocked.size(), 1u);
    EXPECT_EQ(CredentialId::from(view_of(blocked[0].credential())), credential.id);
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::credential_locked);
    EXPECT_EQ(authorise(credential, {.code = wrong(code(credential))}).error().code, Errc::factors_wrong)
        << "nobody without the code hears it [AUTHN-30]";
    stop();
    start();
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::credential_locked) << "for ever";
    EXPECT_TRUE(records("authorised").empty());
}

TEST_F(AuthorisationTest, AUTHN_08_SuccessRestoresThePinTries) {
    const auto credential = enrol(anna());
    for (int round = 0; round < 3; ++round) {
        for (int i = 0; i < 2; ++i) {
            next_step();
            EXPECT_EQ(authorise(credential, {.pin = "00000000", .code = code(credential)}).error().code,
                      Errc::factors_wrong);
        }
        next_step();
        EXPECT_TRUE(authorise(credential, {.code = code(credential)}));
    }
}

TEST_F(AuthorisationTest, AUTHN_08_ARestartGivesNoPinTryBack) {
    const auto credential = enrol(anna());
    for (int i = 0; i < 3; ++i) {
        next_step();
        EXPECT_EQ(authorise(credential, {.pin = "00000000", .code = code(credential)}).error().code,
                  Errc::factors_wrong);
        stop();
        start();
    }
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::credential_locked);
}

TEST_F(AuthorisationTest, AUTHN_29_WrongCodesOfADayAreLimitedAndForgottenAfterIt) {
    const auto credential = enrol(anna());
    next_step();
    for (int i = 0; i < 4; ++i)
        EXPECT_EQ(authorise(credential, {.code = wrong(code(credential))}).error().code, Errc::factors_wrong);
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::too_many_requests);
    clock.advance(24h);
    EXPECT_TRUE(authorise(credential, {.code = code(credential)}));
}

TEST_F(AuthorisationTest, AttemptsOnOneCredentialTakeTurnsAndAreAllAnswered) {
    const auto credential = enrol(anna());
    next_step();
    std::atomic<int> good = 0, refused = 0;
    std::vector<std::thread> askers;
    for (int i = 0; i < 8; ++i)
        askers.emplace_back([&] {
            const auto sad = authorise(credential, {.code = code(credential)});
            ++(sad ? good : refused);
        });
    for (auto& asker : askers) asker.join();
    EXPECT_EQ(good, 1);
    EXPECT_EQ(refused, 7);
}

TEST_F(AuthorisationTest, SAM_03_AProfileOfThePageAloneTakesNoFactorsInClear) {
    const auto credential = enrol(anna(), "page");
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::access_denied);
    EXPECT_EQ(challenge(credential, {"contract"}).error().code, Errc::access_denied);
    EXPECT_TRUE(records("factors-spent").empty());
}

TEST_F(AuthorisationTest, ADisabledCredentialAuthorisesNothingUntilItIsEnabled) {
    const auto credential = enrol(anna());
    ASSERT_TRUE(set_disabled(credential, true));
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::credential_disabled);
    ASSERT_TRUE(set_disabled(credential, false));
    EXPECT_TRUE(authorise(credential, {.code = code(credential)})) << "and nothing was spent";
    EXPECT_EQ(records("credential-disabled").size(), 1u);
    EXPECT_EQ(records("credential-enabled").size(), 1u);
}

TEST_F(AuthorisationTest, AnExpiredCertificateAuthorisesNothing) {
    const auto credential = enrol(anna());
    clock.set(noon + std::chrono::days{365} + 1s);
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::certificate_expired);
    clock.set(noon + std::chrono::days{365});
    EXPECT_TRUE(authorise(credential, {.code = code(credential)})) << "its last second counts";
}

TEST_F(AuthorisationTest, HashesAreCounted) {
    const auto credential = enrol(anna());
    next_step();
    EXPECT_EQ(authorise(credential, {.code = code(credential), .documents = {}}).error().code, Errc::hashes_empty);
    EXPECT_EQ(
        authorise(credential, {.code = code(credential), .documents = {"a", "b", "c", "d", "e", "f"}}).error().code,
        Errc::too_many_signatures);
    EXPECT_TRUE(authorise(credential, {.code = code(credential), .documents = {"a", "b", "c", "d", "e"}}));
}

TEST_F(AuthorisationTest, QSCD_22_WithTheTokenAwayNobodyIsAnsweredAsIfAndItRecovers) {
    const auto credential = enrol(anna());
    next_step();
    tokens.take_away();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::token_away);
    EXPECT_EQ(authorise(credential, {.pin = "00000000", .code = code(credential)}).error().code, Errc::token_away);
    tokens.bring_back();
    wait_until_reachable(*running->sam_token);
    EXPECT_TRUE(authorise(credential, {.code = code(credential)})) << "what was never compared is not spent";
}

TEST_F(AuthorisationTest, SAM_08_ADeviceChangedInTheStoreIsNoWrongCode) {
    const auto credential = enrol(anna());
    stop();
    {
        const auto store = store::Database::open(tokens.store()).value();
        ASSERT_TRUE(store->execute("UPDATE blob SET sealed = $1 WHERE idx IN (SELECT idx FROM cell WHERE kind = 2)",
                                   {Bytes{0}}));
    }
    start();
    EXPECT_EQ(authorise(credential, {.code = code(credential)}).error().code, Errc::internal);
    EXPECT_TRUE(records("factors-spent").empty());
}

using SmsTest = TrialSam;

TEST_F(SmsTest, AUTHN_12_TheCodeOfTheMessageAuthorisesItsDocuments) {
    const auto credential = enrol(anna(), "sms");
    const auto opened = challenge(credential, {"contract", "annex"});
    ASSERT_TRUE(opened) << describe(opened.error());
    EXPECT_EQ(opened.value().expires_in(), 300u);
    const auto record = records("challenge-opened").at(0);
    const auto document_code = field(record, "document_code");
    EXPECT_NE(last_sms(anna().phone)
                  .find("portal asks for your signature: 2 documents, " + document_code.substr(0, 4) + "-" +
                        document_code.substr(4)),
              std::string::npos);
    const auto sad = authorise(credential,
                               {.code = last_code(anna().phone), .documents = {"annex", "contract"}, .held = "SMS"});
    ASSERT_TRUE(sad) << describe(sad.error());
    const auto signatures = sign(credential, sad.value().sad(), {"contract", "annex"});
    ASSERT_TRUE(signatures);
    EXPECT_TRUE(verifies(credential, "contract", signatures.value().signatures(0)));
    EXPECT_TRUE(verifies(credential, "annex", signatures.value().signatures(1)));
    EXPECT_EQ(
        authorise(credential, {.code = last_code(anna().phone), .documents = {"annex", "contract"}, .held = "SMS"})
            .error()
            .code,
        Errc::factors_wrong)
        << "used";
}

TEST_F(SmsTest, AUTHN_14_ACodeIsGoodForNothingElse) {
    const auto of_anna = enrol(anna(), "sms"), of_boris = enrol(boris(), "sms");
    ASSERT_TRUE(challenge(of_anna, {"contract"}));
    ASSERT_TRUE(challenge(of_boris, {"contract"}));
    const auto code = last_code(anna().phone);
    EXPECT_EQ(authorise(of_anna, {.code = code, .documents = {"another contract"}, .held = "SMS"}).error().code,
              Errc::factors_wrong);
    EXPECT_EQ(authorise(of_anna, {.code = code, .client = "other-portal", .held = "SMS"}).error().code,
              Errc::factors_wrong);
    if (code != last_code(boris().phone)) {
        EXPECT_EQ(authorise(of_boris, {.code = code, .held = "SMS"}).error().code, Errc::factors_wrong);
    }
    EXPECT_TRUE(authorise(of_anna, {.code = code, .held = "SMS"})) << "the third try";
}

TEST_F(SmsTest, AUTHN_09_ARightCodeStaysSpentAfterAWrongPin) {
    const auto credential = enrol(anna(), "sms");
    ASSERT_TRUE(challenge(credential, {"contract"}));
    EXPECT_EQ(authorise(credential, {.pin = "00000000", .code = last_code(anna().phone), .held = "SMS"}).error().code,
              Errc::factors_wrong);
    EXPECT_EQ(authorise(credential, {.code = last_code(anna().phone), .held = "SMS"}).error().code,
              Errc::factors_wrong);
}

TEST_F(SmsTest, AUTHN_14_WithoutHashesItExistsUnderTrialAlone) {
    const auto trial = enrol(anna(), "sms");
    ASSERT_TRUE(challenge(trial, {}));
    EXPECT_NE(last_sms(anna().phone).find("No documents are named."), std::string::npos);
    EXPECT_TRUE(authorise(trial, {.code = last_code(anna().phone), .held = "SMS"}));

    auto grant = grant_for(boris(), "lcp");  // under the regime `qualified`
    grant.app_device.reset();
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "481516", last_code(boris().phone)));
    pb::KeyProof proof;
    proof.ParseFromString(create_key(grant.enrolment).value().paper().body());
    ASSERT_TRUE(activate(grant.enrolment, certificate_for(grant, bytes_of(proof.public_key()))));
    const Credential lcp{*CredentialId::from(view_of(proof.credential())), grant.enrolment, {}, {}, {}, ""};
    EXPECT_EQ(challenge(lcp, {}).error().code, Errc::hashes_empty);
    EXPECT_TRUE(challenge(lcp, {"contract"}));
}

TEST_F(SmsTest, SAM_23_AChallengeDoesNotSurviveARestart) {
    const auto credential = enrol(anna(), "sms");
    ASSERT_TRUE(challenge(credential, {"contract"}));
    const auto code = last_code(anna().phone);
    stop();
    start();
    EXPECT_EQ(authorise(credential, {.code = code, .held = "SMS"}).error().code, Errc::factors_wrong);
}

TEST_F(SmsTest, AChallengeIsForTheFactorThatTheCredentialHas) {
    const auto by_app = enrol(anna());
    EXPECT_EQ(challenge(by_app, {"contract"}).error().parameter.name, "authObjectID");
    const auto by_sms = enrol(boris(), "sms");
    for (const auto* factor : {"TOTP", "PIN", "", "sms"})
        EXPECT_EQ(challenge(by_sms, {"contract"}, "portal", factor).error().parameter.name, "authObjectID") << factor;
}

TEST_F(SmsTest, AMessageThatCouldNotBeSentIsTold) {
    const auto credential = enrol(anna(), "sms");
    running->notifier_refuses = true;
    EXPECT_EQ(challenge(credential, {"contract"}).error().code, Errc::service_away);
}

}  // namespace
}  // namespace qscd::sam
