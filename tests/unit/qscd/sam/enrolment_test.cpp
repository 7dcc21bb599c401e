// Enrolment at the SAM: a Grant, a code to the phone in it, PIN, key, certificate. The papers decide, whoever brings them.
#include "protocol/message.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

struct EnrolmentTest : TrialSam {
    protocol::KeyProof proof_in(const pb::SignedPaper& answer) {
        protocol::TrustedKeys keys;
        const auto token = tokens.open("qscd-sam");
        keys.add(protocol::Issuer::attestation_key,
                 public_key_from_der(view_of(ModuleKeys::unlock(*token).value()->genesis().attestation_key())).value());
        const auto proof = protocol::verify_key_proof(answer.paper(), keys);
        EXPECT_TRUE(proof) << describe(proof.error());
        return *proof.value();
    }
    // Anna's enrolment up to her key.
    struct WithKey {
        protocol::Grant grant;
        protocol::KeyProof proof;
    };
    WithKey with_key() {
        const auto grant = grant_for(anna());
        EXPECT_TRUE(begin(desk.sign(grant)));
        EXPECT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
        return {grant, proof_in(create_key(grant.enrolment).value())};
    }
};

TEST_F(EnrolmentTest, QSCD_08_LeadsFromAGrantToAnActiveCredential) {
    const auto grant = grant_for(anna());
    const auto begun = begin(desk.sign(grant));
    ASSERT_TRUE(begun) << describe(begun.error());
    EXPECT_EQ(begun.value().state(), "reserved");
    EXPECT_EQ(last_sms(anna().phone), "Your code to set up your signing key: " + last_code(anna().phone));

    const auto factors = set_factors(grant.enrolment, "4815", last_code(anna().phone));
    ASSERT_TRUE(factors);
    EXPECT_EQ(factors.value().totp_secret().size(), 20u);
    EXPECT_EQ(factors.value().totp_period(), 30u);
    EXPECT_EQ(factors.value().totp_digits(), 6u);

    const auto proof = proof_in(create_key(grant.enrolment).value());
    EXPECT_EQ(proof.grant, sha256(protocol::to_paper(grant).message));
    EXPECT_EQ(proof.enrolment, grant.enrolment);
    EXPECT_EQ(proof.credential.bytes().size(), 16u);
    EXPECT_EQ(proof.module_entry, "softhsm2");
    EXPECT_EQ(proof.acceptance, sha256(view_of("terms")));
    EXPECT_TRUE(std::ranges::count(proof.attributes, std::pair<std::string, std::string>{"CKA_EXTRACTABLE", "false"}));

    const auto receipt = activate(grant.enrolment, certificate_for(grant, proof.public_key));
    ASSERT_TRUE(receipt) << describe(receipt.error());

    std::vector<std::string> story;
    for (const auto& record : records())
        if (CredentialId::from(view_of(record.credential())) == proof.credential) story.push_back(record.type());
    EXPECT_EQ(story, (std::vector<std::string>{"grant-accepted", "factors-set", "key-intended", "key-created",
                                               "credential-active"}));
}

TEST_F(EnrolmentTest, EachStepRepeatedGivesTheSamePaper) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
    const auto proof = create_key(grant.enrolment).value();
    EXPECT_EQ(create_key(grant.enrolment).value().SerializeAsString(), proof.SerializeAsString());
    EXPECT_EQ(begin(desk.sign(grant)).value().state(), "key");
    const auto certificate = certificate_for(grant, proof_in(proof).public_key);
    const auto receipt = activate(grant.enrolment, certificate).value();
    EXPECT_EQ(activate(grant.enrolment, certificate).value().SerializeAsString(), receipt.SerializeAsString());
    EXPECT_EQ(create_key(grant.enrolment).value().SerializeAsString(), proof.SerializeAsString());
    stop();
    start();
    EXPECT_EQ(activate(grant.enrolment, certificate).value().SerializeAsString(), receipt.SerializeAsString());
    const auto again = activate(grant.enrolment, certificate_for(grant, proof_in(proof).public_key));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::paper_refused) << "another certificate";
}

