// The epochs of a log: each is brought in by a paper of the attestation key, in the first batch that its own head key
// signs, and says what it went on from. [sam-state 4] [AUD-08] Thread rules: one owner.
#pragma once

#include <map>

#include "protocol/papers.hpp"
#include "qscd/audit/findings.hpp"

namespace qscd::audit {

struct Epoch {
    std::uint64_t number, accepted_size, anchored_size;
    EvpPkey head_key;
    bool unsealed;  // people let it go on
    std::string key_name() const { return "head-" + std::to_string(number); }
};

class Epochs {
public:
    Epochs(EVP_PKEY& attestation_key, Findings& findings);

    // What a new epoch must go on from: the size of the log before its batch, and the head there, when it was good.
    struct Before {
        std::uint64_t size;
        std::optional<Sha256Digest> head;  // of its text
    };
    // The epoch that this record brings in; null when it brings in none.
    const Epoch* start(const pb::LogRecord& record, const std::optional<Sha256Digest>& genesis, const Before& before);

    const Epoch* find(std::uint64_t number) const;
    const Epoch* after(std::uint64_t number) const;  // the next that came
    const Epoch* newest() const { return epochs_.empty() ? nullptr : &epochs_.rbegin()->second; }
    std::size_t count() const { return epochs_.size(); }

private:
    protocol::TrustedKeys trusted_;
    Findings& findings_;
    std::map<std::uint64_t, Epoch> epochs_;
};

}  // namespace qscd::audit
