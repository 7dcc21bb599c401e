// Enrolment by papers on the real daemons: interrupted anywhere it is finished by typing the command again, with one
// key and one certificate; papers that are damaged or belong elsewhere are refused by each process that reads them.
#include <gmock/gmock.h>
#include <thread>

#include "base/file.hpp"
#include "protocol/papers.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"
#include "tests/integration/cast.hpp"
#include "tests/integration/enrolment_steps.hpp"

namespace qscd::integration {
namespace {

[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage);

std::unique_ptr<Signer> new_signer() {
    static unsigned number = 40;
    ++number;
    return std::make_unique<Signer>(Stage::cast().deployment, "signer-" + std::to_string(number), number);
}

// Pauses before a restart grow; a fresh supervisor begins with the shortest.
void fresh_supervisor() {
    Stage::cast().deployment.stop();
    Stage::cast().deployment.start();
}

std::vector<pb::RegisterEntry> register_of(const std::string& credential_hex) {
    std::vector<pb::RegisterEntry> out;
    const auto all = certificates_of(Stage::cast().deployment);
    for (const auto& entry : all.entries())
        if (to_hex(view_of(entry.credential())) == credential_hex) out.push_back(entry);
    return out;
}

void expect_whole(Signer& signer, const Credential& credential, std::size_t keys_before,
                  std::size_t certificates_before) {
    auto& cast = Stage::cast();
    EXPECT_EQ(keys_in_token(cast.deployment), keys_before + 1) << "one key, and none without an owner";
    EXPECT_EQ(static_cast<std::size_t>(certificates_of(cast.deployment).entries_size()), certificates_before + 1);
    const auto entries = register_of(credential.id);
    ASSERT_EQ(entries.size(), 1U);
    EXPECT_EQ(entries[0].state(), "active");
    EXPECT_EQ(entries[0].certificate(), text_of(der_of(*credential.parsed(), i2d_X509)));

    const Portal portal{cast.deployment, "portal-" + signer.username(), {signer.username()}};
    const auto list = portal.call("credentials/list", {{"userID", signer.username()}}).object();
    EXPECT_THAT(list.strings("credentialIDs", 10, 100).value(), testing::ElementsAre(credential.id));
    const auto sad = portal.sad_for(signer, credential, {hash_numbered(1)});
    EXPECT_EQ(portal.sign({credential.id, sad, {hash_numbered(1)}}).status, 200U);
}

class Interruption : public testing::TestWithParam<unsigned> {};

TEST_P(Interruption, IsFinishedByTypingTheCommandAgain) {
    auto& cast = Stage::cast();
    fresh_supervisor();
    const auto keys = keys_in_token(cast.deployment);
    const auto certificates = static_cast<std::size_t>(certificates_of(cast.deployment).entries_size());
    const auto signer = new_signer();
    EnrolmentSteps steps{cast.deployment, *signer, "qscd-totp"};
    const unsigned taken = GetParam();
    const Evidence evidence{cast.deployment};
    steps.take_up_to(taken);
    cast.deployment.kill_daemons({"samd", "rad", "cad"});

    auto enrolment = steps.enrolment_hex();
    if (taken <=
        EnrolmentSteps::typed_by_enrol) {  // a code of the process that ended is worth nothing: `enrol` sends another
        const auto again = signer->begin("qscd-totp", "P-256");
        if (taken > 0) EXPECT_EQ(again, enrolment) << "the same request";
        enrolment = again;
    }
    const auto credential = signer->finish(enrolment, "qscd-totp", "P-256");
    EXPECT_EQ(evidence.count("credential-active"), 1U);
    EXPECT_EQ(evidence.count("key-created"), 1U);
    expect_whole(*signer, credential, keys, certificates);
    const auto repeated = signer->finish(enrolment, "qscd-totp", "P-256");
    EXPECT_EQ(repeated.id, credential.id) << "typed once more";
    EXPECT_EQ(evidence.count("credential-active"), 1U);
}
INSTANTIATE_TEST_SUITE_P(AfterStep, Interruption, testing::Range(0U, EnrolmentSteps::count + 1));

TEST(Interruption, WhileTheKeyIsMadeLeavesNoKeyBehind) {
    auto& cast = Stage::cast();
    fresh_supervisor();
    const auto keys = keys_in_token(cast.deployment);
    const auto certificates = static_cast<std::size_t>(certificates_of(cast.deployment).entries_size());
    const auto signer = new_signer();
    EnrolmentSteps steps{cast.deployment, *signer, "qscd-totp", "RSA-4096"};
    steps.take_up_to(5);
    const Evidence evidence{cast.deployment};
    pb::SamRequest create;
    create.mutable_create_key()->set_enrolment(steps.enrolment());
    std::thread asking{[&] { std::ignore = cast.deployment.ask<pb::SignedPaper>("samd", create); }};
    const bool begun = eventually([&] { return evidence.count("key-intended") == 1; });
    cast.deployment.kill_daemons({"samd"});
    asking.join();
    ASSERT_TRUE(begun);
    const auto created = evidence.count("key-created");  // 0, unless RSA-4096 was quicker than we
    EXPECT_EQ(evidence.count("key-swept"), 1U - created);
    EXPECT_EQ(keys_in_token(cast.deployment), keys + created);
    const auto credential = signer->finish(steps.enrolment_hex(), "qscd-totp", "RSA-4096");
    EXPECT_EQ(keys_in_token(cast.deployment), keys + 1);
    EXPECT_EQ(register_of(credential.id).size(), 1U);
    EXPECT_EQ(static_cast<std::size_t>(certificates_of(cast.deployment).entries_size()), certificates + 1);
}

// --- papers ---

struct Damage {
    const char* name;
    void (*apply)(pb::Paper&);
};
void flip(std::string& bytes, std::size_t at) { bytes.at(at) = static_cast<char>(bytes[at] ^ 1); }
constexpr std::array damages{
    Damage{"body's first byte", [](pb::Paper& paper) { flip(*paper.mutable_body(), 0); }},
    Damage{"body's middle", [](pb::Paper& paper) { flip(*paper.mutable_body(), paper.body().size() / 2); }},
    Damage{"body's last byte", [](pb::Paper& paper) { flip(*paper.mutable_body(), paper.body().size() - 1); }},
    Damage{"body shorter", [](pb::Paper& paper) { paper.mutable_body()->pop_back(); }},
    Damage{"body half", [](pb::Paper& paper) { paper.mutable_body()->resize(paper.body().size() / 2); }},
    Damage{"body longer", [](pb::Paper& paper) { paper.mutable_body()->push_back('\0'); }},
    Damage{"no body", [](pb::Paper& paper) { paper.clear_body(); }},
    Damage{"signature's last byte",
           [](pb::Paper& paper) { flip(*paper.mutable_signature(), paper.signature().size() - 1); }},
    Damage{"signature shorter", [](pb::Paper& paper) { paper.mutable_signature()->pop_back(); }},
    Damage{"signature longer", [](pb::Paper& paper) { paper.mutable_signature()->push_back('\0'); }},
    Damage{"no signature", [](pb::Paper& paper) { paper.clear_signature(); }},
    Damage{"key id", [](pb::Paper& paper) { flip(*paper.mutable_key_id(), 0); }},
    Damage{"no key id", [](pb::Paper& paper) { paper.clear_key_id(); }},
    Damage{"nothing", [](pb::Paper& paper) { paper.Clear(); }},
};
std::vector<pb::Paper> damaged(const pb::Paper& paper) {
    std::vector<pb::Paper> out;
    for (const auto& damage : damages) damage.apply(out.emplace_back(paper));
    return out;
}
// The same body, signed by a key that nobody trusts.
pb::Paper signed_by_a_stranger(const pb::Paper& paper, std::string_view domain) {
    const auto key = generate_p256();
    const std::string message = std::string{domain} + '\0' + paper.body();
    auto out = paper;
    out.set_key_id(std::string{text_of(protocol::key_id_of(*key).bytes())});
    out.set_signature(std::string{text_of(sign_message(*key, view_of(message)).value())});
    return out;
}

class Papers : public testing::Test {
protected:
    // Two enrolments, each with all its papers but the last; made once.
    static void SetUpTestSuite() {
        auto& deployment = Stage::cast().deployment;
        for (auto& side : sides_) {
            side.signer = new_signer();
            side.steps = std::make_unique<EnrolmentSteps>(deployment, *side.signer, "qscd-totp");
            side.steps->take_up_to(6);
        }
        grant_only_ = new_signer();
        waiting_ = std::make_unique<EnrolmentSteps>(deployment, *grant_only_, "qscd-totp");
        waiting_->take_up_to(3);
    }
    static void TearDownTestSuite() {  // nothing that was tried spoilt anything: all end well
        for (auto& side : sides_)
            for (unsigned step = 6; step < EnrolmentSteps::count; ++step)
                EXPECT_NO_THROW(side.steps->take(step)) << step;
        for (unsigned step = 3; step < EnrolmentSteps::count; ++step) EXPECT_NO_THROW(waiting_->take(step)) << step;
        for (auto& side : sides_) side = {};
        waiting_.reset();
        grant_only_.reset();
    }
    static EnrolmentSteps& first() { return *sides_[0].steps; }
    static EnrolmentSteps& second() { return *sides_[1].steps; }

