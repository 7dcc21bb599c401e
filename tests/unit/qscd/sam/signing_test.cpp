// From a SAD token to signatures: intent, signature, result, and only then the answer; nothing twice.
#include <latch>

#include "hsm/signature_check.hpp"
#include "protocol/message.hpp"
#include "qscd/sam/activation/sad_verifier.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

struct SigningTest : TrialSam {
    Credential credential = enrol(anna());

    Errc refusal(const Result<pb::Signatures>& result) { return result ? Errc{} : result.error().code; }
    CkaId key_in_token() { return running->signer_token->private_keys().value().at(0); }
};

TEST_F(SigningTest, SIG_SignsEachHashInOrder) {
    const auto sad = approved(credential, {"a", "b", "a"});
    const auto signatures = sign(credential, sad, {"a", "a", "b"});
    ASSERT_TRUE(signatures) << describe(signatures.error());
    ASSERT_EQ(signatures.value().signatures_size(), 3);
    EXPECT_TRUE(verifies(credential, "a", signatures.value().signatures(0)));
    EXPECT_TRUE(verifies(credential, "a", signatures.value().signatures(1)));
    EXPECT_TRUE(verifies(credential, "b", signatures.value().signatures(2)));
}

TEST_F(SigningTest, AUD_03_TheIntentComesBeforeTheResultInABatchOfItsOwn) {
    ASSERT_TRUE(sign(credential, approved(credential)));
    const auto intent = records("sign-intent").at(0), result = records("signed").at(0);
    EXPECT_EQ(field(result, "intent"), std::to_string(intent.seq()));
    EXPECT_EQ(result.predecessor(), intent.seq() + 1);
    const auto all = records();
    EXPECT_TRUE(std::any_of(all.begin() + static_cast<std::ptrdiff_t>(intent.seq()),
                            all.begin() + static_cast<std::ptrdiff_t>(result.seq()),
                            [](const auto& record) { return record.type() == "closing"; }));
}

TEST_F(SigningTest, SAM_02_ASadTokenIsUsedInPartsAndUp) {
    const auto sad = approved(credential, {"a", "b"});
    EXPECT_TRUE(sign(credential, sad, {"b"}));
    EXPECT_EQ(refusal(sign(credential, sad, {"b"})), Errc::hash_not_authorised);
    stop();
    start();
    EXPECT_EQ(refusal(sign(credential, sad, {"b"})), Errc::hash_not_authorised) << "a restart gives nothing back";
    EXPECT_TRUE(sign(credential, sad, {"a"})) << "nor does it take away";
    EXPECT_EQ(refusal(sign(credential, sad, {"a"})), Errc::hash_not_authorised);
}

TEST_F(SigningTest, SAM_01_OneChangeAndNothingIsSigned) {
    const auto sad = approved(credential);
    const auto of_boris = enrol(boris());
    EXPECT_EQ(refusal(sign(of_boris, sad)), Errc::parameter_invalid);
    EXPECT_EQ(refusal(sign(credential, sad, {"contract"}, "", Scheme::ecdsa, "other-portal")), Errc::parameter_invalid);
    EXPECT_EQ(refusal(sign(credential, wrong(sad))), Errc::parameter_invalid);
    EXPECT_EQ(refusal(sign(credential, "")), Errc::parameter_invalid);
    EXPECT_EQ(refusal(sign(credential, sad, {"another"})), Errc::hash_not_authorised);
    EXPECT_EQ(refusal(sign(credential, sad, {"contract", "contract"})), Errc::hash_not_authorised);
    EXPECT_EQ(refusal(sign(credential, sad, {})), Errc::hashes_empty);
    EXPECT_EQ(refusal(sign(credential, sad, {"contract"}, "", Scheme::rsa_pss)), Errc::parameter_invalid);
    EXPECT_TRUE(records("sign-intent").empty());
    EXPECT_TRUE(sign(credential, sad)) << "and none of it used the SAD token up";
}

TEST_F(SigningTest, SAM_06_AnExpiredSadTokenSignsNothing) {
    const auto sad = approved(credential);
    clock.advance(120s);
    EXPECT_EQ(refusal(sign(credential, sad)), Errc::sad_expired);
}

TEST_F(SigningTest, QSCD_28_TheStatusIsOurOwnAtTheTimeOfSigning) {
    const auto sad = approved(credential);
    ASSERT_TRUE(set_disabled(credential, true));
    EXPECT_EQ(refusal(sign(credential, sad)), Errc::credential_disabled);
    ASSERT_TRUE(set_disabled(credential, false));
    EXPECT_TRUE(sign(credential, sad));
}

