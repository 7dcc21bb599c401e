#include "ca/issuing/issuing.hpp"

#include "ca/issuing/module_claim.hpp"
#include "ca/issuing/requests.hpp"
#include "protocol/message.hpp"
#include "protocol/sam.pb.h"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

std::size_t rows_of(TrialCa& ca) { return ca.certificates->list(0, 100).value().size(); }

TEST(Issuing, IssuesUnderTheAuthorityOfTheType) {
    TrialCa ca;
    for (const auto* profile : {"qscd", "qcp-n", "lcp"}) {
        const auto enrolment = ca.enrolment(profile);
        const auto issued = ca.issue(enrolment);
        ASSERT_TRUE(issued) << issued.error().detail;
        const auto certificate = certificate_from_der(issued.value().certificate).value();
        const auto& authority = authority_for(std::string_view{profile} != "lcp");
        EXPECT_EQ(X509_verify(certificate.get(), ca.pki.key_of(authority).get()), 1);
        EXPECT_EQ(der_of(*X509_get_X509_PUBKEY(certificate.get()), i2d_X509_PUBKEY), enrolment.proof.public_key);
        EXPECT_EQ(issued.value().chain, (std::vector{der_of(ca.pki.hierarchy.issuing(authority), i2d_X509),
                                                     der_of(*ca.pki.hierarchy.root, i2d_X509)}));
        EXPECT_EQ(ca.certificates->find(enrolment.grant.enrolment).value()->state, RegisterState::issued);
    }
}

TEST(Issuing, SamePapersGiveTheSameCertificate) {
    TrialCa ca;
    const auto papers = ca.enrolment().sign(ca.desk);
    const auto first = ca.issue(papers).value().certificate;
    ca.clock.advance(std::chrono::hours{1});
    EXPECT_EQ(ca.issue(papers).value().certificate, first);
    EXPECT_EQ(rows_of(ca), 1U);
}

TEST(Issuing, CA_17_TheRuleKeyApprovesLcp) {
    TrialCa ca;
    EXPECT_TRUE(ca.issue(ca.enrolment("lcp").sign(*ca.desk.rule, *ca.desk.attestation)));
}