    static Errc issue(const pb::Paper& grant, const pb::Paper& proof) {
        pb::CaRequest request;
        *request.mutable_issue()->mutable_grant() = grant;
        *request.mutable_issue()->mutable_key_proof() = proof;
        const auto answer = Stage::cast().deployment.ask<pb::IssuedCertificate>("cad", request);
        return answer ? Errc{} : answer.error().code;
    }
    static Errc begin(const pb::Paper& grant) {
        pb::SamRequest request;
        *request.mutable_begin_enrolment()->mutable_grant() = grant;
        const auto answer = Stage::cast().deployment.ask<pb::EnrolmentState>("samd", request);
        return answer ? Errc{} : answer.error().code;
    }
    static Errc activate(const std::string& enrolment, const std::string& certificate) {
        pb::SamRequest request;
        request.mutable_activate()->set_enrolment(enrolment);
        request.mutable_activate()->set_certificate(certificate);
        const auto answer = Stage::cast().deployment.ask<pb::SignedPaper>("samd", request);
        return answer ? Errc{} : answer.error().code;
    }
    static Errc record(const pb::Paper& receipt) {
        pb::CaRequest request;
        *request.mutable_receipt()->mutable_receipt() = receipt;
        const auto answer = Stage::cast().deployment.ask<pb::Done>("cad", request);
        return answer ? Errc{} : answer.error().code;
    }

