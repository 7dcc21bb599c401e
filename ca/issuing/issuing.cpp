#include "ca/issuing/issuing.hpp"

#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "ca/issuing/certificate_builder.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/module_claim.hpp"
#include "ca/issuing/signed_object.hpp"
#include "ca/subject/subject_rules.hpp"
#include "protocol/message.hpp"

namespace qscd::ca {
namespace {

constexpr std::chrono::seconds clock_skew{60};
constexpr int serial_draws = 8;

Error refused(std::string_view what) { return {Errc::paper_refused, std::string{what}}; }
Error denied(std::string_view what) { return {Errc::access_denied, std::string{what}}; }

// The two papers belong together [QSCD-08] [RA-48].
Result<void> check_agreement(const protocol::Verified<protocol::Grant>& grant,
                             const protocol::Verified<protocol::KeyProof>& proof, TimePoint now) {
    if (proof->grant != grant.digest()) return refused("the KeyProof is for another Grant");
    if (proof->enrolment != grant->enrolment) return refused("the KeyProof is for another enrolment");
    if (proof->key_kind != grant->key_kind) return refused("the KeyProof's key is of another kind than the Grant's");
    if (proof->made_at > now + clock_skew || proof->made_at < grant->issued_at - clock_skew)
        return refused("the KeyProof was not made after its Grant");
    return success();
}

const Authority& authority_named(std::string_view name) {
    return *std::ranges::find(authorities, name, &Authority::name);
}

Bytes tbs_of(X509& certificate) {
    std::uint8_t* out = nullptr;
    const int size = i2d_re_X509_tbs(&certificate, &out);
    if (size < 0) return {};
    Bytes der(out, out + size);
    OPENSSL_free(out);
    return der;
}

// The one place where an authority's key signs a person's certificate: over bytes that passed the lint [CA-16].
Result<Bytes> sign_linted(const LintedTbs& tbs, const X509& issuer, EVP_PKEY& key) {
    auto* public_key = X509_get0_pubkey(&issuer);
    QSCD_TRY(const auto algorithm, signature_algorithm_of(*public_key));
    QSCD_TRY(auto der, sign_object(tbs.bytes(), algorithm, key));
    QSCD_TRY(const auto parsed, certificate_from_der(der));
    if (der_of(*parsed, i2d_X509) != der || !std::ranges::equal(tbs_of(*parsed), tbs.bytes()))
        return Error{Errc::internal, "what was signed is not what was approved"};
    if (X509_verify(parsed.get(), public_key) != 1)
        return Error{Errc::internal, "the certificate does not verify: " + openssl_reason()};
    return der;
}

}  // namespace

Result<IssuedCertificate> Issuing::issue(const pb::Paper& grant_paper, const pb::Paper& proof_paper) {
    const auto now = parts_.clock.now();
    QSCD_TRY(const auto grant, protocol::verify_grant(grant_paper, parts_.trusted, now));
    QSCD_TRY(const auto proof, protocol::verify_key_proof(proof_paper, parts_.trusted));
    QSCD_TRY(check_agreement(grant, proof, now));

    const std::lock_guard one{one_at_a_time_};
    QSCD_TRY(auto entry, parts_.register_of_certificates.find(grant->enrolment));
    if (!entry) {
        QSCD_TRY(reserve(grant, proof, protocol::encode(grant_paper), protocol::encode(proof_paper)));
        QSCD_TRY(entry, parts_.register_of_certificates.find(grant->enrolment));
    }
    if (!entry) return Error{Errc::store_away, "the reservation cannot be read back"};
    if (entry->grant != grant.digest() || entry->proof != proof.digest())
        return refused("this enrolment was made with other papers");
    if (entry->certificate.empty()) {
        QSCD_TRY(entry->certificate, sign(*entry));
    }
    return released(*entry);
}

// What the policy says, before anything is stored.
Result<const policy::Profile*> Issuing::decide(const Grant& grant, const KeyProof& proof) const {
    if (grant->policy_version != parts_.policy.version()) return refused("the Grant was given under another policy");
    const auto* profile = parts_.policy.find(grant->profile);
    if (profile == nullptr) return refused("the policy has no such profile");
    if (!profile->allows(grant->key_kind)) return denied("the profile does not allow this kind of key");
    if (grant.issuer() == protocol::Issuer::rule_key && profile->type() != policy::CertificateType::lcp)
        return denied("the rule key approves LCP only [CA-17]");
    QSCD_TRY(check_subject(grant->subject, profile->type()));
    QSCD_TRY(check_public_key(*proof));
    QSCD_TRY(check_attributes(*proof));
    if (policy::needs_qscd(profile->type())) {
        const auto& issuer = parts_.hierarchy.issuing(authority_for(true));
        QSCD_TRY(check_counts_as_qscd(*proof, parts_.modules, parts_.clock.now(), hsm::says_test(issuer)));
    }
    return profile;
}

Result<void> Issuing::reserve(const Grant& grant, const KeyProof& proof, Bytes grant_paper, Bytes proof_paper) {
    QSCD_TRY(const auto* profile, decide(grant, proof));
    const auto now = parts_.clock.now();
    const auto& authority = authority_for(policy::is_qualified(profile->type()));
    const auto& issuer = parts_.hierarchy.issuing(authority);

    auto serial = parts_.serials();
    for (int draw = 1;; ++draw) {
        QSCD_TRY(const bool taken, parts_.register_of_certificates.has_serial(authority.name, serial));
        if (!taken) break;
        if (draw == serial_draws) return Error{Errc::internal, "the serial numbers repeat [CA-15]"};
        serial = parts_.serials();
    }
    QSCD_TRY(auto tbs, to_be_signed({.profile = *profile,
                                     .subject = grant->subject,
                                     .public_key = proof->public_key,
                                     .issuer = issuer,
                                     .issuer_name = authority.name,
                                     .serial = serial,
                                     .not_before = now,
                                     .public_base = parts_.policy.public_base()}));
    QSCD_TRY(const auto linted, lint(std::move(tbs), profile->type(), issuer));
    return parts_.register_of_certificates.reserve(
        Reservation{
            .issuer = std::string{authority.name},
            .serial = std::move(serial),
            .enrolment = grant->enrolment,
            .credential = proof->credential,
            .key_digest = sha256(proof->public_key),
            .type = profile->type(),
            .grant = grant.digest(),
            .proof = proof.digest(),
            .grant_paper = std::move(grant_paper),
            .proof_paper = std::move(proof_paper),
            .tbs = Bytes{linted.bytes().begin(), linted.bytes().end()},
            .not_after = profile->not_after(now),
        },
        now);
}

Result<Bytes> Issuing::sign(const RegisterEntry& entry) {
    const auto& authority = authority_named(entry.issuer);
    const auto& issuer = parts_.hierarchy.issuing(authority);
    QSCD_TRY(const auto linted, lint(entry.tbs, entry.type, issuer));
    QSCD_TRY(const auto key, parts_.keys(authority));
    auto certificate = sign_linted(linted, issuer, *key);
    if (!certificate) {
        if (certificate.error().code == Errc::internal)
            note(Level::alarm, "certificate-not-released",
                 {{"serial", to_hex(entry.serial)}, {"reason", certificate.error().detail}});
        return certificate.error();
    }
    crash_point("cad.issue.signed");
    QSCD_TRY(parts_.register_of_certificates.store(entry.enrolment, certificate.value(), parts_.clock.now()));
    note("certificate-issued", {{"serial", to_hex(entry.serial)},
                                {"issuer", entry.issuer},
                                {"type", std::string{policy::row_of(entry.type).name}}});
    return certificate;
}

IssuedCertificate Issuing::released(const RegisterEntry& entry) const {
    const auto& issuer = parts_.hierarchy.issuing(authority_named(entry.issuer));
    return {entry.certificate, {der_of(issuer, i2d_X509), der_of(*parts_.hierarchy.root, i2d_X509)}};
}

Result<void> Issuing::record(const pb::Paper& paper) {
    QSCD_TRY(const auto receipt, protocol::verify_receipt(paper, parts_.trusted));
    return parts_.register_of_certificates.activate(receipt->enrolment, receipt->credential, receipt->certificate,
                                                    receipt->activated_at);
}

}  // namespace qscd::ca