// Take good papers, change one thing, and there is no certificate and no reservation.
struct Change {
    const char* name;
    Errc refusal;
    std::function<void(Enrolment&)> make;
};
const Change changes[] = {
    {"ProofForAnotherGrant", Errc::paper_refused, [](auto& e) { e.proof_names_its_grant = false; }},
    {"ProofForAnotherEnrolment", Errc::paper_refused, [](auto& e) { e.proof.enrolment = random_fixed<EnrolmentId>(); }},
    {"ProofForAnotherKindOfKey", Errc::paper_refused, [](auto& e) { e.proof.key_kind = KeyKind::p384; }},
    {"KeyOfAnotherKindThanTheProofSays", Errc::paper_refused,
     [](auto& e) { e.proof.public_key = spki_of(*software_key(KeyKind::p384)); }},
    {"ProofOlderThanItsGrant", Errc::paper_refused,
     [](auto& e) { e.proof.made_at = e.grant.issued_at - std::chrono::hours{1}; }},
    {"ProofFromTheFuture", Errc::paper_refused, [](auto& e) { e.proof.made_at += std::chrono::hours{1}; }},
    {"GrantExpired", Errc::paper_refused, [](auto& e) { e.grant.expires_at = e.proof.made_at; }},
    {"GrantFromTheFuture", Errc::paper_refused, [](auto& e) { e.grant.issued_at += std::chrono::hours{2}; }},
    {"AnotherPolicy", Errc::paper_refused, [](auto& e) { e.grant.policy_version = sha256(view_of("other")); }},
    {"UnknownProfile", Errc::paper_refused, [](auto& e) { e.grant.profile = "gold"; }},
    {"KindTheProfileDoesNotAllow", Errc::access_denied,
     [](auto& e) {
         e.grant.profile = "qscd-sms";
         e.grant.key_kind = e.proof.key_kind = KeyKind::p384;
         e.proof.public_key = spki_of(*software_key(KeyKind::p384));
     }},
    {"SubjectWithAControlCharacter", Errc::paper_refused, [](auto& e) { e.grant.subject.surname = "a\nb"; }},
    {"SubjectWithoutSemanticSerial", Errc::paper_refused, [](auto& e) { e.grant.subject.serial_number = "12345"; }},
    {"ModuleNobodyKnows", Errc::access_denied, [](auto& e) { e.proof.module_entry = "luna"; }},
    {"KeyNotSensitive", Errc::paper_refused, [](auto& e) { e.proof.attributes[2].second = "false"; }},
    {"KeyExtractable", Errc::paper_refused, [](auto& e) { e.proof.attributes[3].second = "true"; }},
    {"KeyOnceExtractable", Errc::paper_refused, [](auto& e) { e.proof.attributes[11].second = "false"; }},
    {"KeyNotMadeInTheModule", Errc::paper_refused, [](auto& e) { e.proof.attributes[12].second = "false"; }},
    {"AttributeUnsaid", Errc::paper_refused, [](auto& e) { e.proof.attributes.pop_back(); }},
    {"AttributeSaidTwice", Errc::paper_refused, [](auto& e) { e.proof.attributes.emplace_back("CKA_LOCAL", "true"); }},
    {"ModuleModelDiffers", Errc::access_denied,
     [](auto& e) { e.proof.attributes.emplace_back(attested_model, "Luna K7"); }},
};
struct ChangedPapers : ::testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(, ChangedPapers, ::testing::ValuesIn(changes),
                         [](const auto& test) { return test.param.name; });
TEST_P(ChangedPapers, QSCD_08_RA_48_GiveNoCertificate) {
    TrialCa ca;
    auto enrolment = ca.enrolment();
    GetParam().make(enrolment);
    const auto verdict = ca.issue(enrolment);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, GetParam().refusal) << verdict.error().detail;
    EXPECT_EQ(rows_of(ca), 0U);
}

TEST(Issuing, CA_17_TheRuleKeyDoesNotApproveQualifiedCertificates) {
    for (const auto* profile : {"qscd", "qcp-n"}) {
        TrialCa ca;
        const auto verdict = ca.issue(ca.enrolment(profile).sign(*ca.desk.rule, *ca.desk.attestation));
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code, Errc::access_denied);
    }
}

TEST(Issuing, CA_17_OnlyTheRightKeysMakeItsPapers) {
    TrialCa ca;
    const auto enrolment = ca.enrolment();
    auto& desk = ca.desk;
    const auto refused = [&](EVP_PKEY& approver, EVP_PKEY& attestation) {
        const auto verdict = ca.issue(enrolment.sign(approver, attestation));
        return !verdict && verdict.error().code == Errc::paper_refused;
    };
    EXPECT_TRUE(refused(*desk.stranger, *desk.attestation));
    EXPECT_TRUE(refused(*desk.attestation, *desk.attestation));
    EXPECT_TRUE(refused(*desk.officer, *desk.officer));
    EXPECT_TRUE(refused(*desk.officer, *desk.rule));
    EXPECT_TRUE(refused(*desk.officer, *desk.stranger));
    EXPECT_FALSE(refused(*desk.officer, *desk.attestation));
}

