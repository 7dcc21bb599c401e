#include "qscd/sam/signing_service.hpp"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/crash_point.hpp"
#include "qscd/sam/flow_ring.hpp"

namespace qscd::sam {

bool verifies(EVP_PKEY& key, Scheme scheme, const DtbsR& dtbsr, ByteView signature) {
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(&key, nullptr)};
    const auto* md = EVP_get_digestbyname(std::string{row_of(dtbsr.algorithm()).name}.c_str());
    bool good = EVP_PKEY_verify_init(context.get()) == 1;
    if (scheme == Scheme::rsa_pss)
        good = good && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) == 1;
    good = good && EVP_PKEY_CTX_set_signature_md(context.get(), md) == 1 &&
           EVP_PKEY_verify(context.get(), signature.data(), signature.size(), dtbsr.bytes().data(),
                           dtbsr.bytes().size()) == 1;
    if (!good) ERR_clear_error();
    return good;
}

std::shared_ptr<void> SigningService::one_more() const {
    const std::lock_guard guard{under_way_->lock};
    ++under_way_->count;
    return {nullptr, [all = under_way_](void*) {
                const std::lock_guard leaving{all->lock};
                if (--all->count == 0) all->none.notify_all();
            }};
}

bool SigningService::drain(std::chrono::seconds patience) {
    std::unique_lock guard{under_way_->lock};
    return under_way_->none.wait_for(guard, patience, [&] { return under_way_->count == 0; });
}

std::shared_ptr<hsm::KeyObject> SigningService::key_of(const CredentialId& credential, const CkaId& id) {
    auto& key = keys_[credential];
    if (!key) key = std::make_shared<hsm::KeyObject>(id, CKO_PRIVATE_KEY);
    return key;
}

void SigningService::sign(Ledger& ledger, std::shared_ptr<SignRequest> request, Reply<SignatureList> reply) {
    for (const auto& job : std::exchange(unrecorded_, {})) drive(ledger, job, TryAgain{});
    drive(ledger, std::make_shared<Job>(Job{SigningFlow{std::move(request)}, std::move(reply), one_more()}), Begin{});
}

void SigningService::drive(Ledger& ledger, const std::shared_ptr<Job>& job, Stimulus stimulus) {
    auto next = step(ledger, job->flow, std::move(stimulus), Given{sam_.clock.now(), ledger.next_seq()});
    if (const auto answer = answer_in(next)) job->reply(*answer);
    if (job->flow.phase() == Phase::unrecorded) {
        job->under_way.reset();
        return unrecorded_.push_back(job);
    }
    if (auto* permission = std::get_if<EnterModule>(&next)) return enter(ledger, job, std::move(*permission));
    if (std::holds_alternative<Commit>(next))
        sam_.core->after_commit(
            [this, job](Ledger& after, const Result<void>& committed) { drive(after, job, Committed{committed}); });
}

void SigningService::enter(Ledger& ledger, const std::shared_ptr<Job>& job, EnterModule permission) {
    auto certified = public_key_from_der(permission.public_key);
    if (!certified) {
        std::vector<ModuleOutcome> none;
        none.push_back({Error{Errc::internal, "the cell's public key"}, false});
        return drive(ledger, job,
                     ModuleAnswered{ModuleAnswer::check(std::move(permission.activation), std::move(none),
                                                        [](const DtbsR&, ByteView) { return false; })});
    }
    const auto key = key_of(permission.activation.credential(), permission.key);
    const auto scheme = permission.activation.scheme();
    const auto hashes = permission.activation.hashes();
    const auto activation = std::make_shared<Activation>(std::move(permission.activation));
    const std::shared_ptr<EVP_PKEY> public_key{std::move(certified.value())};
    crash_point("samd.sign.before-c-sign");
    sam_.signer_token.sign_all(
        key, scheme, hashes,
        [this, &core = *sam_.core, job, activation, public_key, scheme](  // `this` is for the core alone
            std::vector<hsm::Token::Outcome> outcomes) {
            crash_point("samd.sign.after-c-sign");
            std::vector<ModuleOutcome> came;
            came.reserve(outcomes.size());
            for (auto& outcome : outcomes) came.push_back({std::move(outcome.signature), outcome.entered});
            const auto good = [&](const DtbsR& hash, ByteView signature) {
                return verifies(*public_key, scheme, hash, signature);
            };
            const auto answer = std::make_shared<ModuleAnswer>(
                ModuleAnswer::check(std::move(*activation), std::move(came), good));
            core.post([this, job, answer](Ledger& after) { drive(after, job, ModuleAnswered{std::move(*answer)}); },
                      [job](const Error& error) { job->reply(error); });
        });
}

}  // namespace qscd::sam
