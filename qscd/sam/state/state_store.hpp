// samd's tables: log, heads, cells' digests, sealed blobs, epochs. An untrusted cache: whoever reads checks against a
// signed head. [sam-state 2, 3]  Thread rules: one thread at a time.
#pragma once

#include <functional>
#include <optional>

#include "base/bytes.hpp"
#include "base/digest.hpp"
#include "base/result.hpp"
#include "qscd/sam/state/seal.hpp"

namespace qscd::sam {

struct HeadRow {
    std::uint64_t size;  // records that it covers
    std::string text;
    std::uint64_t base;  // size before its batch, and the log tree's edge there: a start goes on from it
    Bytes frontier;
};

using CellId = FixedBytes<struct CellTag, 16>;

// What the cell tree hangs on: all of a cell but its content.
struct Leaf {
    CellKind kind;
    CellId id;
    std::uint64_t version;
    std::uint64_t newest;  // seq + 1 of the cell's newest record; 0: none
    Sha256Digest digest;   // of the sealed blob
};
Bytes leaf_bytes(std::size_t index, const Leaf& leaf);  // fixed width, as hashed

struct SealedBlob {
    std::uint64_t epoch;  // in which it was sealed
    Bytes sealed;
};

struct CellWrite {
    std::size_t index;
    bool fresh;  // else its version was one less
    Leaf leaf;
    SealedBlob blob;
};

struct EpochRow {
    std::uint64_t number;
    Bytes paper;  // EpochStart, attested
};

struct Batch {
    std::vector<Bytes> records;  // seq from head.base on
    std::vector<CellWrite> cells;
    HeadRow head;
    std::optional<std::uint64_t> pruned_head = {};  // size of one that need not stay
    std::optional<EpochRow> epoch = {};
};

// Errors: Errc::store_away for whatever the store says.
class StateStore {
public:
    virtual ~StateStore() = default;
    virtual Result<void> prepare() = 0;  // makes the tables where they are missing
    virtual Result<std::uint64_t> log_size() = 0;
    virtual Result<std::optional<HeadRow>> newest_head() = 0;
    virtual Result<std::optional<HeadRow>> head(std::uint64_t size) = 0;
    virtual Result<std::vector<HeadRow>> heads(std::uint64_t from_size, std::size_t count) = 0;  // oldest first
    virtual Result<std::vector<Bytes>> records(std::uint64_t from, std::size_t count) = 0;       // dense, or fewer
    virtual Result<std::optional<Bytes>> epoch(std::uint64_t number) = 0;
    virtual Result<std::uint64_t> newest_epoch() = 0;  // 0: none
    // In the order of index; what has another form is Errc::sealed.
    virtual Result<void> each_cell(const std::function<void(std::uint64_t index, const Leaf&)>& take) = 0;
    virtual Result<std::optional<SealedBlob>> blob(std::uint64_t index) = 0;

    // One transaction, synced on return. Errc::fenced: another owner wrote since. Errc::store_away: its outcome is not
    // known.
    virtual Result<void> write(const Batch& batch) = 0;
};

}  // namespace qscd::sam