TEST_F(EnrolmentTest, AGrantRepeatedSendsAFreshCodeAndTheOldOneIsVoid) {
    const auto grant = grant_for(anna());
    const auto first = begin(desk.sign(grant)).value();
    const auto old = last_code(anna().phone);
    auto again = begin(desk.sign(grant)).value();
    EXPECT_EQ(again.credential(), first.credential());
    while (last_code(anna().phone) == old) again = begin(desk.sign(grant)).value();
    EXPECT_EQ(set_factors(grant.enrolment, "4815", old).error().code, Errc::factors_wrong);
    EXPECT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
    EXPECT_EQ(begin(desk.sign(grant)).value().state(), "reserved") << "until there is a key, the step may begin anew";
}

TEST_F(EnrolmentTest, ACodeThatCouldNotBeSentIsToldAndSentAgainWhenAsked) {
    const auto grant = grant_for(anna());
    running->notifier_refuses = true;
    EXPECT_EQ(begin(desk.sign(grant)).error().code, Errc::service_away);
    running->notifier_refuses = false;
    ASSERT_TRUE(begin(desk.sign(grant)));
    EXPECT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
}

// Take Anna's good Grant, change one thing, and nothing is reserved.
struct ChangedGrant {
    const char* name;
    std::function<pb::Paper(EnrolmentTest&, protocol::Grant)> make;
};
const ChangedGrant changed_grants[] = {
    {"SignedByAStranger", [](auto& t, auto grant) { return t.desk.sign(protocol::to_paper(grant), *t.desk.stranger); }},
    {"SignedByTheRuleKeyForAQualifiedProfile",
     [](auto& t, auto grant) { return t.desk.sign(protocol::to_paper(grant), *t.desk.rule); }},
    {"NamingAnotherKey",
     [](auto& t, auto grant) {
         auto paper = t.desk.sign(grant);
         paper.set_key_id(string_of(protocol::key_id_of(*t.desk.rule).bytes()));
         return paper;
     }},
    {"WithAFlippedBody",
     [](auto& t, auto grant) {
         auto paper = t.desk.sign(grant);
         paper.mutable_body()->at(10) ^= 1;
         return paper;
     }},
    {"WithACutBody",
     [](auto& t, auto grant) {
         auto paper = t.desk.sign(grant);
         paper.mutable_body()->pop_back();
         return paper;
     }},
    {"WithACutSignature",
     [](auto& t, auto grant) {
         auto paper = t.desk.sign(grant);
         paper.mutable_signature()->pop_back();
         return paper;
     }},
    {"WithoutSignature",
     [](auto& t, auto grant) {
         auto paper = t.desk.sign(grant);
         paper.clear_signature();
         return paper;
     }},
    {"Empty", [](auto&, auto) { return pb::Paper{}; }},
    {"SignedAsAReceipt",
     [](auto& t, auto grant) {
         auto paper = protocol::to_paper(grant);
         paper.message = bytes_of("qscd/receipt/v1");
         paper.message.push_back(0);
         paper.message.insert(paper.message.end(), paper.body.begin(), paper.body.end());
         return t.desk.sign(paper, *t.desk.officer);
     }},
    {"Expired",
     [](auto& t, auto grant) {
         grant.expires_at = noon;
         return t.desk.sign(grant);
     }},
    {"FromTheFuture",
     [](auto& t, auto grant) {
         grant.issued_at = noon + 61s;
         return t.desk.sign(grant);
     }},
    {"OfAnUnknownProfile",
     [](auto& t, auto grant) {
         grant.profile = "gold";
         return t.desk.sign(grant);
     }},
    {"OfAnotherPolicyVersion",
     [](auto& t, auto grant) {
         grant.policy_version = sha256(view_of("old policy"));
         return t.desk.sign(grant);
     }},
    {"ForAKeyKindTheProfileLacks",
     [](auto& t, auto grant) {
         grant.key_kind = KeyKind::p384;
         return t.desk.sign(grant);
     }},
    {"WithoutTheAppThatItsProfileNeeds",
     [](auto& t, auto grant) {
         grant.app_device.reset();
         return t.desk.sign(grant);
     }},
    {"WithAnAppThatItsProfileLacks",
     [](auto& t, auto grant) {
         grant.profile = "sms";
         return t.desk.sign(grant);
     }},
    {"WithOneDeviceForBoth",
     [](auto& t, auto grant) {
         grant.app_device = grant.phone_device;
         return t.desk.sign(grant);
     }},
};
struct AGrant : EnrolmentTest, ::testing::WithParamInterface<ChangedGrant> {};
INSTANTIATE_TEST_SUITE_P(, AGrant, ::testing::ValuesIn(changed_grants),
                         [](const auto& test) { return test.param.name; });
