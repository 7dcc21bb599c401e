#include "protocol/papers.hpp"

#include "base/file.hpp"
#include "protocol/message.hpp"

namespace qscd::protocol {
namespace {

constexpr std::string_view grant_domain = "qscd/grant/v1";
constexpr std::string_view key_proof_domain = "qscd/key-proof/v1";
constexpr std::string_view receipt_domain = "qscd/receipt/v1";
constexpr std::string_view epoch_domain = "qscd/epoch/v1";
constexpr std::chrono::seconds clock_skew{60};

Bytes message_in(std::string_view domain, ByteView body) {
    Bytes message = bytes_of(domain);
    message.push_back(0);
    message.insert(message.end(), body.begin(), body.end());
    return message;
}

Unsigned in_domain(std::string_view domain, const google::protobuf::Message& body) {
    Bytes encoded = encode(body);
    Bytes message = message_in(domain, encoded);
    return {std::move(encoded), std::move(message)};
}

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

Error refused(std::string_view what) { return {Errc::paper_refused, std::string{what}}; }

template <class Fixed>
Result<Fixed> fixed(const std::string& bytes, std::string_view name) {
    const auto value = Fixed::from(view_of(bytes));
    if (!value) return refused(std::string{name} + " has the wrong length");
    return *value;
}

bool within(const std::string& text, std::size_t limit) { return !text.empty() && text.size() <= limit; }

Result<Grant> grant_of(const pb::Grant& in) {
    QSCD_TRY(auto enrolment, fixed<EnrolmentId>(in.enrolment(), "enrolment"));
    QSCD_TRY(auto nonce, fixed<Nonce>(in.nonce(), "nonce"));
    QSCD_TRY(auto signer, fixed<SignerId>(in.signer(), "signer"));
    QSCD_TRY(auto policy, fixed<Sha256Digest>(in.policy_version(), "policy_version"));
    QSCD_TRY(auto phone_device, fixed<DeviceId>(in.phone_device(), "phone_device"));
    QSCD_TRY(auto evidence, fixed<Sha256Digest>(in.evidence_digest(), "evidence_digest"));
    const auto kind = key_kind_numbered(in.key_kind());
    if (!kind) return refused("key_kind");
    std::optional<DeviceId> app;
    if (!in.app_device().empty()) {
        QSCD_TRY(auto device, fixed<DeviceId>(in.app_device(), "app_device"));
        app = device;
    }
    const auto& s = in.subject();
    if (s.country().size() != 2 || !within(s.common_name(), 256) || !within(s.serial_number(), 64) ||
        s.given_name().size() > 256 || s.surname().size() > 256 || !within(in.profile(), 64) ||
        !within(in.phone(), 32) || in.email().size() > 254)
        return refused("a field of the Grant is empty or too long");
    return Grant{enrolment,
                 nonce,
                 signer,
                 {s.country(), s.given_name(), s.surname(), s.serial_number(), s.common_name()},
                 in.profile(),
                 policy,
                 *kind,
                 in.phone(),
                 in.email(),
                 phone_device,
                 app,
                 evidence,
                 from_unix(in.issued_at()),
                 from_unix(in.expires_at())};
}

Result<KeyProof> key_proof_of(const pb::KeyProof& in) {
    QSCD_TRY(auto grant, fixed<Sha256Digest>(in.grant_digest(), "grant_digest"));
    QSCD_TRY(auto enrolment, fixed<EnrolmentId>(in.enrolment(), "enrolment"));
    QSCD_TRY(auto credential, fixed<CredentialId>(in.credential(), "credential"));
    QSCD_TRY(auto acceptance, fixed<Sha256Digest>(in.acceptance_digest(), "acceptance_digest"));
    const auto kind = key_kind_numbered(in.key_kind());
    if (!kind || in.public_key().size() > 1024 || !within(in.module_entry(), 64) || in.attributes_size() > 32)
        return refused("a field of the KeyProof");
    QSCD_TRY(public_key_from_der(view_of(in.public_key())));
    KeyProof out{grant,
                 enrolment,
                 credential,
                 *kind,
                 bytes_of(in.public_key()),
                 in.module_entry(),
                 {},
                 acceptance,
                 from_unix(in.made_at())};
    for (const auto& each : in.attributes()) out.attributes.emplace_back(each.name(), each.value());
    return out;
}

Result<Receipt> receipt_of(const pb::Receipt& in) {
    QSCD_TRY(auto enrolment, fixed<EnrolmentId>(in.enrolment(), "enrolment"));
    QSCD_TRY(auto credential, fixed<CredentialId>(in.credential(), "credential"));
    QSCD_TRY(auto certificate, fixed<Sha256Digest>(in.certificate_digest(), "certificate_digest"));
    return Receipt{enrolment, credential, certificate, from_unix(in.activated_at())};
}

}  // namespace

Unsigned to_paper(const Grant& grant) {
    pb::Grant out;
    out.set_enrolment(string_of(grant.enrolment.bytes()));
    out.set_nonce(string_of(grant.nonce.bytes()));
    out.set_signer(string_of(grant.signer.bytes()));
    auto& subject = *out.mutable_subject();
    subject.set_country(grant.subject.country);
    subject.set_given_name(grant.subject.given_name);
    subject.set_surname(grant.subject.surname);
    subject.set_serial_number(grant.subject.serial_number);
    subject.set_common_name(grant.subject.common_name);
    out.set_profile(grant.profile);
    out.set_policy_version(string_of(grant.policy_version.bytes()));
    out.set_key_kind(static_cast<unsigned>(grant.key_kind));
    out.set_phone(grant.phone);
    out.set_email(grant.email);
    out.set_phone_device(string_of(grant.phone_device.bytes()));
    if (grant.app_device) out.set_app_device(string_of(grant.app_device->bytes()));
    out.set_evidence_digest(string_of(grant.evidence.bytes()));
    out.set_issued_at(unix_seconds(grant.issued_at));
    out.set_expires_at(unix_seconds(grant.expires_at));
    return in_domain(grant_domain, out);
}

Unsigned to_paper(const KeyProof& proof) {
    pb::KeyProof out;
    out.set_grant_digest(string_of(proof.grant.bytes()));
    out.set_enrolment(string_of(proof.enrolment.bytes()));
    out.set_credential(string_of(proof.credential.bytes()));
    out.set_key_kind(static_cast<unsigned>(proof.key_kind));
    out.set_public_key(string_of(proof.public_key));
    out.set_module_entry(proof.module_entry);
    for (const auto& [name, value] : proof.attributes) {
        auto& attribute = *out.add_attributes();
        attribute.set_name(name);
        attribute.set_value(value);
    }
    out.set_acceptance_digest(string_of(proof.acceptance.bytes()));
    out.set_made_at(unix_seconds(proof.made_at));
    return in_domain(key_proof_domain, out);
}

Unsigned to_paper(const Receipt& receipt) {
    pb::Receipt out;
    out.set_enrolment(string_of(receipt.enrolment.bytes()));
    out.set_credential(string_of(receipt.credential.bytes()));
    out.set_certificate_digest(string_of(receipt.certificate.bytes()));
    out.set_activated_at(unix_seconds(receipt.activated_at));
    return in_domain(receipt_domain, out);
}

Result<Grant> grant_in(ByteView body) {
    QSCD_TRY(auto parsed, decode<pb::Grant>(body));
    return grant_of(parsed);
}

Unsigned to_paper(const pb::EpochStart& start) { return in_domain(epoch_domain, start); }

Bytes message_of_grant(ByteView body) { return message_in(grant_domain, body); }

pb::Paper assemble(const Unsigned& paper, const Sha256Digest& key_id, Bytes signature) {
    pb::Paper out;
    out.set_body(string_of(paper.body));
    out.set_key_id(string_of(key_id.bytes()));
    out.set_signature(string_of(signature));
    return out;
}

void TrustedKeys::add(Issuer issuer, EvpPkey key) {
    const auto id = key_id_of(*key);
    entries_.push_back({issuer, id, std::shared_ptr<EVP_PKEY>{std::move(key)}});
}

Result<Sha256Digest> TrustedKeys::add_file(Issuer issuer, const std::filesystem::path& pem) {
    QSCD_TRY(const auto text, read_file(pem));
    auto key = public_key_from_pem(text);
    if (!key) return Error{Errc::configuration, pem.string() + ": " + key.error().detail};
    const auto id = key_id_of(*key.value());
    add(issuer, std::move(key.value()));
    return id;
}

Result<void> TrustedKeys::add_folder(Issuer issuer, const std::filesystem::path& folder) {
    std::error_code failed;
    for (const auto& file : std::filesystem::directory_iterator{folder, failed}) {
        if (!file.path().string().ends_with(".pub.pem")) continue;
        QSCD_TRY(add_file(issuer, file.path()));
    }
    if (failed) return Error{Errc::configuration, "cannot read " + folder.string() + ": " + failed.message()};
    return success();
}

const TrustedKeys::Entry* TrustedKeys::find(ByteView key_id) const {
    const auto found = std::ranges::find_if(
        entries_, [&](const Entry& entry) { return std::ranges::equal(entry.id.bytes(), key_id); });
    return found == entries_.end() ? nullptr : &*found;
}

Sha256Digest key_id_of(const EVP_PKEY& key) { return sha256(der_of(key, i2d_PUBKEY)); }

struct Verifier {
    template <class Body, class Message>
    static Result<Verified<Body>> verify(const pb::Paper& paper, const TrustedKeys& keys, std::string_view domain,
                                         std::initializer_list<Issuer> allowed,
                                         Result<Body> (*body_of)(const Message&)) {
        const auto* signer = keys.find(view_of(paper.key_id()));
        if (signer == nullptr) return refused("signed by a key that is not trusted");
        if (!std::ranges::count(allowed, signer->issuer)) return refused("signed by a key that may not sign this");
        const auto message = message_in(domain, view_of(paper.body()));
        if (!verify_message(*signer->key, message, view_of(paper.signature())))
            return refused("the signature does not verify");
        QSCD_TRY(auto parsed, decode<Message>(view_of(paper.body())));
        QSCD_TRY(auto body, body_of(parsed));
        return Verified<Body>{std::move(body), sha256(message), signer->issuer};
    }
};

Result<Verified<Grant>> verify_grant(const pb::Paper& paper, const TrustedKeys& keys, TimePoint now) {
    QSCD_TRY(auto grant,
             Verifier::verify(paper, keys, grant_domain, {Issuer::registration_officer, Issuer::rule_key}, grant_of));
    if (grant->issued_at > now + clock_skew) return refused("the Grant lies in the future");
    if (now >= grant->expires_at) return refused("the Grant has expired");
    return grant;
}

Result<Verified<KeyProof>> verify_key_proof(const pb::Paper& paper, const TrustedKeys& keys) {
    return Verifier::verify(paper, keys, key_proof_domain, {Issuer::attestation_key}, key_proof_of);
}

Result<Verified<Receipt>> verify_receipt(const pb::Paper& paper, const TrustedKeys& keys) {
    return Verifier::verify(paper, keys, receipt_domain, {Issuer::attestation_key}, receipt_of);
}

Result<Verified<pb::EpochStart>> verify_epoch_start(const pb::Paper& paper, const TrustedKeys& keys) {
    const auto same = +[](const pb::EpochStart& start) -> Result<pb::EpochStart> {
        if (start.genesis().size() != Sha256Digest::size || start.epoch() == 0 ||
            (!start.accepted_head().empty() && start.accepted_head().size() != Sha256Digest::size))
            return refused("the start of an epoch has a field of another length");
        return start;
    };
    return Verifier::verify<pb::EpochStart, pb::EpochStart>(paper, keys, epoch_domain, {Issuer::attestation_key}, same);
}

}  // namespace qscd::protocol
