// The store as tables in memory: what is committed, what is committed and not synced, and what an attacker kept a copy of.
// Thread rules: one thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "qscd/sam/state/state_store.hpp"
#include "tests/simulation/dice.hpp"
#include "tests/simulation/fate.hpp"
#include "tests/simulation/plants.hpp"

namespace qscd::sam::simulation {

// Rows are never changed, so a copy of all tables is a copy of pointers, and equal pointers are equal rows.
struct Tables {
    struct Row {
        Leaf leaf;
        std::shared_ptr<const SealedBlob> blob;
    };
    std::vector<const Bytes*> log;
    std::map<std::uint64_t, std::shared_ptr<const HeadRow>> heads;
    std::vector<Row> cells;
    std::map<std::uint64_t, Bytes> epochs;
};

class VirtualDisk {
public:
    VirtualDisk(Dice& dice, Plant plant) : dice_(dice), plant_(plant) {}

    const Tables& tables() const { return tables_; }
    void restore(Tables tables) {
        tables_ = std::move(tables);
        unsynced_.reset();
    }
    void power_cut() {
        if (unsynced_) tables_ = *std::exchange(unsynced_, std::nullopt);
    }
    // Told what became durable, with the tables after it.
    std::function<void(unsigned owner, const std::vector<const Bytes*>& records)> committed;

private:
    friend class DiskSession;
    bool conflicts(const Batch& batch) const;
    void apply(unsigned owner, const Batch& batch);

    Dice& dice_;
    Plant plant_;
    Tables tables_;
    std::optional<Tables> unsynced_;  // planted: what a power cut leaves
    std::deque<Bytes> rows_;
};

// One process's connection.
class DiskSession : public StateStore {
public:
    DiskSession(VirtualDisk& disk, Fate& fate, unsigned owner) : disk_(disk), fate_(fate), owner_(owner) {}
    Result<void> prepare() override { return readable(); }
    Result<std::uint64_t> log_size() override;
    Result<std::optional<HeadRow>> newest_head() override;
    Result<std::optional<HeadRow>> head(std::uint64_t size) override;
    Result<std::vector<HeadRow>> heads(std::uint64_t from_size, std::size_t count) override;
    Result<std::vector<Bytes>> records(std::uint64_t from, std::size_t count) override;
    Result<std::optional<Bytes>> epoch(std::uint64_t number) override;
    Result<std::uint64_t> newest_epoch() override;
    Result<void> each_cell(const std::function<void(std::uint64_t, const Leaf&)>& take) override;
    Result<std::optional<SealedBlob>> blob(std::uint64_t index) override;
    Result<void> write(const Batch& batch) override;

private:
    Result<void> readable() {
        if (fate_.fails_at(owner_, Point::read)) return Error{Errc::store_away, "a read error"};
        return success();
    }
    VirtualDisk& disk_;
    Fate& fate_;
    unsigned owner_;
};

}  // namespace qscd::sam::simulation
