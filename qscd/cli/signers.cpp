#include "qscd/cli/signers.hpp"

#include "base/file.hpp"
#include "protocol/ca.pb.h"
#include "protocol/papers.hpp"
#include "protocol/ra.pb.h"
#include "protocol/sam.pb.h"
#include "qscd/cli/base32.hpp"
#include "qscd/cli/local.hpp"

namespace qscd::cli {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

template <class Id>
Result<std::string> id_in(const std::string& text, std::string_view name) {
    const auto id = Id::from_hex(text);
    if (!id)
        return Error{Errc::parameter_invalid, text + " is not a " + std::string{name}, {"string", std::string{name}}};
    return string_of(id->bytes());
}

// From factors to an active credential: key, KeyProof, certificate, receipt. Answers the credential.
Result<std::string> certified(const Local& local, const std::string& enrolment, const pb::Paper& grant,
                              const std::filesystem::path& certificate_file) {
    pb::SamRequest request;
    request.mutable_create_key()->set_enrolment(enrolment);
    QSCD_TRY(auto proof, local.ask<pb::SignedPaper>("samd", request));
    pb::CaRequest issue;
    *issue.mutable_issue()->mutable_grant() = grant;
    *issue.mutable_issue()->mutable_key_proof() = proof.paper();
    QSCD_TRY(auto issued, local.ask<pb::IssuedCertificate>("cad", issue));
    auto& active = *request.mutable_activate();
    active.set_enrolment(enrolment);
    active.set_certificate(issued.certificate());
    QSCD_TRY(auto receipt, local.ask<pb::SignedPaper>("samd", request));
    pb::CaRequest record;
    *record.mutable_receipt()->mutable_receipt() = receipt.paper();
    QSCD_TRY(local.ask<pb::Done>("cad", record));
    if (!certificate_file.empty()) {
        QSCD_TRY(auto certificate, certificate_from_der(view_of(issued.certificate())));
        QSCD_TRY(write_file(certificate_file, pem_of(*certificate)));
    }
    pb::Receipt body;
    if (!body.ParseFromString(receipt.paper().body())) return Error{Errc::internal, "a receipt that cannot be read"};
    return to_hex(view_of(body.credential()));
}

}  // namespace

Result<void> add_signer(const Options& options, const AddSigner& wanted) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto password, secret(wanted.password_descriptor, "Password for " + wanted.username));
    pb::RaRequest request;
    auto& account = *request.mutable_add_account();
    account.set_username(wanted.username);
    account.set_email(wanted.email);
    account.set_phone(wanted.phone);
    account.set_password(string_of(password.reveal()));
    auto reply = local.ask<pb::Account>("rad", request);
    wipe(*account.mutable_password());
    QSCD_TRY(auto added, std::move(reply));
    answer(options, "signer " + wanted.username + " is " + to_hex(view_of(added.signer())),
           {{"username", wanted.username}, {"signer", to_hex(view_of(added.signer()))}});
    return success();
}

Result<void> enrol(const Options& options, const Enrol& wanted) {
    QSCD_TRY(auto local, Local::open(options));
    const auto kind = key_kind_named(wanted.key);
    if (!kind) return Error{Errc::parameter_invalid, wanted.key + " is not a kind of key", {"string", "key"}};
    QSCD_TRY(auto terms, read_file(wanted.terms));
    QSCD_TRY(auto evidence, wanted.evidence.empty() ? Result<std::string>{std::string{}} : read_file(wanted.evidence));

    pb::RaRequest request;
    auto& create = *request.mutable_create_request();
    create.set_username(wanted.username);
    auto& subject = *create.mutable_subject();
    subject.set_country(wanted.country);
    subject.set_given_name(wanted.given_name);
    subject.set_surname(wanted.surname);
    subject.set_serial_number(wanted.serial_number);
    subject.set_common_name(wanted.common_name);
    create.set_profile(wanted.profile);
    create.set_key_kind(static_cast<unsigned>(*kind));
    create.set_proofing(wanted.proofing);
    create.set_evidence_digest(string_of(sha256(view_of(evidence)).bytes()));
    QSCD_TRY(auto created, local.ask<pb::RequestCreated>("rad", request));

    auto& acceptance = *request.mutable_record_acceptance();
    acceptance.set_enrolment(created.enrolment());
    acceptance.set_terms_digest(string_of(sha256(view_of(terms)).bytes()));
    acceptance.set_language("en");
    QSCD_TRY(local.ask<pb::AcceptanceRecorded>("rad", request));

    auto& approve = *request.mutable_approve();
    approve.set_enrolment(created.enrolment());
    if (created.needs_officer()) {
        // What the officer signs is what he is shown, parsed from the very bytes.
        QSCD_TRY(auto grant, protocol::grant_in(view_of(created.grant_body())));
        if (wanted.officer_key.empty())
            return Error{Errc::access_denied,
                         "profile " + wanted.profile + " needs a registration officer: give --officer-key"};
        say(options, "the registration officer approves: " + grant.subject.common_name + ", " +
                         grant.subject.serial_number + ", profile " + grant.profile + ", phone " + grant.phone);
        QSCD_TRY(auto pem, read_file(wanted.officer_key));
        QSCD_TRY(auto key, private_key_from_pem(pem));
        wipe(pem);
        QSCD_TRY(auto signature, sign_message(*key, protocol::message_of_grant(view_of(created.grant_body()))));
        approve.set_key_id(string_of(protocol::key_id_of(*key).bytes()));
        approve.set_signature(string_of(signature));
    }
    QSCD_TRY(auto granted, local.ask<pb::SignedPaper>("rad", request));

    pb::SamRequest begin;
    *begin.mutable_begin_enrolment()->mutable_grant() = granted.paper();
    QSCD_TRY(auto state, local.ask<pb::EnrolmentState>("samd", begin));
    const auto enrolment = to_hex(view_of(created.enrolment()));
    const bool sent = state.state() == "reserved";
    answer(options,
           "enrolment " + enrolment +
               (sent ? ": a code was sent to the signer's phone" : " is in state " + state.state()) +
               (state.state() == "active" ? "" : "\nnext: qscd signer activate " + enrolment),
           {{"enrolment", enrolment}, {"credential", to_hex(view_of(state.credential()))}, {"state", state.state()}});
    return success();
}

