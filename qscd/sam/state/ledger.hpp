// The SAM's state: cells and log under one signed head per batch. The store is an untrusted cache: what it gives is
// compared with digests that hang on the head. [sam-state 1 to 3] [SAM-24] [AUD-03] [AUD-04]
// Changes are staged; commit() cuts the batch: sealed blobs, leaves, records, closing record, head, one transaction.
// Thread rules: the core's thread alone.
#pragma once

#include <functional>
#include <unordered_map>
#include <unordered_set>

#include "base/clock.hpp"
#include "base/log/array_tree.hpp"
#include "base/log/log_tree.hpp"
#include "base/store/database.hpp"
#include "qscd/sam/cells/cell.pb.h"
#include "qscd/sam/cells/entry.hpp"
#include "qscd/sam/state/module_keys.hpp"
#include "qscd/sam/state/seal.hpp"

namespace qscd::sam {

class Ledger {
public:
    // Reads and verifies everything: heads, log, digests. Errc::store_away when the store fails or does not match its
    // signed head (then the SAM stays sealed); Errc::token_away.
    static Result<std::unique_ptr<Ledger>> open(store::Database& database, ModuleKeys keys, const Clock& clock);

    // The cell as staged, or as last committed. Nothing: the array does not know it. Errc::internal when the stored blob
    // is not the one that the head speaks of: an alarm.
    Result<std::optional<cell::Credential>> credential(const CredentialId& id);
    Result<std::optional<cell::Device>> device(const DeviceId& id);
    std::optional<CredentialId> by_enrolment(const EnrolmentId& id) const;
    std::vector<CredentialId> of_signer(const SignerId& id) const;
    bool key_is_known(const Sha256Digest& public_key) const { return public_keys_.contains(public_key); }
    std::vector<CredentialId> all_credentials() const;

    void put(const cell::Credential& cell);
    void put(const cell::Device& cell);
    void record(Entry entry);
    std::uint64_t next_seq() const { return log_.size() + staged_records_.size(); }  // of the next record()
    bool dirty() const { return !staged_records_.empty(); }

    // Errc::token_away: nothing was written, what was staged is gone. Errc::store_away: the outcome is not known; the
    // process must stop, and its next start reads what is true.
    Result<void> commit();
    void discard();

    ModuleKeys& keys() { return keys_; }
    std::uint64_t size() const { return log_.size(); }
    Result<std::vector<Bytes>> records(std::uint64_t from, std::size_t count, std::size_t max_bytes);
    // Intents without a result, found in the log at start.
    std::vector<pb::LogRecord> take_open_intents() { return std::exchange(open_intents_, {}); }

private:
    using CellId = FixedBytes<struct CellTag, 16>;
    struct Leaf {
        CellKind kind;
        CellId id;
        std::uint64_t version, newest;  // newest: seq + 1 of the cell's newest record
        Sha256Digest digest;
    };
    struct Staged {
        CellKind kind;
        Bytes plain;
    };
    Ledger(store::Database& database, ModuleKeys keys, const Clock& clock)
        : database_(database), keys_(std::move(keys)), clock_(clock) {}
    Result<void> load();
    Result<void> load_cells();
    Result<std::optional<SecretBytes>> plain_of(CellKind kind, const CellId& id);
    void put(CellKind kind, const CellId& id, Bytes plain);
    void index(const cell::Credential& cell);
    SealContext context() const { return {keys_.data_key(), keys_.genesis_digest(), epoch}; }
    static Bytes leaf_bytes(std::size_t index, const Leaf& leaf);

    static constexpr std::uint64_t epoch = 1;
    store::Database& database_;
    ModuleKeys keys_;
    const Clock& clock_;
    log::LogTree log_;
    log::ArrayTree cells_;
    std::vector<Leaf> leaves_;
    std::unordered_map<CellId, std::size_t, HashOfFixedBytes> positions_;
    std::unordered_map<CellId, Bytes, HashOfFixedBytes> cache_;  // decoded at first use
    std::unordered_map<EnrolmentId, CredentialId, HashOfFixedBytes> enrolments_;
    std::unordered_map<SignerId, std::vector<CredentialId>, HashOfFixedBytes> signers_;
    std::unordered_set<Sha256Digest, HashOfFixedBytes> public_keys_;

    std::vector<std::pair<CellId, Staged>> staged_order_;  // first change first
    std::unordered_map<CellId, std::size_t, HashOfFixedBytes> staged_;
    std::vector<Entry> staged_records_;
    std::vector<pb::LogRecord> open_intents_;
    std::uint64_t head_size_ = 0;
    std::int64_t head_minute_ = 0;
};

}  // namespace qscd::sam