    struct Side {
        std::unique_ptr<Signer> signer;
        std::unique_ptr<EnrolmentSteps> steps;
    };
    static inline std::array<Side, 2> sides_;
    static inline std::unique_ptr<Signer> grant_only_;
    static inline std::unique_ptr<EnrolmentSteps> waiting_;  // a Grant that samd has not seen
};

TEST_F(Papers, SamdRefusesADamagedOrForeignGrantAndReservesNothing) {
    auto& cast = Stage::cast();
    std::vector<pb::Paper> bad = damaged(waiting_->grant());
    bad.push_back(signed_by_a_stranger(waiting_->grant(), "qscd/grant/v1"));
    bad.push_back(first().key_proof());  // another kind of paper
    auto mixed = waiting_->grant();
    mixed.set_signature(first().grant().signature());
    bad.push_back(mixed);
    const auto sent = fs::file_size(cast.deployment.in("outbox/sms.jsonl"));
    for (std::size_t i = 0; i < bad.size(); ++i) {
        const Evidence evidence{cast.deployment};
        EXPECT_EQ(begin(bad[i]), Errc::paper_refused) << i;
        const auto records = evidence.records();
        ASSERT_EQ(records.size(), 1U) << i;
        EXPECT_EQ(records[0].type, "refused");
        EXPECT_EQ(records[0].result, "paper_refused");
    }
    EXPECT_EQ(fs::file_size(cast.deployment.in("outbox/sms.jsonl")), sent) << "no code went out";
    pb::SamRequest create;
    create.mutable_create_key()->set_enrolment(waiting_->enrolment());
    const auto none = cast.deployment.ask<pb::SignedPaper>("samd", create);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Errc::parameter_invalid) << "no such enrolment";
}

TEST_F(Papers, SamdRefusesAnExpiredGrant) {
    auto& cast = Stage::cast();
    cast.deployment.advance(std::chrono::hours{24 * 7});
    EXPECT_EQ(begin(waiting_->grant()), Errc::paper_refused);
    EXPECT_EQ(issue(first().grant(), first().key_proof()), Errc::paper_refused);
    cast.deployment.advance(-std::chrono::hours{24 * 7});
}

TEST_F(Papers, CadRefusesDamagedPapersAndPapersOfAnotherEnrolment) {
    const auto& deployment = Stage::cast().deployment;
    const auto before = certificates_of(deployment).SerializeAsString();
    for (const auto& bad : damaged(first().grant())) EXPECT_EQ(issue(bad, first().key_proof()), Errc::paper_refused);
    for (const auto& bad : damaged(first().key_proof())) EXPECT_EQ(issue(first().grant(), bad), Errc::paper_refused);
    EXPECT_EQ(issue(first().grant(), second().key_proof()), Errc::paper_refused);
    EXPECT_EQ(issue(second().grant(), first().key_proof()), Errc::paper_refused);
    EXPECT_EQ(issue(waiting_->grant(), first().key_proof()), Errc::paper_refused);
    EXPECT_EQ(issue(first().grant(), first().grant()), Errc::paper_refused);
    EXPECT_EQ(issue(first().key_proof(), first().key_proof()), Errc::paper_refused);
    EXPECT_EQ(issue(first().key_proof(), first().grant()), Errc::paper_refused);
    EXPECT_EQ(issue(signed_by_a_stranger(first().grant(), "qscd/grant/v1"), first().key_proof()), Errc::paper_refused);
    EXPECT_EQ(issue(first().grant(), signed_by_a_stranger(first().key_proof(), "qscd/key-proof/v1")),
              Errc::paper_refused);
    EXPECT_EQ(certificates_of(deployment).SerializeAsString(), before) << "the register is as it was";
}

TEST_F(Papers, SamdActivatesNothingButTheCertificateOfItsOwnKeyAndSubject) {
    auto& cast = Stage::cast();
    first().take(6);
    second().take(6);
    auto broken = first().certificate();
    flip(broken, broken.size() - 1);
    auto shorter = first().certificate();
    shorter.pop_back();
    const auto root = required(certificate_from_pem(required(read_file(cast.deployment.in("pki/root.pem")), "root")),
                               "root");
    const auto lcp = required(certificate_from_pem(required(read_file(cast.anna_lcp.certificate), "LCP")), "LCP");
    for (const auto& bad :
         {second().certificate(), broken, shorter, first().certificate() + '\0', std::string{},
          std::string{text_of(der_of(*root, i2d_X509))}, std::string{text_of(der_of(*lcp, i2d_X509))}}) {
        const Evidence evidence{cast.deployment};
        const auto code = activate(first().enrolment(), bad);
        EXPECT_TRUE(code == Errc::paper_refused || code == Errc::parameter_invalid) << name_of(code);
        EXPECT_EQ(evidence.count("refused"), 1U);
        EXPECT_EQ(evidence.count("credential-active"), 0U);
    }
    EXPECT_EQ(activate(std::string(16, 'x'), first().certificate()), Errc::parameter_invalid);
}

TEST_F(Papers, CadRecordsNoReceiptThatIsDamagedOrOfAnotherKind) {
    const auto& deployment = Stage::cast().deployment;
    first().take(6);
    first().take(7);
    const auto before = certificates_of(deployment).SerializeAsString();
    for (const auto& bad : damaged(first().receipt())) EXPECT_EQ(record(bad), Errc::paper_refused);
    EXPECT_EQ(record(first().key_proof()), Errc::paper_refused);
    EXPECT_EQ(record(first().grant()), Errc::paper_refused);
    EXPECT_EQ(record(signed_by_a_stranger(first().receipt(), "qscd/receipt/v1")), Errc::paper_refused);
    EXPECT_EQ(certificates_of(deployment).SerializeAsString(), before);
}

TEST_F(Papers, RadGivesNoGrantWithoutTheOfficersSignatureOverThatVeryBody) {
    auto& cast = Stage::cast();
    const auto signer = new_signer();
    EnrolmentSteps steps{cast.deployment, *signer, "qscd-totp"};
    const auto approve = [&](const std::function<void(pb::ApproveRequest&)>& change) {
        pb::RaRequest request;
        *request.mutable_approve() = EnrolmentSteps::approval(cast.deployment, steps.created());
        change(*request.mutable_approve());
        const auto answer = cast.deployment.ask<pb::SignedPaper>("rad", request);
        return answer ? Errc{} : answer.error().code;
    };
    steps.take(0);
    EXPECT_EQ(approve([](auto&) {}), Errc::out_of_order) << "before the signer accepted";
    steps.take(1);
    const auto other = EnrolmentSteps::approval(cast.deployment, first().created());
    EXPECT_EQ(approve([&](auto& each) { each.set_signature(other.signature()); }), Errc::access_denied)
        << "over another body";
    EXPECT_EQ(approve([](auto& each) { each.mutable_signature()->pop_back(); }), Errc::access_denied);
    EXPECT_EQ(approve([](auto& each) { flip(*each.mutable_key_id(), 0); }), Errc::access_denied);
    EXPECT_EQ(approve([](auto& each) { each.clear_signature(); }), Errc::access_denied)
        << "the rule key is for LCP alone";
    pb::RaRequest ask;
    ask.mutable_get_grant()->set_enrolment(steps.enrolment());
    EXPECT_FALSE(cast.deployment.ask<pb::SignedPaper>("rad", ask)) << "there is none";
    EXPECT_EQ(approve([](auto&) {}), Errc{});
}

// --- who may ask what ---

TEST(Roles, TheOwnerMayNeitherAuthoriseNorSignNorOpenAChallenge) {
    auto& cast = Stage::cast();
    pb::SamRequest sign, authorise, challenge;
    sign.mutable_sign()->set_client("portal-1");
    authorise.mutable_authorise()->set_client("portal-1");
    challenge.mutable_open_challenge()->set_client("portal-1");
    for (const auto* request : {&sign, &authorise, &challenge}) {
        const Evidence evidence{cast.deployment};
        const auto refused = cast.deployment.ask<pb::Done>("samd", *request);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::access_denied);
        const auto records = evidence.records();
        ASSERT_EQ(records.size(), 1U);
        EXPECT_EQ(records[0].type, "refused");
        EXPECT_EQ(records[0].actor, "bootstrap");
        EXPECT_EQ(records[0].result, "access_denied");
    }
}