TEST(Issuing, QSCD_08_CorruptedAndTruncatedPapersAreRefused) {
    TrialCa ca;
    const auto good = ca.enrolment().sign(ca.desk);
    const auto refused = [&](const Enrolment::Papers& papers) {
        const auto verdict = ca.issue(papers);
        return !verdict && verdict.error().code == Errc::paper_refused;
    };
    for (auto paper : {&Enrolment::Papers::grant, &Enrolment::Papers::proof}) {
        const auto size = (good.*paper).body().size();
        for (std::size_t i = 0; i < size; i += 7) {
            auto flipped = good, cut = good;
            (*(flipped.*paper).mutable_body())[i] ^= 1;
            (cut.*paper).mutable_body()->resize(i);
            EXPECT_TRUE(refused(flipped)) << i;
            EXPECT_TRUE(refused(cut)) << i;
        }
        auto signature = good, key = good, empty = good;
        (*(signature.*paper).mutable_signature())[20] ^= 1;
        (*(key.*paper).mutable_key_id())[0] ^= 1;
        (empty.*paper).Clear();
        EXPECT_TRUE(refused(signature));
        EXPECT_TRUE(refused(key));
        EXPECT_TRUE(refused(empty));
    }
    EXPECT_EQ(rows_of(ca), 0U);
    EXPECT_TRUE(ca.issue(good));
}

TEST(Issuing, RA_48_PapersOfTwoEnrolmentsDoNotMix) {
    TrialCa ca;
    const auto anna_asks = ca.enrolment().sign(ca.desk), boris_asks = ca.enrolment().sign(ca.desk);
    EXPECT_FALSE(ca.issue({anna_asks.grant, boris_asks.proof}));
    EXPECT_FALSE(ca.issue({anna_asks.proof, anna_asks.grant}));  // one is not the other
    EXPECT_EQ(rows_of(ca), 0U);
}

TEST(Issuing, SameEnrolmentWithAnotherPaperIsRefused) {
    TrialCa ca;
    auto enrolment = ca.enrolment();
    ASSERT_TRUE(ca.issue(enrolment));
    auto other_key = enrolment, other_name = enrolment;
    other_key.proof.public_key = spki_of(*software_key(KeyKind::p256));
    other_name.grant.subject.surname = "Other";
    for (const auto& other : {other_key, other_name}) {
        const auto verdict = ca.issue(other);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code, Errc::paper_refused);
    }
}

TEST(Issuing, QSCD_09_APublicKeyIsCertifiedOnce) {
    TrialCa ca;
    const auto first = ca.enrolment();
    ASSERT_TRUE(ca.issue(first));
    auto same_key = ca.enrolment(), same_credential = ca.enrolment();
    same_key.proof.public_key = first.proof.public_key;
    same_credential.proof.credential = first.proof.credential;
    for (const auto& other : {same_key, same_credential}) {
        const auto verdict = ca.issue(other);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code, Errc::paper_refused);
    }
    EXPECT_EQ(rows_of(ca), 1U);
}

