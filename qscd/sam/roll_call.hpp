// Compares the keys in a shard's token with their records: at start, when the token was away, and each hour. The records
// decide; a key alone means nothing and is never used. [QSCD-12] [QSCD-14] [QSCD-21]
//
//   its record says destroyed, and it is there  destroyed again: somebody brought an older copy of the token back
//   its record says to be destroyed             destroyed now: a crash or an absence came in between
//   in no record                                an orphan: destroyed; but left alone in a token that held keys before it
//                                               was ours, and wherever records may be missing
//   in another shard's record                   told
//   recorded, and not there                     told: an older copy of the token, or somebody destroyed it
//
// Keys that are being made, and those whose making failed, are enrolment's.
// Thread rules: begin() once Sam::core is set. The shards' threads are joined before this ends.
#pragma once

#include <map>
#include <set>

#include "qscd/sam/sam.hpp"

namespace qscd::sam {

class RollCall {
public:
    explicit RollCall(const Sam& sam) : sam_(sam) {}
    void begin();
    // On record, with the start: a token that was claimed just now. In a step of the core.
    void tell_claim(Ledger& ledger, Shard& shard) { record(ledger, shard, {{}, {}, {{"claimed"}}}); }

private:
    struct Named {
        CkaId key;
        CredentialId credential;
    };
    // One comparison under way.
    struct Pass {
        Shard& shard;
        Claim claim;
        std::set<CkaId> strange;  // in the token, and in no record read so far
        std::size_t next = 0;     // cell
        bool complete = true;     // each cell could be read
        bool history_lost = false;
        std::vector<Named> to_destroy, back_again, elsewhere, absent;
    };
    struct Finding {
        std::string_view finding;
        std::optional<CkaId> key = {};
        std::optional<CredentialId> credential = {};
    };
    struct Outcome {
        std::vector<Named> destroyed, destroyed_again;
        std::vector<Finding> findings;
    };

    void call(Shard& shard);
    void list(Shard& shard, const Sha256Digest& genesis);
    void compare(Ledger& ledger, const std::shared_ptr<Pass>& pass);
    static void look_at(const Shards& shards, const cell::Credential& cell, Pass& pass);
    static Outcome act(Pass& pass, hsm::Token& token);
    void record(Ledger& ledger, Shard& shard, const Outcome& outcome);

    const Sam& sam_;
    std::map<unsigned, std::set<std::string>> told_;  // findings that stay; the core's thread
};

// Whether nobody has written yet that its key is gone. In a step of the core.
bool is_being_destroyed(Ledger& ledger, const CredentialId& credential);
// The record of a key that is gone, and its cell, if that is not yet what it says. In a step of the core.
void put_destroyed(Ledger& ledger, const Shard& shard, const CkaId& key, const CredentialId& credential,
                   std::string_view reason = {});

}  // namespace qscd::sam