TEST(Roles, OnlyCadPublishesAndOnlySamdAndRadSendMessages) {
    auto& cast = Stage::cast();
    const auto sent = fs::file_size(cast.deployment.in("outbox/sms.jsonl"));
    const auto crl = cast.deployment.http("/crl/qualified.crl").body;
    pb::StatusRequest publish;
    publish.mutable_publish()->set_path("/crl/qualified.crl");
    publish.mutable_publish()->set_content_type("application/pkix-crl");
    publish.mutable_publish()->set_content("forged");
    const auto unpublished = cast.deployment.ask<pb::Done>("statusd", publish);
    ASSERT_FALSE(unpublished);
    EXPECT_EQ(unpublished.error().code, Errc::access_denied);
    EXPECT_EQ(cast.deployment.http("/crl/qualified.crl").body, crl);
    pb::NotifierRequest notify;
    notify.mutable_notify()->set_to(cast.anna.phone());
    notify.mutable_notify()->set_text("Code: 000000");
    const auto unsent = cast.deployment.ask<pb::Done>("notifierd", notify);
    ASSERT_FALSE(unsent);
    EXPECT_EQ(unsent.error().code, Errc::access_denied);
    EXPECT_EQ(fs::file_size(cast.deployment.in("outbox/sms.jsonl")), sent);
}

TEST(Roles, BytesThatAreNoRequestAreRefusedAndDisturbNobody) {
    auto& cast = Stage::cast();
    const auto before = cast.deployment.daemons();
    for (const auto* daemon : {"samd", "rad", "cad", "statusd", "notifierd", "gatewayd"}) {
        const auto client = required(cast.deployment.owner_of(daemon), daemon);
        for (const auto& bytes : {Bytes{}, Bytes{0xff}, Bytes(1000, 0x0a), Bytes{0x78, 0x01}, Bytes(60'000, 0xff)})
            EXPECT_FALSE(client->exchange(bytes)) << daemon;
    }
    for (const auto& [name, daemon] : cast.deployment.daemons()) EXPECT_EQ(daemon.pid, before.at(name).pid) << name;
    EXPECT_TRUE(cast.serves());
}

}  // namespace
}  // namespace qscd::integration
