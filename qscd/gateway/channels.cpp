#include "qscd/gateway/channels.hpp"

namespace qscd::gateway {
namespace {

constexpr std::chrono::milliseconds health_timeout{2'000};

}  // namespace

Result<pb::CredentialDescription> SamChannel::describe(const CredentialId& credential) {
    pb::SamRequest request;
    request.mutable_describe()->set_credential(string_of(credential.bytes()));
    return client_.call<pb::CredentialDescription>(request);
}

Result<std::vector<CredentialId>> SamChannel::list(const SignerId& signer) {
    pb::SamRequest request;
    request.mutable_list()->set_signer(string_of(signer.bytes()));
    QSCD_TRY(const auto reply, client_.call<pb::CredentialList>(request));
    std::vector<CredentialId> out;
    for (const auto& bytes : reply.credentials()) {
        const auto id = CredentialId::from(view_of(bytes));
        if (!id) return Error{Errc::internal, "samd lists what is no credential"};
        out.push_back(*id);
    }
    return out;
}

Result<void> SamChannel::open_challenge(const pb::OpenChallenge& challenge) {
    pb::SamRequest request;
    *request.mutable_open_challenge() = challenge;
    QSCD_TRY(client_.call<pb::ChallengeOpened>(request));
    return success();
}

// Swapped in and back: no second copy of a secret is made.
Result<pb::Authorised> SamChannel::authorise(pb::Authorise& asked) {
    pb::SamRequest request;
    request.mutable_authorise()->Swap(&asked);
    auto reply = client_.call<pb::Authorised>(request);
    request.mutable_authorise()->Swap(&asked);
    return reply;
}

Result<pb::Signatures> SamChannel::sign(pb::SignHash& asked) {
    pb::SamRequest request;
    request.mutable_sign()->Swap(&asked);
    auto reply = client_.call<pb::Signatures>(request);
    request.mutable_sign()->Swap(&asked);
    return reply;
}

Result<pb::SamHealthReport> SamChannel::health() {
    pb::SamRequest request;
    request.mutable_health();
    return client_.call<pb::SamHealthReport>(request, health_timeout);
}

Result<SignerId> RegistrationChannel::find_signer(const std::string& username) {
    pb::RaRequest request;
    request.mutable_find_signer()->set_username(username);
    QSCD_TRY(const auto account, client_.call<pb::Account>(request));
    const auto signer = SignerId::from(view_of(account.signer()));
    if (!signer) return Error{Errc::internal, "rad names what is no signer"};
    return *signer;
}

Result<pb::RaHealthReport> RegistrationChannel::health() {
    pb::RaRequest request;
    request.mutable_health();
    return client_.call<pb::RaHealthReport>(request, health_timeout);
}

}  // namespace qscd::gateway
