#include "tests/crash/enrolment_run.hpp"

#include "base/digest.hpp"
#include "base/key_kind.hpp"
#include "protocol/message.hpp"
#include "protocol/papers.hpp"
#include "tests/integration/enrolment_steps.hpp"

namespace qscd::crash {
namespace {

constexpr unsigned most_refusals = 20;
constexpr std::chrono::days grant_life{6};  // a day less than it is

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }
std::string nothing_digest() { return string_of(sha256(view_of(std::string_view{})).bytes()); }
// As cad reads it.
protocol::TrustedKeys trusted(const RunningDeployment& deployment) {
    using integration::required;
    const auto& settings = deployment.settings();
    protocol::TrustedKeys out;
    required(out.add_file(protocol::Issuer::attestation_key, settings.pki(policy::attestation_key)), "a key");
    required(out.add_file(protocol::Issuer::rule_key, settings.pki(policy::rule_key)), "a key");
    required(out.add_folder(protocol::Issuer::registration_officer, settings.pki(policy::officer_keys)), "the keys");
    return out;
}
pb::Paper paper_in(const std::string& bytes) {
    pb::Paper out;
    out.ParseFromString(bytes);
    return out;
}

}  // namespace

EnrolmentRun::EnrolmentRun(World& world, Person person, std::string profile)
    : world_(world), person_(std::move(person)), profile_(std::move(profile)) {}

template <class Use>
void EnrolmentRun::remember(Use use) {
    world_.with_history([&](History& history) { use(history.enrolments.at(entry_)); });
}

void EnrolmentRun::same(const std::string& now, std::string& known, const char* what) {
    if (!known.empty() && known != now)
        world_.found(person_.username + ": " + what + " was answered, and is another one now");
    known = now;
}

Result<void> EnrolmentRun::make_account() {
    pb::RaRequest ask;
    auto& add = *ask.mutable_add_account();
    add.set_username(person_.username);
    add.set_password(person_.password);
    add.set_email(person_.email);
    add.set_phone(person_.phone);
    QSCD_TRY(const auto made, world_.deployment().ask<pb::Account>("rad", ask));
    same(made.signer(), person_.signer, "the account");
    return success();
}

Result<void> EnrolmentRun::make_request() {
    pb::RaRequest ask;
    auto& create = *ask.mutable_create_request();
    create.set_username(person_.username);
    create.set_profile(profile_);
    create.set_key_kind(static_cast<unsigned>(*key_kind_named("P-256")));
    create.set_proofing("demo");
    create.set_evidence_digest(nothing_digest());
    auto& subject = *create.mutable_subject();
    subject.set_country("AT");
    subject.set_given_name(person_.username);
    subject.set_surname("Test");
    subject.set_serial_number(person_.serial_number);
    subject.set_common_name(person_.username + " Test");
    QSCD_TRY(const auto made, world_.deployment().ask<pb::RequestCreated>("rad", ask));
    const bool fresh = enrolment_.empty();
    if (fresh) asked_at_ = world_.now();
    same(made.enrolment(), enrolment_, "the request");
    same(made.grant_body(), grant_body_, "the Grant's body");
    needs_officer_ = made.needs_officer();
    if (fresh)
        entry_ = world_.with_history([&](History& history) {
            history.enrolments.push_back({to_hex(view_of(enrolment_)), {}, false, false, false, {}, {}});
            return history.enrolments.size() - 1;
        });
    return success();
}

Result<void> EnrolmentRun::accept() {
    pb::RaRequest ask;
    auto& acceptance = *ask.mutable_record_acceptance();
    acceptance.set_enrolment(enrolment_);
    acceptance.set_terms_digest(nothing_digest());
    acceptance.set_language("en");
    QSCD_TRY(const auto recorded, world_.deployment().ask<pb::AcceptanceRecorded>("rad", ask));
    same(recorded.acceptance_digest(), acceptance_digest_, "the acceptance");
    return success();
}

Result<void> EnrolmentRun::get_grant() {
    pb::RequestCreated created;
    created.set_enrolment(enrolment_);
    created.set_grant_body(grant_body_);
    pb::RaRequest ask;
    ask.mutable_approve()->set_enrolment(enrolment_);
    if (needs_officer_) *ask.mutable_approve() = integration::EnrolmentSteps::approval(world_.deployment(), created);
    QSCD_TRY(const auto given, world_.deployment().ask<pb::SignedPaper>("rad", ask));
    same(given.paper().SerializeAsString(), grant_, "the Grant");
    const auto counts = protocol::verify_grant(given.paper(), trusted(world_.deployment()), world_.now());
    if (!counts) world_.found(person_.username + ": a Grant that does not count: " + describe(counts.error()));
    return success();
}

Result<void> EnrolmentRun::reserve() {
    pb::SamRequest ask;
    *ask.mutable_begin_enrolment()->mutable_grant() = paper_in(grant_);
    QSCD_TRY(const auto state, world_.deployment().ask<pb::EnrolmentState>("samd", ask));
    same(to_hex(view_of(state.credential())), credential_, "the credential");
    remember([&](Enrolled& each) {
        each.credential = credential_;
        each.reserved = true;
    });
    return success();
}