TEST(Issuing, QSCD_10_WeakAndOddKeysAreRefused) {
    TrialCa ca;
    const auto refused = [&](KeyKind kind, Bytes public_key) {
        auto enrolment = ca.enrolment("qscd", kind);
        enrolment.proof.public_key = std::move(public_key);
        const auto verdict = ca.issue(enrolment);
        return !verdict && verdict.error().code == Errc::paper_refused;
    };
    EXPECT_TRUE(refused(KeyKind::rsa3072, spki_of(*EvpPkey{EVP_RSA_gen(2048)})));
    EXPECT_TRUE(refused(KeyKind::p256, spki_of(*EvpPkey{EVP_EC_gen("secp256k1")})));
    EXPECT_TRUE(refused(KeyKind::p256, spki_of(*EvpPkey{EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")})));
    auto trailing = spki_of(*software_key(KeyKind::p256));
    trailing.push_back(0);
    EXPECT_TRUE(refused(KeyKind::p256, trailing));
}

// QSCD-03: which [qscd] entry of the module registry lets a certificate say QcSSCD, under which CA.
struct Entry {
    const char* name;
    const char* table;
    const char* ca;
    bool attested, issues;
};
const std::string digest_a(64, 'a');
constexpr const char* certified =
    "[qscd]\ntrial = false\ncertificate = \"C-1\"\nfirmware = \"2.6\"\nexpires = 2030-12-31\n"
    "sam_build = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n"
    "configuration = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n";
constexpr const char* expired =
    "[qscd]\ntrial = false\ncertificate = \"C-1\"\nfirmware = \"2.6\"\nexpires = 2026-11-19\n"
    "sam_build = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n"
    "configuration = \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n";
struct QscdEntryRule : ::testing::TestWithParam<Entry> {};
INSTANTIATE_TEST_SUITE_P(, QscdEntryRule,
                         ::testing::Values(Entry{"TrialUnderATestCa", "[qscd]\ntrial = true\n", "TEST", false, true},
                                           Entry{"TrialUnderAnotherCa", "[qscd]\ntrial = true\n", "Real", true, false},
                                           Entry{"NoEntry", "", "TEST", true, false},
                                           Entry{"CertifiedAndAttested", certified, "Real", true, true},
                                           Entry{"CertifiedButNotAttested", certified, "Real", false, false},
                                           Entry{"Expired", expired, "Real", true, false}),
                         [](const auto& test) { return test.param.name; });
TEST_P(QscdEntryRule, QSCD_03_CA_11_DecidesQcSscd) {
    TrialCa ca{GetParam().ca};
    ca.modules = GetParam().table;
    auto enrolment = ca.enrolment("qscd");
    if (GetParam().attested)
        for (const auto& [name, value] :
             {std::pair{attested_model, std::string{"SoftHSM v2"}}, std::pair{attested_firmware, std::string{"2.6"}},
              std::pair{attested_sam_build, digest_a}, std::pair{attested_configuration, digest_a}})
            enrolment.proof.attributes.emplace_back(name, value);
    const auto verdict = ca.issue(enrolment);
    EXPECT_EQ(verdict.has_value(), GetParam().issues);
    if (!verdict) EXPECT_EQ(verdict.error().code, Errc::access_denied) << verdict.error().detail;
    EXPECT_TRUE(ca.issue(ca.enrolment("qcp-n")));  // which needs no entry
}

TEST(QscdEntry, QSCD_03_EachAttestedFieldMustMatch) {
    for (const auto* differs : {"module.model", "module.firmware", "sam.build", "module.configuration"}) {
        TrialCa ca{"Real"};
        ca.modules = certified;
        auto enrolment = ca.enrolment("qscd");
        for (const auto& [name, value] :
             {std::pair{attested_model, std::string{"SoftHSM v2"}}, std::pair{attested_firmware, std::string{"2.6"}},
              std::pair{attested_sam_build, digest_a}, std::pair{attested_configuration, digest_a}})
            enrolment.proof.attributes.emplace_back(name, name == differs ? std::string(64, 'b') : value);
        EXPECT_FALSE(ca.issue(enrolment)) << differs;
    }
}

TEST(Issuing, CA_08_ACertificateThatWouldOutliveItsIssuerIsRefused) {
    TrialCa ca;
    ca.clock.set(at(2033, 1, 2));
    const auto verdict = ca.issue(ca.enrolment());
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::access_denied);
    EXPECT_EQ(rows_of(ca), 0U);
}

TEST(Issuing, ACrashBetweenReservationAndSignatureIsFinishedWithTheSameBytes) {
    TrialCa ca;
    const auto papers = ca.enrolment().sign(ca.desk);
    const auto working = ca.keys;
    ca.keys = [](const Authority&) -> Result<std::shared_ptr<EVP_PKEY>> { return Error{Errc::token_away, "C_Login"}; };
    const auto away = ca.issue(papers);
    ASSERT_FALSE(away);
    EXPECT_EQ(away.error().code, Errc::token_away);
    const auto reserved = ca.certificates->list(0, 1).value().front();
    EXPECT_EQ(reserved.state, RegisterState::reserved);

    ca.certificates.reset();  // another process, a day later
    ca.certificates = Register::open(instruments::place_of(ca.folder / "cad.sqlite")).value();
    ca.clock.advance(std::chrono::days{1});
    ca.keys = working;
    const auto issued = ca.issue(papers).value().certificate;
    const auto certificate = certificate_from_der(issued).value();
    const auto* serial = X509_get0_serialNumber(certificate.get());
    EXPECT_EQ(to_hex({ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))}),
              to_hex(reserved.serial));
    EXPECT_NE(to_hex(issued).find(to_hex(reserved.tbs)), std::string::npos);
    EXPECT_EQ(rows_of(ca), 1U);
    EXPECT_EQ(ca.issue(papers).value().certificate, issued);
}

TEST(Issuing, TokenAwayInTheMiddleOfASignatureStaysTokenAway) {
    TrialCa ca;
    ca.keys = [&](const Authority& authority) -> Result<std::shared_ptr<EVP_PKEY>> {
        const auto key = std::make_shared<const hsm::ProviderKey>(
            hsm::ProviderKey{KeyKind::p384, spki_of(*ca.pki.key_of(authority)),
                             [](Scheme, const DtbsR&) -> Result<Bytes> { return Error{Errc::token_away, "C_Sign"}; }});
        QSCD_TRY(auto made, hsm::make_evp_pkey(key));
        return std::shared_ptr<EVP_PKEY>{std::move(made)};
    };
    const auto verdict = ca.issue(ca.enrolment());
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::token_away);
}

