#include "qscd/gateway/credential_directory.hpp"

#include "base/diagnostics.hpp"

namespace qscd::gateway {
namespace {

Error invalid(const char* name) { return {Errc::parameter_invalid, "", {"string", name}}; }
const SignerId& signer_of(const CredentialFacts& facts) { return facts.signer; }
const SignerId& signer_of(const DescribedCredential& described) { return described.facts.signer; }

}  // namespace

std::optional<CredentialId> CredentialDirectory::parse(std::string_view text) {
    const auto id = CredentialId::from_hex(text);
    return id && id->hex() == text ? id : std::nullopt;
}

Result<std::optional<DescribedCredential>> CredentialDirectory::described(const CredentialId& id) {
    auto asked = sam_.describe(id);
    if (!asked && asked.error().code == Errc::parameter_invalid) return std::optional<DescribedCredential>{};
    QSCD_TRY(auto description, std::move(asked));
    if (description.status() == pb::CredentialDescription::ENROLLING) return std::optional<DescribedCredential>{};
    const auto signer = SignerId::from(view_of(description.signer()));
    const auto kind = key_kind_numbered(description.key_kind());
    if (!signer || !kind || CredentialId::from(view_of(description.credential())) != id)
        return Error{Errc::internal, "samd describes what is not the credential " + id.hex()};
    const auto* profile = policy_.find(description.profile());
    if (profile == nullptr)
        return Error{Errc::internal,
                     "credential " + id.hex() + " has a profile that the policy does not: " + description.profile()};
    const CredentialFacts facts{id, *signer, *kind, profile};
    const std::lock_guard one{lock_};
    facts_.insert_or_assign(id, facts);
    return std::optional{DescribedCredential{facts, std::move(description)}};
}

Result<std::optional<CredentialFacts>> CredentialDirectory::facts_of(const CredentialId& id) {
    {
        const std::lock_guard one{lock_};
        if (const auto found = facts_.find(id); found != facts_.end()) return std::optional{found->second};
    }
    QSCD_TRY(const auto found, described(id));
    return found ? std::optional{found->facts} : std::nullopt;
}

Result<CredentialFacts> CredentialDirectory::own(const ClientId& client, std::string_view text) {
    const auto id = parse(text);
    if (!id) return invalid("credentialID");
    QSCD_TRY(const auto facts, facts_of(*id));
    if (!facts || !access_.may_act_for(client, facts->signer)) return invalid("credentialID");
    return *facts;
}

Result<DescribedCredential> CredentialDirectory::own_described(const ClientId& client, std::string_view text) {
    const auto id = parse(text);
    if (!id) return invalid("credentialID");
    QSCD_TRY(auto found, described(*id));
    if (!found || !access_.may_act_for(client, found->facts.signer)) return invalid("credentialID");
    return std::move(*found);
}

Result<SignerId> CredentialDirectory::signer_for(const ClientId& client, const std::string& user) {
    const auto known = [&]() -> std::optional<SignerId> {
        const std::lock_guard one{lock_};
        const auto found = signers_.find(user);
        return found != signers_.end() ? std::optional{found->second} : std::nullopt;
    }();
    auto signer = known;
    if (!signer) {
        auto found = registration_.find_signer(user);
        if (!found && found.error().code == Errc::parameter_invalid) return invalid("userID");
        QSCD_TRY(signer, std::move(found));
        const std::lock_guard one{lock_};
        signers_.emplace(user, *signer);
    }
    if (!access_.may_act_for(client, *signer)) return invalid("userID");
    return *signer;
}

template <class Found, class Find>
Result<std::vector<Found>> CredentialDirectory::listed(const SignerId& signer, Find find) {
    QSCD_TRY(const auto ids, sam_.list(signer));
    std::vector<Found> out;
    for (const auto& id : ids) {
        auto found = (this->*find)(id);
        if (!found && found.error().code == Errc::internal) {
            note(Level::alarm, "credential-not-listed", {{"credential", id.hex()}, {"reason", found.error().detail}});
            continue;
        }
        QSCD_TRY(auto one, std::move(found));
        if (one && signer_of(*one) == signer) out.push_back(std::move(*one));
    }
    return out;
}

Result<std::vector<CredentialFacts>> CredentialDirectory::of_signer(const SignerId& signer) {
    return listed<CredentialFacts>(signer, &CredentialDirectory::facts_of);
}
Result<std::vector<DescribedCredential>> CredentialDirectory::of_signer_described(const SignerId& signer) {
    return listed<DescribedCredential>(signer, &CredentialDirectory::described);
}

}  // namespace qscd::gateway