TEST_P(AGrant, QSCD_08_IsRefused) {
    const auto grant = grant_for(anna());
    const auto begun = begin(GetParam().make(*this, grant));
    ASSERT_FALSE(begun);
    EXPECT_EQ(begun.error().code, Errc::paper_refused) << describe(begun.error());
    EXPECT_EQ(sms_count(), 0u);
    EXPECT_TRUE(begin(desk.sign(grant))) << "the good one is taken afterwards";
    const auto refused = records("refused");
    ASSERT_EQ(refused.size(), 1u);
    EXPECT_EQ(refused[0].result(), "paper_refused");
    EXPECT_EQ(field(refused[0], "request"), "begin-enrolment");
}

TEST_F(EnrolmentTest, TheRuleKeyGrantsLcp) {
    const auto grant = grant_for(anna(), "lcp");
    EXPECT_TRUE(begin(desk.sign(protocol::to_paper(grant), *desk.rule)));
    EXPECT_EQ(field(records("grant-accepted")[0], "granted_by"), "rule key");
}

TEST_F(EnrolmentTest, AProfileWithTwoHeldFactorsTakesEither) {
    auto grant = grant_for(anna(), "either");
    EXPECT_TRUE(begin(desk.sign(grant)));
    grant = grant_for(anna(), "either");
    grant.app_device.reset();
    EXPECT_TRUE(begin(desk.sign(grant)));
}

TEST_F(EnrolmentTest, AnotherGrantUnderTheSameEnrolmentIsRefused) {
    auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    grant.nonce = random_fixed<Nonce>();
    EXPECT_EQ(begin(desk.sign(grant)).error().code, Errc::paper_refused);
}

TEST_F(EnrolmentTest, RA_48_ADeviceStaysItsOwners) {
    const auto of_anna = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(of_anna)));
    const auto refused = [&](auto change) {
        auto grant = grant_for(boris());
        change(grant);
        const auto begun = begin(desk.sign(grant));
        return !begun && begun.error().code == Errc::paper_refused;
    };
    EXPECT_TRUE(refused([&](auto& grant) { grant.phone_device = of_anna.phone_device; }));
    EXPECT_TRUE(refused([&](auto& grant) { grant.app_device = of_anna.app_device; }));
    EXPECT_TRUE(refused([&](auto& grant) {
        grant.signer = of_anna.signer;
        grant.phone_device = of_anna.phone_device;  // her phone, another number
    })) << "a phone keeps its number";
    EXPECT_TRUE(refused([&](auto& grant) {
        grant.signer = of_anna.signer;
        grant.app_device = of_anna.phone_device;
    })) << "a phone is no app";
    EXPECT_TRUE(refused([&](auto& grant) {
        grant.signer = of_anna.signer;
        grant.phone_device = *of_anna.app_device;
    })) << "an app is no phone";
}

TEST_F(EnrolmentTest, AGrantCannotOverwriteACredentialByNamingItAsADevice) {
    const auto of_anna = enrol(anna());
    for (const bool as_app : {false, true}) {
        auto grant = grant_for(boris());
        (as_app ? *grant.app_device : grant.phone_device) = *DeviceId::from(of_anna.id.bytes());
        EXPECT_EQ(begin(desk.sign(grant)).error().code, Errc::paper_refused);
    }
    EXPECT_TRUE(sign(of_anna, approved(of_anna)));
}

