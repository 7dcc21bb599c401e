#include "ca/registration/registration.hpp"

#include "authn/password.hpp"
#include "base/file.hpp"
#include "ca/registration/contact.hpp"
#include "ca/registration/requests.hpp"
#include "protocol/message.hpp"
#include "protocol/sam.pb.h"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

struct RegistrationTest : ::testing::Test {
    Folder folder;
    Desk desk;
    FixedClock clock{at(2026, 11, 20)};
    std::unique_ptr<RegistrationStore> store =
        RegistrationStore::open(instruments::place_of(folder / "rad.sqlite")).value();
    std::string public_base = "http://pki.qscd-test.example";
    RuleKeySigner rule_key = [this](ByteView message) -> Result<RuleSignature> {
        QSCD_TRY(auto signature, sign_message(*desk.rule, message));
        return RuleSignature{protocol::key_id_of(*desk.rule), std::move(signature)};
    };
    std::unique_ptr<Registration> rad() {
        return std::make_unique<Registration>(
            Registration::Parts{trial_policy(public_base), desk.trusted(), *store,
                                [this](ByteView message) { return rule_key(message); }, clock, std::chrono::days{7}});
    }
    std::unique_ptr<Registration> registration = rad();
    const Sha256Digest terms = sha256(view_of("terms"));

    Result<Account> add(const std::string& username, const std::string& email, const std::string& phone) {
        return registration->add_account(username, SecretBytes{std::string_view{"correct horse"}}, email, phone);
    }
    void SetUp() override { ASSERT_TRUE(add("anna", "anna@qscd-test.example", "+436601234567")); }

    static pb::CreateRequest request_for(const std::string& profile) {
        pb::CreateRequest out;
        out.set_username("anna");
        out.mutable_subject()->set_country(anna.country);
        out.mutable_subject()->set_given_name(anna.given_name);
        out.mutable_subject()->set_surname(anna.surname);
        out.mutable_subject()->set_serial_number(anna.serial_number);
        out.mutable_subject()->set_common_name(anna.common_name);
        out.set_profile(profile);
        out.set_key_kind(static_cast<unsigned>(KeyKind::p256));
        out.set_proofing("demo");
        out.set_evidence_digest(std::string(32, 'e'));
        return out;
    }
    Registration::Created accepted(const std::string& profile) {
        auto created = registration->create_request(request_for(profile)).value();
        EXPECT_TRUE(registration->record_acceptance(created.enrolment, terms, "en"));
        return created;
    }
    Result<void> approve_by(EVP_PKEY& key, const Registration::Created& created) {
        const auto signature = sign_message(key, protocol::message_of_grant(created.grant_body)).value();
        return registration->approve(created.enrolment, protocol::key_id_of(key).bytes(), signature);
    }
    template <class T>
    static Errc code_of(const Result<T>& result) {
        return result ? Errc{} : result.error().code;
    }
};

TEST_F(RegistrationTest, TheSameAccountAgainIsTheSameAccount) {
    const auto first = registration->find_signer("anna").value();
    EXPECT_EQ(add("anna", "anna@qscd-test.example", "+436601234567").value().signer, first.signer);
    registration = rad();
    EXPECT_EQ(registration->find_signer("anna").value().signer, first.signer);
}

TEST_F(RegistrationTest, AUTHN_25_AUTHN_26_AClashIsRefusedAndDoesNotTellTheField) {
    const auto name = add("anna", "boris@qscd-test.example", "+436601234568");
    const auto email = add("boris", "anna@qscd-test.example", "+436601234568");
    const auto email_in_capitals = add("boris", "ANNA@QSCD-test.example", "+436601234568");
    const auto phone = add("boris", "boris@qscd-test.example", "+436601234567");
    for (const auto* refused : {&name, &email, &email_in_capitals, &phone}) {
        ASSERT_FALSE(*refused);
        EXPECT_EQ(refused->error().code, Errc::access_denied);
        EXPECT_EQ(refused->error().detail, name.error().detail);
        EXPECT_EQ(refused->error().parameter.name, "");
    }
    EXPECT_TRUE(add("boris", "boris@qscd-test.example", "+436601234568"));
}