TEST_F(SigningTest, AnRsaKeySignsUnderBothItsSchemes) {
    auto grant = grant_for(boris());
    grant.key_kind = KeyKind::rsa3072;
    ASSERT_TRUE(begin(desk.sign(grant)));
    const auto factors = set_factors(grant.enrolment, "48151623", last_code(boris().phone)).value();
    pb::KeyProof proof;
    proof.ParseFromString(create_key(grant.enrolment).value().paper().body());
    ASSERT_TRUE(activate(grant.enrolment, certificate_for(grant, bytes_of(proof.public_key()))));
    const Credential rsa{*CredentialId::from(view_of(proof.credential())),
                         grant.enrolment,
                         bytes_of(proof.public_key()),
                         bytes_of(factors.totp_secret()),
                         {},
                         ""};
    const auto sad = approved(rsa, {"a", "a", "a"});
    const auto pkcs1 = sign(rsa, sad, {"a"}, "", Scheme::rsa_pkcs1);
    ASSERT_TRUE(pkcs1);
    EXPECT_TRUE(verifies(rsa, "a", pkcs1.value().signatures(0)));
    const auto pss = sign(rsa, sad, {"a"}, "", Scheme::rsa_pss);
    ASSERT_TRUE(pss);
    EXPECT_FALSE(verifies(rsa, "a", pss.value().signatures(0)));
    EXPECT_TRUE(hsm::verifies(*public_key_from_der(rsa.public_key).value(), Scheme::rsa_pss, hash_of("a"),
                              view_of(pss.value().signatures(0))));
    EXPECT_EQ(refusal(sign(rsa, sad, {"a"}, "", Scheme::ecdsa)), Errc::parameter_invalid);
}

TEST_F(SigningTest, SAM_02_TwoRequestsForOneOccurrenceRaceAndOneWins) {
    const auto sad = approved(credential);
    SigningService service{running->sam};
    std::latch hold{1}, done{2};
    std::atomic<int> good = 0, refused = 0;
    auto& core = *running->core;
    core.post([&](Ledger&) { hold.wait(); }, [](const Error&) {});
    for (int i = 0; i < 2; ++i) {
        auto ask = std::make_shared<SignRequest>(SignRequest{ClientId::from("portal").value(),
                                                             credential.id,
                                                             SecretBytes{sad},
                                                             {hash_of("contract")},
                                                             Scheme::ecdsa,
                                                             ""});
        core.post(
            [&, ask](Ledger& ledger) {
                service.sign(ledger, ask, [&](const Result<SignatureList>& result) {
                    ++(result ? good : refused);
                    done.count_down();
                });
            },
            [](const Error&) {});
    }
    hold.count_down();
    done.wait();
    EXPECT_EQ(good, 1);
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(records("sign-intent").size(), 1u);
    running->core->stop();
}

TEST_F(SigningTest, SAM_02_ManyAtOnceGiveAsManySignaturesAsWereApproved) {
    const auto sad = approved(credential, {"a", "a", "b", "c", "d"});
    std::atomic<int> good = 0;
    std::vector<std::thread> askers;
    for (int i = 0; i < 4; ++i)
        askers.emplace_back([&] {
            for (const auto* document : {"a", "b", "c", "d"}) good += sign(credential, sad, {document}) ? 1 : 0;
        });
    for (auto& asker : askers) asker.join();
    EXPECT_EQ(good, 5);
    EXPECT_EQ(records("sign-intent").size(), 5u);
    EXPECT_EQ(records("signed").size(), 5u);
}

TEST_F(SigningTest, SIG_20_ARepeatWithItsKeyGivesTheSameBytesAndSignsNothing) {
    const auto sad = approved(credential, {"a", "b"});
    const auto first = sign(credential, sad, {"a", "b"}, "key-1");
    ASSERT_TRUE(first);
    const auto again = sign(credential, sad, {"a", "b"}, "key-1");
    ASSERT_TRUE(again) << describe(again.error());
    EXPECT_EQ(again.value().SerializeAsString(), first.value().SerializeAsString());
    stop();
    start();
    clock.advance(200s);
    const auto later = sign(credential, sad, {"a", "b"}, "key-1");
    ASSERT_TRUE(later) << "also after a restart, also after the SAD token has expired";
    EXPECT_EQ(later.value().SerializeAsString(), first.value().SerializeAsString());
    EXPECT_EQ(records("sign-intent").size(), 1u);
    EXPECT_EQ(refusal(sign(credential, sad, {"b", "a"}, "key-1")), Errc::parameter_invalid);
    EXPECT_EQ(refusal(sign(credential, sad, {"a", "b"}, "key-1", Scheme::ecdsa, "other-portal")),
              Errc::parameter_invalid);
}