TEST_F(EnrolmentTest, AUTHN_06_WithoutTheRightCodeNoPinIsSet) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    const auto code = last_code(anna().phone);
    EXPECT_EQ(set_factors(grant.enrolment, "4815", wrong(code)).error().code, Errc::factors_wrong);
    EXPECT_EQ(set_factors(grant.enrolment, "4815", "").error().code, Errc::factors_wrong);
    EXPECT_EQ(set_factors(grant.enrolment, "4815", wrong(code)).error().code, Errc::factors_wrong);
    EXPECT_EQ(set_factors(grant.enrolment, "4815", code).error().code, Errc::factors_wrong)
        << "three tries, then a new code";
    EXPECT_EQ(records("enrolment-code-wrong").size(), 4u);
    ASSERT_TRUE(begin(desk.sign(grant)));
    EXPECT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
}

TEST_F(EnrolmentTest, AUTHN_11_TheCodeEndsAfterFiveMinutesAndWithTheProcess) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    const auto code = last_code(anna().phone);
    clock.advance(300s);
    EXPECT_EQ(set_factors(grant.enrolment, "4815", code).error().code, Errc::factors_wrong);
    ASSERT_TRUE(begin(desk.sign(grant)));
    const auto next = last_code(anna().phone);
    stop();
    start();
    EXPECT_EQ(set_factors(grant.enrolment, "4815", next).error().code, Errc::factors_wrong);
}

TEST_F(EnrolmentTest, ACodeOfOneEnrolmentIsNotGoodForAnother) {
    const auto one = grant_for(anna()), two = grant_for(boris());
    ASSERT_TRUE(begin(desk.sign(one)));
    ASSERT_TRUE(begin(desk.sign(two)));
    if (last_code(anna().phone) != last_code(boris().phone)) {
        EXPECT_EQ(set_factors(two.enrolment, "4815", last_code(anna().phone)).error().code, Errc::factors_wrong);
    }
}

TEST_F(EnrolmentTest, AUTHN_02_APinOfAnotherFormIsRefusedAndCostsNoCode) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    const auto code = last_code(anna().phone);
    for (const auto* pin : {"", "123", "123456789", "12a4", "12 4", "-123"})
        EXPECT_EQ(set_factors(grant.enrolment, pin, code).error().code, Errc::parameter_invalid) << pin;
    EXPECT_TRUE(set_factors(grant.enrolment, "4815", code));
}

TEST_F(EnrolmentTest, AUTHN_05_TheSamePinGivesDifferentVerifiers) {
    const auto one = enrol(anna(), "totp", "4815"), two = enrol(boris(), "totp", "4815");
    stop();
    in_store([&](Ledger& ledger) {
        const auto first = *ledger.credential(one.id).value(), second = *ledger.credential(two.id).value();
        EXPECT_EQ(first.pin_verifier().size(), 32u);
        EXPECT_NE(first.pin_verifier(), second.pin_verifier());
        EXPECT_NE(first.pin_salt(), second.pin_salt());
        EXPECT_TRUE(first.grant().empty()) << "the paper with the person's name goes when it has served";
    });
}

TEST_F(EnrolmentTest, AUTHN_22_TheAppsSecretIsNotShownAgainOnceACodeWasAccepted) {
    const auto person = anna();
    const auto first = enrol(person);
    ASSERT_FALSE(approved(first).empty());
    const auto second = enrol(person);
    EXPECT_TRUE(second.totp_secret.empty());
    next_step();
    EXPECT_TRUE(authorise(second, {.code = code(first)})) << "the app that is there serves the new credential";
}