TEST(Issuing, SignsThroughAProviderKey) {
    TrialCa ca;
    ca.keys = [&](const Authority& authority) -> Result<std::shared_ptr<EVP_PKEY>> {
        const auto software = ca.pki.key_of(authority);
        const auto sign = [software](Scheme, const DtbsR& dtbsr) -> Result<Bytes> {
            const EvpPkeyCtx context{EVP_PKEY_CTX_new(software.get(), nullptr)};
            Bytes out(200);
            std::size_t size = out.size();
            if (EVP_PKEY_sign_init(context.get()) != 1 ||
                EVP_PKEY_sign(context.get(), out.data(), &size, dtbsr.bytes().data(), dtbsr.bytes().size()) != 1)
                return Error{Errc::internal, openssl_reason()};
            out.resize(size);
            return out;
        };
        QSCD_TRY(auto made, hsm::make_evp_pkey(std::make_shared<const hsm::ProviderKey>(
                                hsm::ProviderKey{KeyKind::p384, spki_of(*software), sign})));
        return std::shared_ptr<EVP_PKEY>{std::move(made)};
    };
    const auto verdict = ca.issue(ca.enrolment());
    EXPECT_TRUE(verdict) << verdict.error().detail;
}

TEST(Issuing, CA_16_WhatDoesNotVerifyIsNeverReleased) {
    TrialCa ca;
    const auto papers = ca.enrolment().sign(ca.desk);
    const auto working = ca.keys;
    ca.keys = [&](const Authority&) -> Result<std::shared_ptr<EVP_PKEY>> { return ca.pki.root_key; };  // not its own
    const auto verdict = ca.issue(papers);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::internal);
    EXPECT_EQ(ca.certificates->list(0, 1).value().front().state, RegisterState::reserved);
    ca.keys = working;
    EXPECT_TRUE(ca.issue(papers));
}

TEST(Issuing, CA_15_ASerialThatExistsIsDrawnAgain) {
    TrialCa ca;
    const auto first = random_serial(), second = random_serial();
    std::vector<Bytes> draws{first, first, first, second};
    std::size_t next = 0;
    ca.serials = [&] { return draws[std::min(next++, draws.size() - 1)]; };
    ASSERT_TRUE(ca.issue(ca.enrolment()));
    ASSERT_TRUE(ca.issue(ca.enrolment()));
    EXPECT_EQ(ca.certificates->list(1, 1).value().front().serial, second);
    const auto stuck = ca.issue(ca.enrolment());  // the generator repeats for ever
    ASSERT_FALSE(stuck);
    EXPECT_EQ(stuck.error().code, Errc::internal);
    EXPECT_EQ(rows_of(ca), 2U);
}