Result<void> activate(const Options& options, const Activate& wanted) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto enrolment, id_in<EnrolmentId>(wanted.enrolment, "enrolment"));

    pb::RaRequest ask;
    ask.mutable_get_grant()->set_enrolment(enrolment);
    QSCD_TRY(auto grant, local.ask<pb::SignedPaper>("rad", ask));
    QSCD_TRY(auto terms, read_file(wanted.terms));
    ask.mutable_record_acceptance()->set_enrolment(enrolment);
    ask.mutable_record_acceptance()->set_terms_digest(string_of(sha256(view_of(terms)).bytes()));
    ask.mutable_record_acceptance()->set_language("en");
    QSCD_TRY(auto acceptance, local.ask<pb::AcceptanceRecorded>("rad", ask));

    QSCD_TRY(auto pin, secret(wanted.pin_descriptor, "PIN to set"));
    QSCD_TRY(auto code, secret(wanted.code_descriptor, "Code from the phone"));
    pb::SamRequest request;
    auto& factors = *request.mutable_set_factors();
    factors.set_enrolment(enrolment);
    factors.set_pin(string_of(pin.reveal()));
    factors.set_code(string_of(code.reveal()));
    factors.set_acceptance_digest(acceptance.acceptance_digest());
    auto set = local.ask<pb::FactorsSet>("samd", request);
    wipe(*factors.mutable_pin());
    wipe(*factors.mutable_code());
    // Typed again after an interruption: the factors are set already, and the next steps are the same again.
    if (!set && set.error().code != Errc::out_of_order) return set.error();

    // The app's secret is shown once, so it is shown whatever happens next.
    std::string app;
    boost::json::object object;
    if (set && !set.value().totp_secret().empty()) {
        const auto text = to_base32(view_of(set.value().totp_secret()));
        app = "authenticator app, shown once: secret " + text + ", " + std::to_string(set.value().totp_digits()) +
              " digits, every " + std::to_string(set.value().totp_period()) + " s";
        object["totp"] = {
            {"secret_base32", text}, {"digits", set.value().totp_digits()}, {"period", set.value().totp_period()}};
    }
    auto credential = certified(local, enrolment, grant.paper(), wanted.certificate);
    if (!credential) {
        if (!app.empty()) say(options, app);
        return credential.error();
    }
    object["credential"] = credential.value();
    object["state"] = "active";
    answer(options, "credential " + credential.value() + " is active" + (app.empty() ? "" : "\n" + app), object);
    return success();
}

Result<void> destroy_credential(const Options& options, const std::string& credential, const std::string& reason) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto id, id_in<CredentialId>(credential, "credentialID"));
    pb::SamRequest request;
    request.mutable_destroy()->set_credential(id);
    request.mutable_destroy()->set_reason(reason);
    QSCD_TRY(local.ask<pb::Done>("samd", request));
    answer(options, "the key of credential " + credential + " is destroyed",
           {{"credential", credential}, {"state", "destroyed"}});
    return success();
}

Result<void> set_credential_status(const Options& options, const std::string& credential, bool disabled,
                                   const std::string& reason) {
    QSCD_TRY(auto local, Local::open(options));
    QSCD_TRY(auto id, id_in<CredentialId>(credential, "credentialID"));
    pb::SamRequest request;
    auto& status = *request.mutable_set_status();
    status.set_credential(id);
    status.set_disabled(disabled);
    status.set_reason(reason);
    QSCD_TRY(local.ask<pb::Done>("samd", request));
    answer(options, "credential " + credential + (disabled ? " is disabled" : " is enabled"),
           {{"credential", credential}, {"state", disabled ? "disabled" : "active"}});
    return success();
}

}  // namespace qscd::cli
