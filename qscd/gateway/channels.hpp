// The peers over their channels. Bytes that carry a PIN, a code or a SAD token are wiped once they are sent.
// Thread rules: safe from every thread.
#pragma once

#include "protocol/channel.hpp"
#include "qscd/gateway/peers.hpp"

namespace qscd::gateway {

class SamChannel final : public Sam {
public:
    explicit SamChannel(protocol::Client& client) : client_(client) {}
    Result<pb::CredentialDescription> describe(const CredentialId& credential) override;
    Result<std::vector<CredentialId>> list(const SignerId& signer) override;
    Result<void> open_challenge(const pb::OpenChallenge& request) override;
    Result<pb::Authorised> authorise(pb::Authorise& request) override;
    Result<pb::Signatures> sign(pb::SignHash& request) override;
    Result<pb::SamHealthReport> health() override;

private:
    protocol::Client& client_;
};

class RegistrationChannel final : public Registration {
public:
    explicit RegistrationChannel(protocol::Client& client) : client_(client) {}
    Result<SignerId> find_signer(const std::string& username) override;
    Result<pb::RaHealthReport> health() override;

private:
    protocol::Client& client_;
};

}  // namespace qscd::gateway
