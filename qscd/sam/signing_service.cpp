#include "qscd/sam/signing_service.hpp"

#include "base/crash_point.hpp"
#include "hsm/signature_check.hpp"
#include "qscd/sam/flow_ring.hpp"

namespace qscd::sam {

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

std::shared_ptr<hsm::SigningKey> SigningService::key_of(hsm::Token& token, const CkaId& id) {
    auto& key = keys_[{&token, id}];
    if (!key) key = hsm::resident_key(token, id);
    return key;
}

void SigningService::sign(Ledger& ledger, std::shared_ptr<SignRequest> request, Reply<SignatureList> reply) {
    for (const auto& job : std::exchange(unrecorded_, {})) drive(ledger, job, TryAgain{});
    drive(ledger, std::make_shared<Job>(Job{SigningFlow{std::move(request)}, std::move(reply), one_more()}), Begin{});
}

void SigningService::drive(Ledger& ledger, const std::shared_ptr<Job>& job, Stimulus stimulus) {
    const RequestScope scope{job->request};  // steps come from the token's threads, and late from another request
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

// Where the key's record says that it is, and nowhere else. A certificate that says QcSSCD is signed for by the certified
// combination alone. [QSCD-03] [QSCD-04]
Result<Shard*> SigningService::shard_of(Ledger& ledger, const EnterModule& permission) const {
    QSCD_TRY(auto* shard, sam_.shards.of(permission.shard, permission.token));
    QSCD_TRY(shard->usable());
    if (shard->settings().counts_as_qscd(sam_.clock.now())) return shard;
    QSCD_TRY(const auto cell, ledger.credential(permission.activation.credential()));
    const auto* profile = cell ? sam_.policy.find(cell->profile()) : nullptr;
    if (profile == nullptr || has(policy::row_of(profile->type()).qc, policy::Qc::sscd))
        return Error{Errc::credential_disabled, "the module registry's [qscd] entry does not cover this key [QSCD-03]"};
    return shard;
}

void SigningService::enter(Ledger& ledger, const std::shared_ptr<Job>& job, EnterModule permission) {
    auto certified = public_key_from_der(permission.public_key);
    const auto shard = shard_of(ledger, permission);
    if (!certified || !shard) {
        std::vector<ModuleOutcome> none;
        none.push_back({shard ? Error{Errc::internal, "the cell's public key"} : shard.error(), false});
        return drive(ledger, job,
                     ModuleAnswered{ModuleAnswer::check(std::move(permission.activation), std::move(none),
                                                        [](const DtbsR&, ByteView) { return false; })});
    }
    auto& where = *shard.value();
    const auto key = key_of(where.token(), permission.key);
    const auto scheme = permission.activation.scheme();
    const auto hashes = permission.activation.hashes();
    const auto activation = std::make_shared<Activation>(std::move(permission.activation));
    const std::shared_ptr<EVP_PKEY> public_key{std::move(certified.value())};
    crash_point("samd.sign.before-c-sign");
    where.asked_to_sign();
    key->sign_all(
        scheme, hashes,
        [this, &core = *sam_.core, &where, job, activation, public_key, scheme](  // `this` is for the core alone
            std::vector<hsm::Token::Outcome> outcomes) {
            crash_point("samd.sign.after-c-sign");
            std::vector<ModuleOutcome> came;
            came.reserve(outcomes.size());
            for (auto& outcome : outcomes) {
                if (!outcome.signature) where.saw(outcome.signature.error());
                came.push_back({std::move(outcome.signature), outcome.entered});
            }
            const auto good = [&](const DtbsR& hash, ByteView signature) {
                return hsm::verifies(*public_key, scheme, hash, signature);
            };
            const auto answer = std::make_shared<ModuleAnswer>(
                ModuleAnswer::check(std::move(*activation), std::move(came), good));
            core.post([this, job, answer](Ledger& after) { drive(after, job, ModuleAnswered{std::move(*answer)}); },
                      [job](const Error& error) { job->reply(error); });
        });
}

}  // namespace qscd::sam
