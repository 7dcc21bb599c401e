// The SAM's state: cells and log under one signed head per batch, anchored in the token. The store is an untrusted cache:
// what it gives is compared with digests that hang on the head. [sam-state 1 to 4] [SAM-24] [AUD-03] [AUD-04] [AUD-05]
// Changes are staged; commit() cuts the batch: sealed blobs, leaves, records, closing record, head, one transaction,
// anchor. Thread rules: the core's thread alone.
#pragma once

#include <set>
#include <unordered_map>

#include "qscd/sam/cells/cell.pb.h"
#include "qscd/sam/cells/entry.hpp"
#include "qscd/sam/state/cell_index.hpp"
#include "qscd/sam/state/takeover.hpp"

namespace qscd::sam {

// How an owner begins: `fields` go into the record of the start.
struct Beginning {
    std::optional<Unseal> unseal = {};
    std::optional<NewKeys> keys = {};
    Fields fields = {};
};

class Ledger {
public:
    // Takes the state over and stages the start; the owner commits before it serves. Errc::sealed when people must act;
    // Errc::token_away, store_away.
    static Result<std::unique_ptr<Ledger>> open(StateStore& store, Custody& custody, const Clock& clock,
                                                Beginning beginning = {});

    // The cell as staged, or as last committed. Nothing: the array does not know it. Errc::internal when the stored blob
    // is not the one that the head speaks of: an alarm.
    Result<std::optional<cell::Credential>> credential(const CredentialId& id);
    Result<std::optional<cell::Device>> device(const DeviceId& id);
    Result<std::optional<cell::Signer>> signer(const SignerId& id);
    bool knows(const CredentialId& id) const;
    // The credentials among the next `count` cells, in the order of the array; answers where to go on, cell_count() at the
    // end. A cell that is not the one the head speaks of is visited as its error. Errc::token_away, store_away.
    using CredentialVisit = std::function<void(const Result<cell::Credential>&)>;
    Result<std::size_t> walk_credentials(std::size_t from, std::size_t count, const CredentialVisit& visit);
    // The one credential that an enrolment leads to: its name follows from the enrolment's.
    CredentialId credential_of(const EnrolmentId& id) const;

    void put(const cell::Credential& cell);
    void put(const cell::Device& cell);
    void put(const cell::Signer& cell);
    void record(Entry entry);  // caused by the request that this thread works on [AUD-02]
    std::uint64_t next_seq() const { return log_.size() + staged_records_.size(); }  // of the next record()
    bool dirty() const { return !staged_records_.empty(); }

    // Errc::token_away: nothing was written, what was staged is gone. Errc::fenced: another owner has the state.
    // Errc::store_away: the outcome is not known. After these two the process must end; its next start reads what is true.
    Result<void> commit();
    void discard();

    Custody& custody() { return custody_; }
    std::uint64_t size() const { return log_.size(); }
    std::size_t cell_count() const { return leaves_.size(); }
    std::uint64_t epoch() const { return start_.epoch(); }
    const pb::Floors& floors() const { return start_.floors(); }
    CkaId pin_key() const { return *CkaId::from(view_of(start_.pin_key())); }  // new verifiers are made with it

    // Intents without a result, by seq: a record with the field `intent` ends one.
    const std::map<std::uint64_t, pb::OpenIntent>& open_intents() const { return open_; }
    std::optional<std::uint64_t> open_intent(const CredentialId& credential, bool key) const;

    Result<std::vector<Bytes>> records(std::uint64_t from, std::size_t count, std::size_t max_bytes);
    Result<std::vector<HeadRow>> heads(std::uint64_t from_size, std::size_t count);

    // Compares the next records of the store with the head, from the first one on, again and again; so a change of old
    // ones is found while nobody reads them [AUD-07]. True when a pass has just ended. Errc::sealed: they differ.
    Result<bool> check_some_records(std::size_t count);

    // Seals the next cells that an older K_cell sealed, from the first one on; the caller commits. When a pass ends, old
    // keys that nothing hangs on any more are destroyed, on record. True when there is nothing more to do. [QSCD-19]
    Result<bool> reseal_some(std::size_t count);

private:
    struct CellKey {
        CellKind kind;
        CellId id;
        bool operator==(const CellKey&) const = default;
    };
    struct HashOfCellKey {
        std::size_t operator()(const CellKey& key) const {
            return HashOfFixedBytes{}(key.id) ^ static_cast<std::size_t>(key.kind);
        }
    };
    struct Staged {
        CellKey key;
        SecretBytes plain;
    };
    Ledger(StateStore& store, Custody& custody, const Clock& clock, Takeover takeover);
    Result<void> cut_batch();
    template <class Cell, class Id>
    Result<std::optional<Cell>> read(CellKind kind, const Id& id);
    template <class Cell>
    void stage(CellKind kind, const Cell& cell);
    Result<std::optional<SecretBytes>> plain_of(const CellKey& key);
    Result<void> touch_named_credentials();
    Result<SealContext> context(std::uint64_t epoch);
    Result<CkaId> cell_key_of(std::uint64_t epoch);
    Result<SecretBytes> unsealed(std::size_t index, const SealedBlob& blob);

    StateStore& store_;
    Custody& custody_;
    const Clock& clock_;
    pb::EpochStart start_;
    std::optional<pb::Paper> start_paper_;                // goes into the next `started` record
    std::unordered_map<std::uint64_t, CkaId> cell_keys_;  // by epoch

    log::LogTree log_;
    log::ArrayTree cells_;
    std::vector<Leaf> leaves_;
    CellIndex index_{leaves_};
    std::unordered_map<CellKey, SealedBlob, HashOfCellKey>
        cache_;  // as they lie in the store: unsealed at each use [SAM-05]
    std::map<std::uint64_t, pb::OpenIntent> open_;

    std::vector<Staged> staged_order_;  // first change first
    std::unordered_map<CellKey, std::size_t, HashOfCellKey> staged_;
    std::vector<Entry> staged_records_;

    struct KeptHead {
        std::uint64_t size;
        std::int64_t minute;
    };
    std::optional<KeptHead> newest_head_,
        anchored_before_;  // the newest, and the one before: it may be the anchored one

    struct RecordCheck {
        log::LogTree tree;
        std::uint64_t goal;
        Sha256Digest root;
    };
    std::optional<RecordCheck> check_;

    struct Resealing {
        std::vector<CkaId> old_keys;
        std::set<CkaId> in_use;  // K_pins that verifiers hang on
        std::size_t next = 0;
    };
    std::optional<Resealing> resealing_;
};

}  // namespace qscd::sam