TEST_F(EnrolmentTest, SAM_07_NoStepCanBeSkippedOrRepeated) {
    const auto grant = grant_for(anna());
    const auto nobodys = random_fixed<EnrolmentId>();
    EXPECT_EQ(set_factors(nobodys, "4815", "000000").error().code, Errc::parameter_invalid);
    EXPECT_EQ(create_key(nobodys).error().code, Errc::parameter_invalid);
    EXPECT_EQ(activate(nobodys, {}).error().code, Errc::parameter_invalid);
    ASSERT_TRUE(begin(desk.sign(grant)));
    EXPECT_EQ(create_key(grant.enrolment).error().code, Errc::out_of_order);
    EXPECT_EQ(activate(grant.enrolment, {}).error().code, Errc::out_of_order);
    const auto code = last_code(anna().phone);
    ASSERT_TRUE(set_factors(grant.enrolment, "4815", code));
    EXPECT_EQ(set_factors(grant.enrolment, "9999", code).error().code, Errc::out_of_order);
    EXPECT_EQ(activate(grant.enrolment, {}).error().code, Errc::out_of_order);
    ASSERT_TRUE(create_key(grant.enrolment));
    EXPECT_EQ(set_factors(grant.enrolment, "9999", code).error().code, Errc::out_of_order);
}

// Take the certificate that Anna's key waits for, change one thing, and nothing becomes active.
struct ChangedCertificate {
    const char* name;
    std::function<Bytes(EnrolmentTest&, CertificateText)> make;
};
Bytes good(EnrolmentTest& t, const CertificateText& text) {
    return certificate(text, *t.desk.ca_certificate, *t.desk.ca);
}
const ChangedCertificate changed_certificates[] = {
    {"ForAnotherKey",
     [](auto& t, auto text) {
         text.public_key = der_of(*t.desk.stranger, i2d_PUBKEY);
         return good(t, text);
     }},
    {"ForAnotherPerson",
     [](auto& t, auto text) {
         text.subject = boris().subject;
         return good(t, text);
     }},
    {"WithAnotherSurname",
     [](auto& t, auto text) {
         text.subject.surname = "Österreich";
         return good(t, text);
     }},
    {"WithoutSerialNumber",
     [](auto& t, auto text) {
         text.subject.serial_number.clear();
         return good(t, text);
     }},
    {"WithAnOrganisation",
     [](auto& t, auto text) {
         text.organisation = "Anna's employer";
         return good(t, text);
     }},
    {"Expired",
     [](auto& t, auto text) {
         text.not_after = noon;
         return good(t, text);
     }},
    {"SignedByAnotherCa",
     [](auto& t, auto text) { return certificate(text, *t.desk.ca_certificate, *t.desk.stranger); }},
    {"SignedByTheRoot", [](auto& t, auto text) { return certificate(text, *t.desk.root_certificate, *t.desk.root); }},
    {"WithAFlippedByte",
     [](auto& t, auto text) {
         auto der = good(t, text);
         der[der.size() - 5] ^= 1;
         return der;
     }},
    {"Cut",
     [](auto& t, auto text) {
         auto der = good(t, text);
         der.pop_back();
         return der;
     }},
    {"WithAByteBehind",
     [](auto& t, auto text) {
         auto der = good(t, text);
         der.push_back(0);
         return der;
     }},
    {"Empty", [](auto&, auto) { return Bytes{}; }},
};
struct ACertificate : EnrolmentTest, ::testing::WithParamInterface<ChangedCertificate> {};
INSTANTIATE_TEST_SUITE_P(, ACertificate, ::testing::ValuesIn(changed_certificates),
                         [](const auto& test) { return test.param.name; });
TEST_P(ACertificate, QSCD_11_IsRefused) {
    const auto [grant, proof] = with_key();
    const CertificateText text{proof.public_key, grant.subject, noon - 60s, noon + 24h};
    const auto active = activate(grant.enrolment, GetParam().make(*this, text));
    ASSERT_FALSE(active);
    EXPECT_EQ(active.error().code, Errc::paper_refused) << describe(active.error());
    EXPECT_TRUE(activate(grant.enrolment, good(*this, text))) << "the good one is taken afterwards";
}

