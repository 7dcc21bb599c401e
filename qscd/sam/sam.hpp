// What the SAM's flows share, and how they answer. Thread rules: made at start, immutable; each member keeps its own.
#pragma once

#include "hsm/token.hpp"
#include "policy/policy.hpp"
#include "qscd/sam/activation/challenge.hpp"
#include "qscd/sam/certificate_fit.hpp"
#include "qscd/sam/core.hpp"
#include "qscd/sam/messenger.hpp"
#include "qscd/sam/secrets.hpp"
#include "qscd/sam/shards.hpp"

namespace qscd::sam {

template <class T>
using Reply = std::function<void(const Result<T>&)>;

struct Sam {
    Core* core;  // set once both exist
    const policy::Policy& policy;
    const protocol::TrustedKeys& paper_keys;  // registration officers and rule key
    const IssuingCas& issuers;
    Shards& shards;           // the signers' keys
    hsm::Token& own_token;    // the SAM's keys
    ProcessKey& process_key;  // made anew before the first request is served
    Messenger& messenger;
    const Clock& clock;
    Secrets& secrets;
};

// Refuses, on the record, and answers once the record is durable. [AUD-01]
template <class T>
void refuse(const Sam& sam, Ledger& ledger, std::string actor, std::optional<CredentialId> credential,
            std::string_view request, Error error, Reply<T> reply) {
    ledger.record({Event::refused,
                   std::move(actor),
                   credential,
                   std::string{name_of(error.code)},
                   {{"request", std::string{request}}}});
    sam.core->after_commit(
        [error = std::move(error), reply = std::move(reply)](Ledger&, const Result<void>& committed) {
            reply(committed ? error : committed.error());
        });
}

// Answers once what was staged is durable; otherwise with the reason why it is not.
template <class T>
void answer_after_commit(const Sam& sam, T value, Reply<T> reply) {
    sam.core->after_commit([value = std::make_shared<T>(std::move(value)), reply = std::move(reply)](
                               Ledger&, const Result<void>& committed) {
        if (committed) reply(std::move(*value));
        else reply(committed.error());
    });
}

}  // namespace qscd::sam