TEST_F(RegistrationTest, WhatCannotBeAnAccountIsRefused) {
    for (const auto* username : {"", "Anna", "an na", "ann@", "\xc3\xa4nna"})
        EXPECT_EQ(code_of(add(username, "b@c.example", "+4366012345")), Errc::parameter_invalid) << username;
    EXPECT_EQ(code_of(add(std::string(65, 'a'), "b@c.example", "+4366012345")), Errc::parameter_invalid);
    EXPECT_TRUE(add(std::string(64, 'a'), "b@c.example", "+4366012345"));
    for (const auto* email : {"", "b", "b@", "@c.example", "b@c", "b@@c.example", "b c@d.example", "b@c.example\n"})
        EXPECT_EQ(code_of(add("boris", email, "+4366012346")), Errc::parameter_invalid) << email;
    for (const auto* phone : {"", "+", "06601234567", "+0660123456", "+1234567", "+1234567890123456", "+43660123a"})
        EXPECT_EQ(code_of(add("boris", "b2@c.example", phone)), Errc::parameter_invalid) << phone;
    const auto short_password = registration->add_account("boris", SecretBytes{std::string_view{"1234567"}},
                                                          "b2@c.example", "+4366012346");
    EXPECT_EQ(code_of(short_password), Errc::parameter_invalid);
}

TEST_F(RegistrationTest, APasswordIsKeptAsArgon2idOnly) {
    store.reset();
    std::string stored;
    for (const auto& file : std::filesystem::directory_iterator{folder.path()})
        stored += read_file(file.path()).value();
    for (const auto& [table, rows] : instruments::contents_of(instruments::place_of(folder / "rad.sqlite")))
        for (const auto& row : rows)
            for (const auto& value : row)
                if (const auto* text = std::get_if<std::string>(&value)) stored += *text;
    EXPECT_EQ(stored.find("correct horse"), std::string::npos);
    EXPECT_NE(stored.find("$argon2id$v=19$m=65536,t=3,p=4$"), std::string::npos);
    store = RegistrationStore::open(instruments::place_of(folder / "rad.sqlite")).value();
}

TEST_F(RegistrationTest, AnUnknownSignerIsAWrongUserId) {
    for (const auto* name : {"boris", "", "Anna", "anna' OR '1'='1"}) {
        const auto verdict = registration->find_signer(name);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code, Errc::parameter_invalid);
        EXPECT_EQ(verdict.error().parameter.type, "string");
        EXPECT_EQ(verdict.error().parameter.name, "userID");
    }
}

TEST_F(RegistrationTest, ARequestBecomesTheBodyOfAGrant) {
    const auto created = registration->create_request(request_for("qscd")).value();
    EXPECT_TRUE(created.needs_officer);
    const auto account = registration->find_signer("anna").value();
    const auto grant = protocol::grant_in(created.grant_body).value();
    EXPECT_EQ(grant.enrolment, created.enrolment);
    EXPECT_EQ(grant.signer, account.signer);
    EXPECT_EQ(grant.subject, anna);
    EXPECT_EQ(grant.profile, "qscd");
    EXPECT_EQ(grant.policy_version, trial_policy().version());
    EXPECT_EQ(grant.phone, "+436601234567");
    EXPECT_EQ(grant.phone_device, account.phone_device);
    EXPECT_EQ(grant.app_device, account.app_device);
    EXPECT_EQ(grant.issued_at, clock.now());
    EXPECT_EQ(grant.expires_at, clock.now() + std::chrono::days{7});
    EXPECT_FALSE(registration->create_request(request_for("lcp")).value().needs_officer);
}

TEST_F(RegistrationTest, AProfileWithoutAnAppNamesNoAppDevice) {
    const auto created = registration->create_request(request_for("qscd-sms")).value();
    EXPECT_FALSE(protocol::grant_in(created.grant_body).value().app_device);
}

TEST_F(RegistrationTest, TheSameContentIsTheSameRequestWhileItLives) {
    const auto first = registration->create_request(request_for("qscd")).value();
    EXPECT_EQ(registration->create_request(request_for("qscd")).value().enrolment, first.enrolment);
    auto other = request_for("qscd");
    other.set_evidence_digest(std::string(32, 'f'));
    EXPECT_NE(registration->create_request(other).value().enrolment, first.enrolment);
    clock.advance(std::chrono::days{7});
    EXPECT_NE(registration->create_request(request_for("qscd")).value().enrolment, first.enrolment);
}

TEST_F(RegistrationTest, WhatTheProfileDoesNotAllowIsRefused) {
    const auto code = [&](auto change) {
        auto request = request_for("qscd-sms");
        change(request);
        return code_of(registration->create_request(request));
    };
    EXPECT_EQ(code([](auto&) {}), Errc{});
    EXPECT_EQ(code([](auto& r) { r.set_profile("gold"); }), Errc::parameter_invalid);
    EXPECT_EQ(code([](auto& r) { r.set_key_kind(9); }), Errc::parameter_invalid);
    EXPECT_EQ(code([](auto& r) { r.set_key_kind(static_cast<unsigned>(KeyKind::p384)); }), Errc::access_denied);
    EXPECT_EQ(code([](auto& r) { r.set_proofing("hearsay"); }), Errc::access_denied);
    EXPECT_EQ(code([](auto& r) { r.set_evidence_digest("short"); }), Errc::parameter_invalid);
    EXPECT_EQ(code([](auto& r) { r.set_username("boris"); }), Errc::parameter_invalid);
    EXPECT_EQ(code([](auto& r) { r.mutable_subject()->set_country("AUT"); }), Errc::parameter_invalid);
    EXPECT_EQ(code([](auto& r) { r.mutable_subject()->clear_common_name(); }), Errc::parameter_invalid);
}

