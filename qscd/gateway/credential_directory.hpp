// Whose credential is whose, and which signer a userID names. What does not exist, what is malformed, what is still
// being enrolled and what the client may not act for are one answer [CSC API v2.0.0.2, 11.4, 11.5]. Facts that never
// change are kept once found; what was not found is asked again, since it may have come since. Thread rules: safe from
// every thread.
#pragma once

#include <mutex>
#include <unordered_map>

#include "policy/policy.hpp"
#include "qscd/gateway/access.hpp"
#include "qscd/gateway/peers.hpp"

namespace qscd::gateway {

// Of a credential whose enrolment is finished.
struct CredentialFacts {
    CredentialId id;
    SignerId signer;
    KeyKind key_kind;
    const policy::Profile* profile;  // never null
};

struct DescribedCredential {
    CredentialFacts facts;
    pb::CredentialDescription description;
};

class CredentialDirectory {
public:
    CredentialDirectory(Sam& sam, Registration& registration, const Access& access, const policy::Policy& policy)
        : sam_(sam), registration_(registration), access_(access), policy_(policy) {}

    // Errc::parameter_invalid (userID).
    Result<SignerId> signer_for(const ClientId& client, const std::string& user);

    // `text` is a credentialID as it came. Errc::parameter_invalid (credentialID).
    Result<CredentialFacts> own(const ClientId& client, std::string_view text);
    // The same with samd's description as of now.
    Result<DescribedCredential> own_described(const ClientId& client, std::string_view text);

    // The finished credentials of a signer, in samd's order. One that cannot be described is left out, with an alarm.
    Result<std::vector<CredentialFacts>> of_signer(const SignerId& signer);
    Result<std::vector<DescribedCredential>> of_signer_described(const SignerId& signer);

    // 32 lower-case hex digits.
    static std::optional<CredentialId> parse(std::string_view text);

private:
    Result<std::optional<DescribedCredential>> described(const CredentialId& id);  // nothing: unknown or not finished
    Result<std::optional<CredentialFacts>> facts_of(const CredentialId& id);
    template <class Found, class Find>
    Result<std::vector<Found>> listed(const SignerId& signer, Find find);

    Sam& sam_;
    Registration& registration_;
    const Access& access_;
    const policy::Policy& policy_;
    std::mutex lock_;
    std::unordered_map<CredentialId, CredentialFacts, HashOfFixedBytes> facts_;
    std::unordered_map<std::string, SignerId> signers_;
};

}  // namespace qscd::gateway