TEST_F(EnrolmentTest, ACertificateOfAnotherEnrolmentIsRefused) {
    const auto [annas, proof] = with_key();
    const auto grant = grant_for(boris());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "4815", last_code(boris().phone)));
    ASSERT_TRUE(create_key(grant.enrolment));
    EXPECT_EQ(activate(grant.enrolment, certificate_for(annas, proof.public_key)).error().code, Errc::paper_refused);
}

TEST_F(EnrolmentTest, QSCD_11_BeforeItIsActiveACredentialIsAsUnknown) {
    const auto [grant, proof] = with_key();
    const Credential early{proof.credential, grant.enrolment, {}, {}, {}, ""},
        nobodys{random_fixed<CredentialId>(), grant.enrolment, {}, {}, {}, ""};
    for (const auto& each : {early, nobodys}) {
        EXPECT_EQ(authorise(each, {.code = "123456"}).error().code, Errc::factors_wrong)
            << "as a wrong code [AUTHN-30]";
        const auto opened = challenge(each, {"contract"});
        const auto signed_hash = sign(each, std::string(32, 'x'));
        const auto disabled = set_disabled(each, true);
        for (const auto& error : {opened.error(), signed_hash.error(), disabled.error()}) {
            EXPECT_EQ(error.code, Errc::parameter_invalid);
            EXPECT_EQ(error.detail, "no such credential");
            EXPECT_EQ(error.parameter.name, "credentialID");
        }
    }
}

TEST_F(EnrolmentTest, WithTheTokenAwayAKeyIsRefusedAndMadeLater) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
    tokens.take_away();
    EXPECT_EQ(create_key(grant.enrolment).error().code, Errc::token_away);
    tokens.bring_back();
    wait_until_reachable(*running->sam_token);
    wait_until_reachable(*running->signer_token);
    EXPECT_TRUE(create_key(grant.enrolment));
}

// A crash between the key in the token and its record: dropped and reopened on the same store and token.
TEST_F(EnrolmentTest, QSCD_07_AKeyThatWasIntendedAndNotRecordedIsSweptAtStart) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
    stop();
    const auto orphan = random_fixed<CkaId>();
    in_store([&](Ledger& ledger) {
        auto cell = *ledger.credential(ledger.credential_of(grant.enrolment)).value();
        cell.set_state(cell::Credential::KEY_INTENDED);
        cell.set_shard(1);
        cell.set_token("qscd-signers-1");
        cell.set_cka_id(string_of(orphan.bytes()));
        ledger.put(cell);
        ledger.record({Event::key_intended, "bootstrap", CredentialId::from(view_of(cell.id()))});
    });
    ASSERT_TRUE(tokens.open("qscd-signers-1")->generate(KeyKind::p256, orphan, "x"));
    start();
    const auto swept = records("key-swept");
    ASSERT_EQ(swept.size(), 1u);
    EXPECT_EQ(field(swept[0], "cka_id"), orphan.hex());
    EXPECT_TRUE(running->signer_token->private_keys().value().empty());
    ASSERT_TRUE(create_key(grant.enrolment));
    const auto keys = running->signer_token->private_keys().value();
    ASSERT_EQ(keys.size(), 1u);
    EXPECT_NE(keys[0], orphan);
}

TEST_F(EnrolmentTest, TwoWhoAskForOneKeyAtOnceGetOneKey) {
    const auto grant = grant_for(anna());
    ASSERT_TRUE(begin(desk.sign(grant)));
    ASSERT_TRUE(set_factors(grant.enrolment, "4815", last_code(anna().phone)));
    std::atomic<int> good = 0;
    std::vector<std::thread> askers;
    for (int i = 0; i < 4; ++i) askers.emplace_back([&] { good += create_key(grant.enrolment) ? 1 : 0; });
    for (auto& asker : askers) asker.join();
    EXPECT_GE(good, 1);
    EXPECT_EQ(running->signer_token->private_keys().value().size(), 1u);
    EXPECT_TRUE(create_key(grant.enrolment));
}

}  // namespace
}  // namespace qscd::sam
