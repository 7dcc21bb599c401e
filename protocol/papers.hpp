// The signed papers of enrolment as validated types. Whoever reads a paper verifies it himself: a Verified<Grant> can only
// be made here, from a signature by a trusted key. [design, section 5] [QSCD-08] [CA-17] [RA-48]
// Thread rules: values and pure functions.
#pragma once

#include <filesystem>
#include <vector>

#include "base/clock.hpp"
#include "base/identifier.hpp"
#include "base/key_kind.hpp"
#include "base/openssl.hpp"
#include "protocol/papers.pb.h"
#include "protocol/record.pb.h"

namespace qscd::protocol {

struct Subject {
    std::string country, given_name, surname, serial_number, common_name;
    auto operator<=>(const Subject&) const = default;
};

// This person may have this credential.
struct Grant {
    EnrolmentId enrolment;
    Nonce nonce;
    SignerId signer;
    Subject subject;
    std::string profile;
    Sha256Digest policy_version;
    KeyKind key_kind;
    std::string phone, email;
    DeviceId phone_device;
    std::optional<DeviceId> app_device;
    Sha256Digest evidence;
    TimePoint issued_at, expires_at;
};

// This key was made in this module for this Grant.
struct KeyProof {
    Sha256Digest grant;
    EnrolmentId enrolment;
    CredentialId credential;
    KeyKind key_kind;
    Bytes public_key;  // SubjectPublicKeyInfo
    std::string module_entry;
    std::vector<std::pair<std::string, std::string>> attributes;  // as read back from the token
    Sha256Digest acceptance;
    TimePoint made_at;
};

// This certificate is active.
struct Receipt {
    EnrolmentId enrolment;
    CredentialId credential;
    Sha256Digest certificate;
    TimePoint activated_at;
};

// The body of a paper, ready to be signed: canonical bytes with the domain in front.
struct Unsigned {
    Bytes body;
    Bytes message;  // what is signed: "qscd/<kind>/v1" | 0 | body
};
Unsigned to_paper(const Grant& grant);
Unsigned to_paper(const KeyProof& proof);
Unsigned to_paper(const Receipt& receipt);
Unsigned to_paper(const pb::EpochStart& start);
// The body of a Grant as rad sent it to the officer: parsed, so that he can be shown what he signs.
Result<Grant> grant_in(ByteView body);
Bytes message_of_grant(ByteView body);

pb::Paper assemble(const Unsigned& paper, const Sha256Digest& key_id, Bytes signature);

enum class Issuer { registration_officer, rule_key, attestation_key };

// The keys whose signature makes a paper. Loaded from files of the deployment that its owner wrote; never from a store.
class TrustedKeys {
public:
    void add(Issuer issuer, EvpPkey key);
    Result<Sha256Digest> add_file(Issuer issuer, const std::filesystem::path& pem);  // answers the key's id
    Result<void> add_folder(Issuer issuer, const std::filesystem::path& folder);     // each *.pub.pem in it
    struct Entry {
        Issuer issuer;
        Sha256Digest id;
        std::shared_ptr<EVP_PKEY> key;
    };
    const Entry* find(ByteView key_id) const;

private:
    std::vector<Entry> entries_;
};
Sha256Digest key_id_of(const EVP_PKEY& key);

// A paper whose signature, form and time were checked. `digest` names it: SHA-256 of the signed message.
template <class Body>
class Verified {
public:
    const Body& operator*() const { return body_; }
    const Body* operator->() const { return &body_; }
    const Sha256Digest& digest() const { return digest_; }
    Issuer issuer() const { return issuer_; }

private:
    friend struct Verifier;
    Verified(Body body, Sha256Digest digest, Issuer issuer)
        : body_(std::move(body)), digest_(digest), issuer_(issuer) {}
    Body body_;
    Sha256Digest digest_;
    Issuer issuer_;
};

// Each refuses with Errc::paper_refused: signature, unknown key, a key that may not sign this kind, form, field lengths;
// verify_grant also a Grant that has expired or lies in the future by more than a minute.
Result<Verified<Grant>> verify_grant(const pb::Paper& paper, const TrustedKeys& keys, TimePoint now);
Result<Verified<KeyProof>> verify_key_proof(const pb::Paper& paper, const TrustedKeys& keys);
Result<Verified<Receipt>> verify_receipt(const pb::Paper& paper, const TrustedKeys& keys);
Result<Verified<pb::EpochStart>> verify_epoch_start(const pb::Paper& paper, const TrustedKeys& keys);

}  // namespace qscd::protocol
