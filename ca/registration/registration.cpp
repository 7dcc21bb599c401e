#include "ca/registration/registration.hpp"

#include "authn/password.hpp"
#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "base/random.hpp"
#include "ca/registration/contact.hpp"
#include "ca/subject/subject_rules.hpp"
#include "protocol/message.hpp"

namespace qscd::ca {
namespace {

constexpr std::string_view acceptance_domain = "qscd/acceptance/v1", request_domain = "qscd/request/v1";
constexpr std::array<std::uint8_t, 1> separator{0};

Error invalid(std::string detail, std::string type, std::string name) {
    return {Errc::parameter_invalid, std::move(detail), {std::move(type), std::move(name)}};
}
Error unknown_signer() { return invalid("there is no such signer", "string", "userID"); }

bool is_language(std::string_view text) {
    return text.size() == 2 && std::ranges::all_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
}

bool has_app(const policy::Profile& profile) {
    return std::ranges::any_of(profile.expressions(),
                               [](const auto& each) { return each.held() == policy::Factor::totp; });
}

Bytes number(std::int64_t value) { return bytes_of(std::to_string(value)); }

}  // namespace

Result<Account> Registration::add_account(const std::string& username, const SecretBytes& password,
                                          const std::string& email, const std::string& phone) {
    if (!is_username(username)) return invalid("a username is [a-z0-9._-]{1,64}", "string", "username");
    if (!is_email(email)) return invalid("this is no e-mail address", "string", "email");
    if (!is_phone(phone)) return invalid("a phone number is + and 8 to 15 digits", "string", "phone");
    const std::lock_guard one{one_at_a_time_};
    QSCD_TRY(const auto known, parts_.store.account(username));
    if (known && known->email == email && known->phone == phone) return *known;
    // Hashed before the answer is known: all refusals take the same time.
    QSCD_TRY(const auto hash, authn::hash_password(password));
    const Account account{random_fixed<SignerId>(), username, email, phone, random_fixed<DeviceId>(),
                          random_fixed<DeviceId>()};
    crash_point("rad.account.before-commit");
    QSCD_TRY(const bool added, parts_.store.add(account, hash, parts_.clock.now()));
    crash_point("rad.account.after-commit");
    if (!added) return Error{Errc::access_denied, "the account cannot be added"};  // which field clashes, nobody learns
    note("account-added", {{"signer", account.signer.hex()}});
    return account;
}

Result<Account> Registration::find_signer(const std::string& username) {
    if (!is_username(username)) return unknown_signer();
    const std::lock_guard one{one_at_a_time_};
    QSCD_TRY(const auto account, parts_.store.account(username));
    if (!account) return unknown_signer();
    return *account;
}

Result<Registration::Created> Registration::create_request(const pb::CreateRequest& asked) {
    const auto evidence = Sha256Digest::from(view_of(asked.evidence_digest()));
    if (!evidence) return invalid("the evidence digest has 32 bytes", "string", "evidence_digest");
    const auto* profile = parts_.policy.find(asked.profile());
    if (profile == nullptr) return invalid("the policy has no such profile", "string", "profile");
    const auto kind = key_kind_numbered(asked.key_kind());
    if (!kind) return invalid("there is no such kind of key", "integer", "key_kind");
    if (!profile->allows(*kind)) return Error{Errc::access_denied, "the profile does not allow this kind of key"};
    if (std::ranges::count(profile->proofing(), asked.proofing()) == 0)
        return Error{Errc::access_denied, "the profile does not accept this proofing method"};
    // Here too, and not at the CA alone: a name that cannot be certified must not cost a key.
    const protocol::Subject subject{asked.subject().country(), asked.subject().given_name(), asked.subject().surname(),
                                    asked.subject().serial_number(), asked.subject().common_name()};
    if (const auto named = check_subject(subject, profile->type()); !named)
        return invalid(named.error().detail, "object", "subject");

    const std::lock_guard one{one_at_a_time_};
    QSCD_TRY(const auto account, parts_.store.account(asked.username()));
    if (!account) return unknown_signer();
    const bool needs_officer = policy::is_qualified(profile->type());
    const auto now = parts_.clock.now();
    const auto content = sha256(
        {view_of(request_domain), separator, parts_.policy.version().bytes(), protocol::encode(asked)});
    QSCD_TRY(const auto same, parts_.store.live_request(content, now));
    if (same) return Created{same->enrolment, same->grant_body, needs_officer};

    const protocol::Grant grant{
        .enrolment = random_fixed<EnrolmentId>(),
        .nonce = random_fixed<Nonce>(),
        .signer = account->signer,
        .subject = subject,
        .profile = profile->name(),
        .policy_version = parts_.policy.version(),
        .key_kind = *kind,
        .phone = account->phone,
        .email = account->email,
        .phone_device = account->phone_device,
        .app_device = has_app(*profile) ? std::optional{account->app_device} : std::nullopt,
        .evidence = *evidence,
        .issued_at = now,
        .expires_at = now + parts_.request_life,
    };
    auto body = protocol::to_paper(grant).body;
    if (const auto readable = protocol::grant_in(body); !readable)
        return invalid("the subject cannot be: " + readable.error().detail, "object", "subject");
    crash_point("rad.request.before-commit");
    QSCD_TRY(parts_.store.add(EnrolmentRequest{grant.enrolment, account->signer, content, profile->name(),
                                               asked.proofing(), body, now, grant.expires_at}));
    crash_point("rad.request.after-commit");
    note("request-created", {{"enrolment", grant.enrolment.hex()}, {"profile", profile->name()}});
    return Created{grant.enrolment, std::move(body), needs_officer};
}

Result<EnrolmentRequest> Registration::live_request(const EnrolmentId& enrolment) {
    QSCD_TRY(auto request, parts_.store.request(enrolment));
    if (!request) return invalid("there is no such request", "string", "enrolment");
    if (parts_.clock.now() >= request->expires_at) return Error{Errc::out_of_order, "the request has expired"};
    return std::move(*request);
}

Result<Sha256Digest> Registration::record_acceptance(const EnrolmentId& enrolment, const Sha256Digest& terms,
                                                     const std::string& language) {
    if (!is_language(language)) return invalid("a language is two small letters", "string", "language");
    const std::lock_guard one{one_at_a_time_};
    QSCD_TRY(const auto request, live_request(enrolment));
    QSCD_TRY(const auto known, parts_.store.acceptance(enrolment));
    if (known && (known->terms != terms || known->language != language))
        return Error{Errc::out_of_order, "other terms were accepted already"};
    if (known) return known->digest;
    // The final data, the terms, their language and the moment: each part has one length, or ends the message.
    const auto now = parts_.clock.now();
    const auto digest = sha256({view_of(acceptance_domain), separator, enrolment.bytes(),
                                sha256(request.grant_body).bytes(), terms.bytes(), view_of(language),
                                number(unix_seconds(now))});
    crash_point("rad.acceptance.before-commit");
    QSCD_TRY(parts_.store.add(enrolment, Acceptance{terms, language, now, digest}));
    crash_point("rad.acceptance.after-commit");
    note("accepted", {{"enrolment", enrolment.hex()}});
    return digest;
}

Result<void> Registration::approve(const EnrolmentId& enrolment, ByteView key_id, ByteView signature) {
    const std::lock_guard one{one_at_a_time_};
    QSCD_TRY(const auto request, live_request(enrolment));
    QSCD_TRY(const auto accepted, parts_.store.acceptance(enrolment));
    if (!accepted)
        return Error{Errc::out_of_order, "the signer has not accepted the certificate's data and terms [CA-35]"};
    QSCD_TRY(const auto given, parts_.store.grant(enrolment));
    if (given) return success();

    const auto* profile = parts_.policy.find(request.profile);
    if (profile == nullptr) return Error{Errc::access_denied, "the policy has this profile no more"};
    const protocol::Unsigned paper{request.grant_body, protocol::message_of_grant(request.grant_body)};
    pb::Paper approved;
    if (!signature.empty()) {
        const auto officer = Sha256Digest::from(key_id);
        if (!officer) return Error{Errc::access_denied, "a key id has 32 bytes"};
        approved = protocol::assemble(paper, *officer, Bytes{signature.begin(), signature.end()});
    } else if (policy::is_qualified(profile->type())) {
        return Error{Errc::access_denied, "a qualified certificate needs a registration officer's signature [CA-17]"};
    } else {
        QSCD_TRY(auto rule, parts_.rule_key(paper.message));
        approved = protocol::assemble(paper, rule.key_id, std::move(rule.signature));
    }
    // The same check that everybody else makes: what does not verify here would be refused there.
    const auto verified = protocol::verify_grant(approved, parts_.trusted, parts_.clock.now());
    if (!verified) return Error{Errc::access_denied, "the approval does not count: " + verified.error().detail};
    const bool by_officer = verified.value().issuer() == protocol::Issuer::registration_officer;
    if (by_officer == signature.empty() || (!by_officer && policy::is_qualified(profile->type())))
        return Error{Errc::access_denied, "the approval is by a key that may not give it [CA-17]"};
    crash_point("rad.grant.before-commit");
    QSCD_TRY(parts_.store.add_grant(enrolment, protocol::encode(approved), parts_.clock.now()));
    crash_point("rad.grant.after-commit");
    note("grant-given", {{"enrolment", enrolment.hex()},
                         {"by", by_officer ? "officer" : "rule"},
                         {"key", to_hex(view_of(approved.key_id()))}});
    return success();
}

Result<pb::Paper> Registration::grant(const EnrolmentId& enrolment) {
    const std::lock_guard one{one_at_a_time_};
    QSCD_TRY(const auto request, parts_.store.request(enrolment));
    if (!request) return invalid("there is no such request", "string", "enrolment");
    QSCD_TRY(const auto paper, parts_.store.grant(enrolment));
    if (!paper) return Error{Errc::out_of_order, "the request is not approved"};
    return protocol::decode<pb::Paper>(*paper);
}

Result<void> Registration::healthy() {
    const std::lock_guard one{one_at_a_time_};
    return parts_.store.healthy();
}

}  // namespace qscd::ca
