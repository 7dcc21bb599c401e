#include "tests/integration/enrolment_steps.hpp"

#include "base/file.hpp"
#include "base/key_kind.hpp"
#include "protocol/papers.hpp"
#include "protocol/sam.pb.h"

namespace qscd::integration {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

std::string digest_of_terms() {
    const auto terms = required(read_file(source_folder / "packaging/demo/terms.txt"), "terms");
    return string_of(sha256(view_of(terms)).bytes());
}

std::string base32(std::string_view bytes) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    std::string out;
    unsigned pending = 0, bits = 0;
    for (const char byte : bytes) {
        pending = (pending << 8U | static_cast<std::uint8_t>(byte)) & 0xfffffU;
        for (bits += 8; bits >= 5; bits -= 5) out += alphabet[pending >> (bits - 5) & 31U];
    }
    if (bits > 0) out += alphabet[pending << (5 - bits) & 31U];
    return out;
}

}  // namespace

EnrolmentSteps::EnrolmentSteps(RunningDeployment& deployment, Signer& signer, std::string profile, std::string key)
    : deployment_(deployment), signer_(signer), profile_(std::move(profile)), key_(std::move(key)) {}

void EnrolmentSteps::take_up_to(unsigned steps) {
    for (unsigned step = 0; step < steps; ++step) take(step);
}

pb::ApproveRequest EnrolmentSteps::approval(const RunningDeployment& deployment, const pb::RequestCreated& created) {
    const auto pem = required(read_file(deployment.in("officers/registration-1.key.pem")), "the officer's key");
    const auto key = required(private_key_from_pem(pem), "the officer's key");
    const auto message = protocol::message_of_grant(view_of(created.grant_body()));
    pb::ApproveRequest out;
    out.set_enrolment(created.enrolment());
    out.set_key_id(string_of(protocol::key_id_of(*key).bytes()));
    out.set_signature(string_of(required(sign_message(*key, message), "the officer's signature")));
    return out;
}

void EnrolmentSteps::take(unsigned step) {
    pb::RaRequest ra;
    pb::SamRequest sam;
    pb::CaRequest ca;
    switch (step) {
        case 0: {
            auto& create = *ra.mutable_create_request();
            create.set_username(signer_.username());
            create.set_profile(profile_);
            create.set_key_kind(static_cast<unsigned>(*key_kind_named(key_)));
            create.set_proofing("demo");
            create.set_evidence_digest(string_of(sha256(view_of(std::string_view{})).bytes()));
            auto& subject = *create.mutable_subject();
            subject.set_country("AT");
            subject.set_given_name(signer_.username());
            subject.set_surname("Test");
            subject.set_serial_number(signer_.serial_number());
            subject.set_common_name(signer_.username() + " Test");
            created_ = required(deployment_.ask<pb::RequestCreated>("rad", ra), "request");
            return;
        }
        case 1:
            ra.mutable_record_acceptance()->set_enrolment(enrolment());
            ra.mutable_record_acceptance()->set_terms_digest(digest_of_terms());
            ra.mutable_record_acceptance()->set_language("en");
            required(deployment_.ask<pb::AcceptanceRecorded>("rad", ra), "acceptance");
            return;
        case 2:
            ra.mutable_approve()->set_enrolment(enrolment());
            if (created_.needs_officer()) *ra.mutable_approve() = approval(deployment_, created_);
            grant_ = required(deployment_.ask<pb::SignedPaper>("rad", ra), "Grant").paper();
            return;
        case 3:
            *sam.mutable_begin_enrolment()->mutable_grant() = grant_;
            required(deployment_.ask<pb::EnrolmentState>("samd", sam), "reservation");
            return;
        case 4: {
            ra.mutable_record_acceptance()->set_enrolment(enrolment());
            ra.mutable_record_acceptance()->set_terms_digest(digest_of_terms());
            ra.mutable_record_acceptance()->set_language("en");
            const auto acceptance = required(deployment_.ask<pb::AcceptanceRecorded>("rad", ra), "acceptance");
            auto& factors = *sam.mutable_set_factors();
            factors.set_enrolment(enrolment());
            factors.set_pin(signer_.pin());
            factors.set_code(signer_.sent_code());
            factors.set_acceptance_digest(acceptance.acceptance_digest());
            const auto set = required(deployment_.ask<pb::FactorsSet>("samd", sam), "factors");
            if (!set.totp_secret().empty())
                signer_.use_app(base32(set.totp_secret()), set.totp_period(), set.totp_digits());
            return;
        }
        case 5:
            sam.mutable_create_key()->set_enrolment(enrolment());
            key_proof_ = required(deployment_.ask<pb::SignedPaper>("samd", sam), "KeyProof").paper();
            return;
        case 6:
            *ca.mutable_issue()->mutable_grant() = grant_;
            *ca.mutable_issue()->mutable_key_proof() = key_proof_;
            certificate_ = required(deployment_.ask<pb::IssuedCertificate>("cad", ca), "certificate").certificate();
            return;
        case 7:
            sam.mutable_activate()->set_enrolment(enrolment());
            sam.mutable_activate()->set_certificate(certificate_);
            receipt_ = required(deployment_.ask<pb::SignedPaper>("samd", sam), "receipt").paper();
            return;
        case 8:
            *ca.mutable_receipt()->mutable_receipt() = receipt_;
            required(deployment_.ask<pb::Done>("cad", ca), "record of the receipt");
            return;
        default: require(false, "there is no such step");
    }
}

pb::RegisterEntries certificates_of(const RunningDeployment& deployment) {
    pb::RegisterEntries out;
    for (;;) {
        pb::CaRequest list;
        list.mutable_list()->set_after(out.entries().empty() ? 0 : out.entries().rbegin()->number());
        list.mutable_list()->set_count(100);
        const auto page = required(deployment.ask<pb::RegisterEntries>("cad", list), "the register");
        if (page.entries().empty()) return out;
        out.MergeFrom(page);
    }
}

std::size_t keys_in_token(const RunningDeployment& deployment) {
    const auto& settings = deployment.settings();
    const auto pin = required(read_file(deployment.in("secrets/qscd-signers-1.pin")), "PIN");
    const auto said = run_program({"env", "SOFTHSM2_CONF=" + deployment.in("tokens/samd/softhsm2.conf").string(),
                                   "pkcs11-tool", "--module", settings.library, "--token-label", "qscd-signers-1",
                                   "--login", "--pin", pin, "--list-objects", "--type", "privkey"});
    require(said.exit_code == 0, "pkcs11-tool: " + said.err);
    std::size_t count = 0;
    for (auto at = said.out.find("Private Key Object"); at != std::string::npos;
         at = said.out.find("Private Key Object", at + 1))
        ++count;
    return count;
}

}  // namespace qscd::integration
