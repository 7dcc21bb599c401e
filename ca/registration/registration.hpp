// From a person to a Grant: account, request, acceptance, approval. A step done twice is done once.
// Who approves: a registration officer's signature for qualified types; for LCP the rule key's, or an officer's.
// [design, section 5] [CA-17] [CA-35] [RA-48] [AUTHN-25] [AUTHN-26]
// Thread rules: safe from every thread; one step at a time.
#pragma once

#include <functional>
#include <mutex>

#include "base/secret.hpp"
#include "ca/registration/registration_store.hpp"
#include "policy/policy.hpp"
#include "protocol/papers.hpp"
#include "protocol/ra.pb.h"

namespace qscd::ca {

// A signature by the rule key over a message, with its key id. Errc::token_away is an answer.
struct RuleSignature {
    Sha256Digest key_id;
    Bytes signature;
};
using RuleKeySigner = std::function<Result<RuleSignature>(ByteView message)>;

class Registration {
public:
    struct Parts {
        policy::Policy policy;
        protocol::TrustedKeys trusted;  // registration officers and the rule key
        RegistrationStore& store;
        RuleKeySigner rule_key;
        const Clock& clock;
        std::chrono::days request_life;  // also of the Grant
    };
    explicit Registration(Parts parts) : parts_(std::move(parts)) {}

    // Equal username, e-mail and phone: the account that is there, its password untouched. A clash in one of them:
    // Errc::access_denied, which does not tell the field. Errc::parameter_invalid for a field that cannot be.
    Result<Account> add_account(const std::string& username, const SecretBytes& password, const std::string& email,
                                const std::string& phone);
    // Errc::parameter_invalid {string, userID} for a name nobody has.
    Result<Account> find_signer(const std::string& username);

    struct Created {
        EnrolmentId enrolment;
        Bytes grant_body;
        bool needs_officer;
    };
    // Errc::parameter_invalid: subject, evidence, unknown username or profile; Errc::access_denied: what the profile
    // does not allow. The same content again, while its request lives, is the same request.
    Result<Created> create_request(const pb::CreateRequest& asked);

    // The signer accepts certificate data and terms [CA-35]. Accepting again is the same acceptance; other terms are
    // Errc::out_of_order, as is whatever comes after the request's end.
    Result<Sha256Digest> record_acceptance(const EnrolmentId& enrolment, const Sha256Digest& terms,
                                           const std::string& language);

    // Without a signature the rule key signs, for LCP alone. Errc::out_of_order before the acceptance and after the
    // end; Errc::access_denied for an approval that does not count; approving again changes nothing.
    Result<void> approve(const EnrolmentId& enrolment, ByteView key_id, ByteView signature);
    Result<pb::Paper> grant(const EnrolmentId& enrolment);  // Errc::out_of_order before the approval

    Result<void> healthy();

private:
    Result<EnrolmentRequest> live_request(const EnrolmentId& enrolment);
    Parts parts_;
    std::mutex one_at_a_time_;
};

}  // namespace qscd::ca