TEST_F(RegistrationTest, CA_17_AnOfficersSignatureMakesAQualifiedGrant) {
    const auto created = accepted("qscd");
    ASSERT_TRUE(approve_by(*desk.officer, created));
    const auto paper = registration->grant(created.enrolment).value();
    const auto grant = protocol::verify_grant(paper, desk.trusted(), clock.now());
    ASSERT_TRUE(grant);
    EXPECT_EQ(grant.value().issuer(), protocol::Issuer::registration_officer);
    EXPECT_TRUE(approve_by(*desk.officer, created));  // again changes nothing
    EXPECT_EQ(protocol::encode(registration->grant(created.enrolment).value()), protocol::encode(paper));
}

TEST_F(RegistrationTest, CA_17_ForLcpTheRuleKeySigns) {
    const auto created = accepted("lcp");
    ASSERT_TRUE(registration->approve(created.enrolment, {}, {}));
    const auto grant = protocol::verify_grant(registration->grant(created.enrolment).value(), desk.trusted(),
                                              clock.now());
    EXPECT_EQ(grant.value().issuer(), protocol::Issuer::rule_key);
}

TEST_F(RegistrationTest, CA_17_NobodyElseApproves) {
    const auto created = accepted("qscd");
    EXPECT_EQ(code_of(registration->approve(created.enrolment, {}, {})), Errc::access_denied);  // not by rule
    EXPECT_EQ(code_of(approve_by(*desk.rule, created)), Errc::access_denied);
    EXPECT_EQ(code_of(approve_by(*desk.attestation, created)), Errc::access_denied);
    EXPECT_EQ(code_of(approve_by(*desk.stranger, created)), Errc::access_denied);
    auto other = created;
    other.grant_body.back() ^= 1;
    EXPECT_EQ(code_of(approve_by(*desk.officer, other)), Errc::access_denied);  // signed something else
    EXPECT_EQ(code_of(registration->approve(created.enrolment, view_of("short"), view_of("x"))), Errc::access_denied);
    EXPECT_EQ(code_of(registration->grant(created.enrolment)), Errc::out_of_order);
}

TEST_F(RegistrationTest, CA_35_NoAcceptanceNoGrant) {
    const auto created = registration->create_request(request_for("qscd")).value();
    EXPECT_EQ(code_of(approve_by(*desk.officer, created)), Errc::out_of_order);
    EXPECT_EQ(code_of(registration->grant(created.enrolment)), Errc::out_of_order);
}

TEST_F(RegistrationTest, CA_35_AnAcceptanceIsMadeOnce) {
    const auto created = registration->create_request(request_for("qscd")).value();
    const auto digest = registration->record_acceptance(created.enrolment, terms, "en").value();
    clock.advance(std::chrono::hours{1});
    EXPECT_EQ(registration->record_acceptance(created.enrolment, terms, "en").value(), digest);
    EXPECT_EQ(code_of(registration->record_acceptance(created.enrolment, terms, "de")), Errc::out_of_order);
    EXPECT_EQ(code_of(registration->record_acceptance(created.enrolment, sha256(view_of("other")), "en")),
              Errc::out_of_order);
    EXPECT_EQ(code_of(registration->record_acceptance(created.enrolment, terms, "EN")), Errc::parameter_invalid);
    EXPECT_EQ(code_of(registration->record_acceptance(random_fixed<EnrolmentId>(), terms, "en")),
              Errc::parameter_invalid);
}

TEST_F(RegistrationTest, AfterItsEndNothingHappensToARequest) {
    const auto accepted_one = accepted("qscd");
    const auto fresh = registration->create_request(request_for("lcp")).value();
    clock.advance(std::chrono::days{7});
    EXPECT_EQ(code_of(approve_by(*desk.officer, accepted_one)), Errc::out_of_order);
    EXPECT_EQ(code_of(registration->record_acceptance(fresh.enrolment, terms, "en")), Errc::out_of_order);
}

TEST_F(RegistrationTest, RuleKeyAwayIsTokenAwayAndLaterWorks) {
    const auto created = accepted("lcp");
    const auto working = rule_key;
    rule_key = [](ByteView) -> Result<RuleSignature> { return Error{Errc::token_away, "C_Login"}; };
    EXPECT_EQ(code_of(registration->approve(created.enrolment, {}, {})), Errc::token_away);
    rule_key = working;
    EXPECT_TRUE(registration->approve(created.enrolment, {}, {}));
}

