// The one place that asks a token to sign with a signer's key [SAM-15]: it drives the signing flow, which alone gives the
// permission. Thread rules: called inside a step of the core; the module signs on the token's threads.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>

#include "hsm/signing_key.hpp"
#include "qscd/sam/activation/signing_flow.hpp"
#include "qscd/sam/sam.hpp"

namespace qscd::sam {

class SigningService {
public:
    explicit SigningService(const Sam& sam) : sam_(sam) {}
    void sign(Ledger& ledger, std::shared_ptr<SignRequest> request, Reply<SignatureList> reply);
    // Waits until no signature is under way any more: each result is on record then. False when it took too long.
    bool drain(std::chrono::seconds patience);

private:
    struct Job {
        SigningFlow flow;
        Reply<SignatureList> reply;
        std::shared_ptr<void> under_way;  // for drain()
        std::optional<RequestId> request = current_request();
    };
    struct UnderWay {
        std::mutex lock;
        std::condition_variable none;
        unsigned count = 0;
    };
    std::shared_ptr<void> one_more() const;  // under way as long as it lives
    void drive(Ledger& ledger, const std::shared_ptr<Job>& job, Stimulus stimulus);
    Result<Shard*> shard_of(Ledger& ledger, const EnterModule& permission) const;
    void enter(Ledger& ledger, const std::shared_ptr<Job>& job, EnterModule permission);
    std::shared_ptr<hsm::SigningKey> key_of(hsm::Token& token, const CkaId& id);

    const Sam& sam_;
    std::shared_ptr<UnderWay> under_way_ = std::make_shared<UnderWay>();  // jobs may outlive us on a token's thread
    std::vector<std::shared_ptr<Job>> unrecorded_;  // their outcome goes on record as soon as anything can
    // Handles are cached, never searched per signature.
    std::map<std::pair<hsm::Token*, CkaId>, std::shared_ptr<hsm::SigningKey>> keys_;
};

}  // namespace qscd::sam