Result<void> EnrolmentRun::set_factors() {
    pb::SamRequest ask;
    auto& set = *ask.mutable_set_factors();
    set.set_enrolment(enrolment_);
    set.set_pin(person_.pin);
    set.set_code(code_sent_to(world_.deployment(), person_.phone));
    set.set_acceptance_digest(acceptance_digest_);
    ++world_.pins_set;
    QSCD_TRY(const auto answer, world_.deployment().ask<pb::FactorsSet>("samd", ask));
    if (!answer.totp_secret().empty()) {
        person_.app_secret = bytes_of(answer.totp_secret());
        person_.app_period = answer.totp_period();
        person_.app_digits = answer.totp_digits();
    }
    remember([](Enrolled& each) { each.factors = true; });
    return success();
}

Result<void> EnrolmentRun::make_key() {
    pb::SamRequest ask;
    ask.mutable_create_key()->set_enrolment(enrolment_);
    QSCD_TRY(const auto made, world_.deployment().ask<pb::SignedPaper>("samd", ask));
    same(made.paper().SerializeAsString(), proof_, "the KeyProof");
    const auto counts = protocol::verify_key_proof(made.paper(), trusted(world_.deployment()));
    if (!counts) world_.found(person_.username + ": a KeyProof that does not count: " + describe(counts.error()));
    pb::KeyProof proof;
    proof.ParseFromString(made.paper().body());
    remember([&](Enrolled& each) { each.public_key = bytes_of(proof.public_key()); });
    return success();
}

Result<void> EnrolmentRun::certify() {
    pb::CaRequest ask;
    *ask.mutable_issue()->mutable_grant() = paper_in(grant_);
    *ask.mutable_issue()->mutable_key_proof() = paper_in(proof_);
    QSCD_TRY(const auto issued, world_.deployment().ask<pb::IssuedCertificate>("cad", ask));
    same(issued.certificate(), certificate_, "the certificate");
    remember([&](Enrolled& each) { each.certificate = bytes_of(certificate_); });
    return success();
}

Result<void> EnrolmentRun::activate() {
    pb::SamRequest ask;
    ask.mutable_activate()->set_enrolment(enrolment_);
    ask.mutable_activate()->set_certificate(certificate_);
    QSCD_TRY(const auto done, world_.deployment().ask<pb::SignedPaper>("samd", ask));
    same(done.paper().SerializeAsString(), receipt_, "the receipt");
    return success();
}

Result<void> EnrolmentRun::hand_in_receipt() {
    pb::CaRequest ask;
    *ask.mutable_receipt()->mutable_receipt() = paper_in(receipt_);
    QSCD_TRY(world_.deployment().ask<pb::Done>("cad", ask));
    remember([](Enrolled& each) { each.receipt = true; });
    return success();
}

Result<void> EnrolmentRun::take(Step step) {
    switch (step) {
        case account: return make_account();
        case request: return make_request();
        case acceptance: return accept();
        case grant: return get_grant();
        case reservation: return reserve();
        case factors: return set_factors();
        case key: return make_key();
        case certificate_step: return certify();
        case activation: return activate();
        case receipt: return hand_in_receipt();
        case last: break;
    }
    return success();
}

EnrolmentRun::Went EnrolmentRun::go_on() {
    if (finished() || failed_) return Went::over;
    if (!enrolment_.empty() && world_.now() > asked_at_ + grant_life) {
        failed_ = true;
        return Went::over;
    }
    const auto taken = take(step_);
    if (taken) {
        step_ = static_cast<Step>(step_ + 1);
        ++world_.enrolment_steps;
        if (finished()) ++world_.enrolled;
        return finished() ? Went::over : Went::on;
    }
    const auto code = taken.error().code;
    if (is_away(taken.error())) return Went::waits;
    // The code died with the process that sent it, or the factors were set and the answer was lost: once more from there.
    if (step_ == factors && (code == Errc::factors_wrong || code == Errc::out_of_order)) step_ = reservation;
    const bool patience = code == Errc::out_of_order || code == Errc::too_many_requests || code == Errc::factors_wrong;
    if (patience && ++refusals_ < most_refusals) return Went::waits;
    world_.found(person_.username + ": step " + std::to_string(step_) +
                 " of the enrolment was refused: " + describe(taken.error()));
    failed_ = true;
    return Went::over;
}

void EnrolmentRun::confirm() {
    if (failed_ || world_.now() > asked_at_ + grant_life) return;
    for (unsigned each = account; each < step_; ++each) {
        if (each == reservation || each == factors) continue;  // asked again they begin anew
        const auto again = take(static_cast<Step>(each));
        if (!again && !is_away(again.error()) && again.error().code != Errc::out_of_order)
            world_.found(person_.username + ": step " + std::to_string(each) +
                         " of the enrolment was answered, and is refused now: " + describe(again.error()));
    }
}

}  // namespace qscd::crash