TEST_F(SigningTest, AFailureBeforeTheModuleSignedGivesTheHashesBack) {
    const auto sad = approved(credential);
    tokens.take_away();
    EXPECT_EQ(refusal(sign(credential, sad, {"contract"}, "key-1")), Errc::token_away);
    tokens.bring_back();
    wait_until_reachable(*running->sam_token);
    wait_until_reachable(*running->signer_token);
    EXPECT_TRUE(sign(credential, sad, {"contract"}, "key-1"));
}

TEST_F(SigningTest, AKeyThatIsGoneIsOurFaultAndCostsNothing) {
    const auto sad = approved(credential);
    ASSERT_TRUE(running->signer_token->destroy(key_in_token()));
    EXPECT_EQ(refusal(sign(credential, sad, {"contract"}, "key-1")), Errc::internal);
    EXPECT_EQ(refusal(sign(credential, sad, {"contract"}, "key-1")), Errc::internal);
    const auto failed = records("sign-failed");
    ASSERT_EQ(failed.size(), 2u);
    EXPECT_EQ(failed[0].result(), "internal");
    EXPECT_EQ(field(failed[0], "intent"), std::to_string(records("sign-intent").at(0).seq()));
}

TEST_F(SigningTest, QSCD_26_ASignatureThatDoesNotVerifyIsNotReleasedAndDisablesTheCredential) {
    const auto sad = approved(credential, {"a", "a"});
    const auto id = key_in_token();
    ASSERT_TRUE(running->signer_token->destroy(id));
    ASSERT_TRUE(running->signer_token->generate(KeyKind::p256, id, "another key in its place"));
    EXPECT_EQ(refusal(sign(credential, sad, {"a"}, "key-1")), Errc::internal);
    EXPECT_EQ(refusal(sign(credential, sad, {"a"})), Errc::credential_disabled);
    EXPECT_EQ(refusal(sign(credential, sad, {"a"}, "key-1")), Errc::internal) << "its outcome stays what it was";
    EXPECT_EQ(records("signature-does-not-verify").size(), 1u);
    EXPECT_TRUE(records("signed").empty());
}

// A crash between the intent and the result: the token may have signed.
TEST_F(SigningTest, AnOutcomeThatIsNotKnownCountsAsUsed) {
    const auto sad = approved(credential, {"a", "b"});
    stop();
    std::uint64_t intent = 0;
    in_store([&](Ledger& ledger) {
        auto cell = *ledger.credential(credential.id).value();
        const SignRequest ask{
            ClientId::from("portal").value(), credential.id, SecretBytes{sad}, {hash_of("a")}, Scheme::ecdsa, "key-1"};
        ASSERT_TRUE(SadVerifier::verify(cell, ask, clock.now()));
        ledger.put(cell);
        intent = ledger.next_seq();
        ledger.record({Event::sign_intent, "portal", credential.id});
    });
    start();
    EXPECT_EQ(refusal(sign(credential, sad, {"a"}, "key-1")), Errc::internal);
    EXPECT_EQ(refusal(sign(credential, sad, {"a"})), Errc::hash_not_authorised);
    EXPECT_TRUE(sign(credential, sad, {"b"}));
    const auto unknown = records("sign-outcome-unknown");
    ASSERT_EQ(unknown.size(), 1u);
    EXPECT_EQ(field(unknown[0], "intent"), std::to_string(intent));
    stop();
    start();
    EXPECT_EQ(records("sign-outcome-unknown").size(), 1u) << "once";
}

TEST_F(SigningTest, AnExpiredCertificateSignsNothing) {
    clock.set(noon + std::chrono::days{365} - 60s);
    const auto sad = approved(credential);
    clock.set(noon + std::chrono::days{365} + 1s);
    EXPECT_EQ(refusal(sign(credential, sad)), Errc::certificate_expired);
}

}  // namespace
}  // namespace qscd::sam