TEST_F(RegistrationTest, RA_48_TheGrantIsTakenByTheCa) {
    const auto created = accepted("qscd");
    ASSERT_TRUE(approve_by(*desk.officer, created));
    TrialCa ca;
    auto enrolment = ca.enrolment();
    enrolment.proof.enrolment = created.enrolment;
    enrolment.proof.grant = sha256(protocol::message_of_grant(created.grant_body));
    const auto proof = sign_paper(protocol::to_paper(enrolment.proof), *desk.attestation);
    Issuing issuing{{trial_policy(), registry_of(trial_entry), desk.trusted(), ca.pki.hierarchy, *ca.certificates,
                     ca.keys, clock, random_serial}};
    const auto issued = issuing.issue(registration->grant(created.enrolment).value(), proof);
    EXPECT_TRUE(issued) << issued.error().detail;
}

struct RaRequestsTest : RegistrationTest {
    RaRequests requests{{*registration, [] { return true; }}};
    Result<RaRequests::Reply> ask(const pb::RaRequest& request, std::string_view role) {
        return requests.answer(role, protocol::encode(request));
    }
};

TEST_F(RaRequestsTest, WalkThroughByMessages) {
    pb::RaRequest request;
    *request.mutable_create_request() = request_for("lcp");
    const auto created = ask(request, "bootstrap");
    const auto enrolment = dynamic_cast<const pb::RequestCreated&>(*created.value()).enrolment();
    request.mutable_record_acceptance()->set_enrolment(enrolment);
    request.mutable_record_acceptance()->set_terms_digest(std::string(32, 't'));
    request.mutable_record_acceptance()->set_language("en");
    const auto recorded = ask(request, "bootstrap");
    EXPECT_EQ(dynamic_cast<const pb::AcceptanceRecorded&>(*recorded.value()).acceptance_digest().size(), 32U);
    request.mutable_approve()->set_enrolment(enrolment);
    const auto approved = ask(request, "bootstrap");
    EXPECT_FALSE(dynamic_cast<const pb::SignedPaper&>(*approved.value()).paper().signature().empty());
    request.mutable_get_grant()->set_enrolment(enrolment);
    const auto given = ask(request, "bootstrap");
    EXPECT_TRUE(protocol::verify_grant(dynamic_cast<const pb::SignedPaper&>(*given.value()).paper(), desk.trusted(),
                                       clock.now()));
}

TEST_F(RaRequestsTest, TheGatewayMayFindSignersAndAskForHealth) {
    pb::RaRequest find, health, add, create, grant;
    find.mutable_find_signer()->set_username("anna");
    health.mutable_health();
    add.mutable_add_account()->set_username("boris");
    create.mutable_create_request();
    grant.mutable_get_grant()->set_enrolment(std::string(16, 'x'));
    for (const auto* allowed : {&find, &health}) EXPECT_TRUE(ask(*allowed, "gatewayd"));
    for (const auto* refused : {&add, &create, &grant})
        EXPECT_EQ(code_of(ask(*refused, "gatewayd")), Errc::access_denied);
    for (const auto* each : {&find, &health, &add}) EXPECT_EQ(code_of(ask(*each, "samd")), Errc::access_denied);
    EXPECT_EQ(code_of(ask(pb::RaRequest{}, "bootstrap")), Errc::access_denied);
    EXPECT_FALSE(requests.answer("bootstrap", view_of("\xff")));
}

TEST(Password, VerifiesItselfAndNothingElse) {
    const SecretBytes right{std::string_view{"correct horse"}}, wrong{std::string_view{"correct hors"}};
    const auto encoded = authn::hash_password(right).value();
    EXPECT_TRUE(encoded.starts_with("$argon2id$v=19$m=65536,t=3,p=4$")) << encoded;  // RFC 9106, second option
    EXPECT_TRUE(authn::verify_password(encoded, right));
    EXPECT_FALSE(authn::verify_password(encoded, wrong));
    EXPECT_FALSE(authn::verify_password("", right));
    EXPECT_FALSE(authn::verify_password("$argon2id$nonsense", right));
    EXPECT_NE(authn::hash_password(right).value(), encoded);  // a fresh salt
}

TEST(Password, HasEightTo128Bytes) {
    const auto hashes = [](std::size_t size) {
        return authn::hash_password(SecretBytes{std::string(size, 'x')}).has_value();
    };
    EXPECT_FALSE(hashes(7));
    EXPECT_TRUE(hashes(8));
    EXPECT_TRUE(hashes(128));
    EXPECT_FALSE(hashes(129));
}

}  // namespace
}  // namespace qscd::ca