TEST(Receipt, MakesTheCertificateActive) {
    TrialCa ca;
    const auto enrolment = ca.enrolment();
    const auto issued = ca.issue(enrolment).value().certificate;
    protocol::Receipt receipt{enrolment.grant.enrolment, enrolment.proof.credential, sha256(issued), ca.clock.now()};
    const auto record = [&](EVP_PKEY& key) {
        return ca.issuing()->record(sign_paper(protocol::to_paper(receipt), key));
    };
    EXPECT_FALSE(record(*ca.desk.officer));
    EXPECT_EQ(ca.certificates->list(0, 1).value().front().state, RegisterState::issued);
    EXPECT_TRUE(record(*ca.desk.attestation));
    EXPECT_TRUE(record(*ca.desk.attestation));
    EXPECT_EQ(ca.certificates->list(0, 1).value().front().state, RegisterState::active);
    receipt.certificate = sha256(ByteView{});
    EXPECT_FALSE(record(*ca.desk.attestation));
}

struct CaRequestsTest : ::testing::Test {
    TrialCa ca;
    std::unique_ptr<Issuing> issuing = ca.issuing();
    bool token = true;
    CaRequests requests{{*issuing, *ca.certificates, [this] { return token; }}};
    Result<CaRequests::Reply> ask(const pb::CaRequest& request, std::string_view role = "bootstrap") {
        return requests.answer(role, protocol::encode(request));
    }
};

TEST_F(CaRequestsTest, AnswersTheOwnersCommandAlone) {
    pb::CaRequest request;
    request.mutable_health();
    EXPECT_TRUE(ask(request));
    for (const auto* role : {"gatewayd", "samd", "rad", "statusd", ""}) {
        const auto verdict = ask(request, role);
        ASSERT_FALSE(verdict);
        EXPECT_EQ(verdict.error().code, Errc::access_denied);
    }
}

TEST_F(CaRequestsTest, IssuesAndLists) {
    const auto enrolment = ca.enrolment();
    const auto papers = enrolment.sign(ca.desk);
    pb::CaRequest request;
    *request.mutable_issue()->mutable_grant() = papers.grant;
    *request.mutable_issue()->mutable_key_proof() = papers.proof;
    const auto issued = ask(request);
    ASSERT_TRUE(issued) << issued.error().detail;
    const auto& certificate = dynamic_cast<const pb::IssuedCertificate&>(*issued.value());
    EXPECT_EQ(certificate.chain_size(), 2);

    request.mutable_list()->set_count(10);
    const auto listed = ask(request);
    const auto& entries = dynamic_cast<const pb::RegisterEntries&>(*listed.value());
    ASSERT_EQ(entries.entries_size(), 1);
    EXPECT_EQ(entries.entries(0).certificate(), certificate.certificate());
    EXPECT_EQ(entries.entries(0).state(), "issued");
    EXPECT_EQ(entries.entries(0).issuer(), "qualified");
    EXPECT_EQ(entries.entries(0).number(), 1U);
}

TEST_F(CaRequestsTest, HealthSaysThatTheTokenIsAway) {
    token = false;
    pb::CaRequest request;
    request.mutable_health();
    const auto reply = ask(request);
    const auto& health = dynamic_cast<const pb::CaHealthReport&>(*reply.value());
    EXPECT_FALSE(health.token());
    EXPECT_TRUE(health.store());
}

TEST_F(CaRequestsTest, AnEmptyOrBrokenRequestIsRefused) {
    EXPECT_FALSE(ask(pb::CaRequest{}));
    EXPECT_FALSE(requests.answer("bootstrap", view_of("\xff\xff")));
}

}  // namespace
}  // namespace qscd::ca
