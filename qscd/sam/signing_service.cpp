#include "qscd/sam/signing_service.hpp"

#include <openssl/err.h>
#include <openssl/rsa.h>

#include "base/diagnostics.hpp"
#include "qscd/sam/credential_rules.hpp"

namespace qscd::sam {
namespace {

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

cell::Answered* answer_of(cell::Credential& cell, const Activation& activation, const std::string& key) {
    auto* sad = find_sad(cell, activation.sad());
    if (sad == nullptr || key.empty()) return nullptr;
    const auto found = std::ranges::find(*sad->mutable_answered(), key, &cell::Answered::key);
    return found == sad->mutable_answered()->end() ? nullptr : &*found;
}

}  // namespace

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

struct SigningService::Job {
    std::shared_ptr<SignRequest> request;
    Reply<SignatureList> reply;
    Activation activation;
    std::shared_ptr<hsm::KeyObject> key;
    std::shared_ptr<EVP_PKEY> public_key;            // the certified one
    std::uint64_t intent;                            // sequence number of its record
    std::shared_ptr<void> under_way;                 // for drain()
    std::vector<hsm::Token::Outcome> outcomes = {};  // by the token's thread, before it posts
    bool verified = true;
};

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

std::shared_ptr<hsm::KeyObject> SigningService::key_of(const cell::Credential& cell) {
    const auto id = *CredentialId::from(view_of(cell.id()));
    auto& key = keys_[id];
    if (!key) key = std::make_shared<hsm::KeyObject>(*CkaId::from(view_of(cell.cka_id())), CKO_PRIVATE_KEY);
    return key;
}

void SigningService::sign(Ledger& ledger, std::shared_ptr<SignRequest> request, Reply<SignatureList> reply) {
    for (const auto& job : std::exchange(unrecorded_, {})) finish(ledger, job);
    const auto now = sam_.clock.now();
    const auto refused = [&](Error error) {
        refuse(sam_, ledger, request->client.text(), request->credential, "signHash", std::move(error), reply);
    };
    auto found = active_credential(ledger, request->credential);
    if (!found) return refused(found.error());
    auto& cell = found.value();
    const auto repeated = answered(cell, *request);
    if (!repeated) return refused(repeated.error());
    if (const auto* answer = repeated.value(); answer != nullptr) {
        if (!answer->done()) return refused({Errc::service_away, "the first request with this key is not finished"});
        if (answer->signatures().empty())
            return refused({Errc::internal, "the outcome of the first request is not known"});
        SignatureList signatures;
        for (const auto& signature : answer->signatures()) signatures.push_back(bytes_of(signature));
        return answer_after_commit<SignatureList>(sam_, std::move(signatures), std::move(reply));
    }
    if (const auto use = usable(cell, now); !use) return refused(use.error());
    const auto kind = static_cast<KeyKind>(cell.key_kind());
    if (!fits(request->scheme, kind)) return refused({Errc::parameter_invalid, "", {"string", "signAlgo"}});
    auto public_key = public_key_from_der(view_of(cell.public_key()));
    if (!public_key) return refused({Errc::internal, "the cell's public key"});
    auto activation = SadVerifier::verify(cell, *request, now);
    if (!activation) return refused(activation.error());

    // Write first, act second: the occurrences are consumed and the intent is durable before the module is asked.
    ledger.put(cell);
    const auto intent = ledger.next_seq();
    ledger.record(
        {Event::sign_intent,
         request->client.text(),
         request->credential,
         "ok",
         {{"hashes", std::to_string(request->hashes.size())}, {"hash_set", hash_set_of(request->hashes).hex()}}});
    auto job = std::make_shared<Job>(Job{std::move(request), std::move(reply), std::move(activation.value()),
                                         key_of(cell), std::shared_ptr<EVP_PKEY>{std::move(public_key.value())}, intent,
                                         one_more()});
    sam_.core->after_commit([this, job](Ledger& after, const Result<void>& committed) {
        if (!committed) return job->reply(committed.error());
        begin(after, job);
    });
}

void SigningService::begin(Ledger&, const std::shared_ptr<Job>& job) {
    sam_.signer_token.sign_all(
        job->key, job->activation.scheme(), job->activation.hashes(),
        [this, &core = *sam_.core, job](std::vector<hsm::Token::Outcome> outcomes) {  // `this` is for the core alone
            for (std::size_t i = 0; i < outcomes.size(); ++i)
                if (outcomes[i].signature)
                    job->verified = job->verified &&
                                    verifies(*job->public_key, job->activation.scheme(), job->activation.hashes()[i],
                                             outcomes[i].signature.value());
            job->outcomes = std::move(outcomes);
            core.post([this, job](Ledger& ledger) { finish(ledger, job); },
                      [job](const Error& error) { job->reply(error); });
        });
}

// Stages the result, and releases it once it is durable.
void SigningService::finish(Ledger& ledger, const std::shared_ptr<Job>& job) {
    const auto& credential = job->activation.credential();
    auto found = ledger.credential(credential);
    if (!found || !found.value()) return job->reply(Error{Errc::internal, "the cell is not there any more"});
    auto& cell = *found.value();
    const auto conclude = [&](Event event, Result<SignatureList> result, Fields fields = {}) {
        fields.emplace(fields.begin(), "intent", std::to_string(job->intent));
        ledger.put(cell);
        ledger.record({event, job->request->client.text(), credential,
                       result ? "ok" : std::string{name_of(result.error().code)}, std::move(fields)});
        sam_.core->after_commit([this, job, result = std::move(result)](Ledger&, const Result<void>& committed) {
            if (committed) return job->reply(result);
            job->reply(committed.error());
            job->reply = [](const Result<SignatureList>&) {};
            job->under_way.reset();
            unrecorded_.push_back(job);  // its outcome is known, and goes on record as soon as anything can
        });
    };
    const auto& outcomes = job->outcomes;
    auto* answer = answer_of(cell, job->activation, job->request->idempotency_key);
    if (!job->verified) {  // wrong key, wrong handle, or a lying module: nothing more is signed with this credential
        cell.set_state(cell::Credential::DISABLED);
        if (answer != nullptr) answer->set_done(true);
        note(Level::alarm, "signature-does-not-verify", {{"credential", credential.hex()}});
        return conclude(Event::signature_bad, Error{Errc::internal, "a signature does not verify"});
    }
    if (!outcomes.back().signature) {
        const auto& failed = outcomes.back();
        // Up to and including what entered C_Sign counts as used, whatever came back.
        SadVerifier::give_back(cell, job->activation, failed.entered ? outcomes.size() : outcomes.size() - 1);
        if (answer != nullptr) {
            if (failed.entered || outcomes.size() > 1) {
                answer->set_done(true);
            } else {  // nothing was signed: the same key may ask again
                auto& all = *find_sad(cell, job->activation.sad())->mutable_answered();
                all.erase(std::ranges::find(all, job->request->idempotency_key, &cell::Answered::key));
            }
        }
        const auto& error =
            failed.signature.error();  // a key that is not there is ours, not a parameter of the caller's
        return conclude(failed.entered ? Event::sign_unknown : Event::sign_failed,
                        error.code == Errc::token_away ? error : Error{Errc::internal, error.detail});
    }
    SignatureList signatures;
    Bytes all;
    for (const auto& outcome : outcomes) {
        signatures.push_back(outcome.signature.value());
        all.insert(all.end(), signatures.back().begin(), signatures.back().end());
    }
    if (answer != nullptr) {
        answer->set_done(true);
        for (const auto& signature : signatures) answer->add_signatures(string_of(signature));
    }
    const auto count = std::to_string(signatures.size());
    conclude(Event::signed_hashes, std::move(signatures), {{"signatures", count}, {"digest", sha256(all).hex()}});
}

}  // namespace qscd::sam
