#include "tests/simulation/virtual_disk.hpp"

namespace qscd::sam::simulation {

// As the tables' keys and the versions would have it: a number of the log is given once, a cell is changed only by who
// knows its newest version.
bool VirtualDisk::conflicts(const Batch& batch) const {
    if (plant_ == Plant::conflicts_are_overwritten) return false;
    if (batch.head.base != tables_.log.size() || tables_.heads.contains(batch.head.size)) return true;
    if (batch.epoch && tables_.epochs.contains(batch.epoch->number)) return true;
    return std::ranges::any_of(batch.cells, [&](const CellWrite& write) {
        if (write.fresh) return write.index < tables_.cells.size();
        return write.index >= tables_.cells.size() || tables_.cells[write.index].leaf.version + 1 != write.leaf.version;
    });
}

void VirtualDisk::apply(unsigned owner, const Batch& batch) {
    if (plant_ == Plant::store_not_synced && !unsynced_) unsynced_ = tables_;
    else if (plant_ == Plant::store_not_synced && dice_.chance(0.5)) unsynced_.reset();
    std::vector<const Bytes*> fresh;
    tables_.log.resize(batch.head.base);
    for (const auto& record : batch.records) {
        rows_.push_back(record);
        tables_.log.push_back(&rows_.back());
        fresh.push_back(&rows_.back());
    }
    for (const auto& write : batch.cells) {
        Tables::Row row{write.leaf, std::make_shared<const SealedBlob>(write.blob)};
        if (write.index < tables_.cells.size()) tables_.cells[write.index] = std::move(row);
        else tables_.cells.push_back(std::move(row));
    }
    if (batch.epoch) tables_.epochs.insert_or_assign(batch.epoch->number, batch.epoch->paper);
    tables_.heads.insert_or_assign(batch.head.size, std::make_shared<const HeadRow>(batch.head));
    if (batch.pruned_head) tables_.heads.erase(*batch.pruned_head);
    committed(owner, fresh);
}

Result<std::uint64_t> DiskSession::log_size() {
    QSCD_TRY(readable());
    return disk_.tables_.log.size();
}

Result<std::vector<HeadRow>> DiskSession::heads(std::uint64_t from_size, std::size_t count) {
    QSCD_TRY(readable());
    std::vector<HeadRow> out;
    const auto& all = disk_.tables_.heads;
    for (auto at = all.lower_bound(from_size); at != all.end() && out.size() < count; ++at) out.push_back(*at->second);
    return out;
}

Result<std::optional<HeadRow>> DiskSession::head(std::uint64_t size) {
    QSCD_TRY(readable());
    const auto found = disk_.tables_.heads.find(size);
    return found == disk_.tables_.heads.end() ? std::optional<HeadRow>{} : std::optional{*found->second};
}

Result<std::optional<HeadRow>> DiskSession::newest_head() {
    QSCD_TRY(readable());
    const auto& all = disk_.tables_.heads;
    return all.empty() ? std::optional<HeadRow>{} : std::optional{*all.rbegin()->second};
}

Result<std::vector<Bytes>> DiskSession::records(std::uint64_t from, std::size_t count) {
    QSCD_TRY(readable());
    std::vector<Bytes> out;
    const auto& log = disk_.tables_.log;
    for (auto at = from; at < log.size() && out.size() < count; ++at) out.push_back(*log[at]);
    return out;
}

Result<std::optional<Bytes>> DiskSession::epoch(std::uint64_t number) {
    QSCD_TRY(readable());
    const auto found = disk_.tables_.epochs.find(number);
    return found == disk_.tables_.epochs.end() ? std::optional<Bytes>{} : std::optional{found->second};
}

Result<std::uint64_t> DiskSession::newest_epoch() {
    QSCD_TRY(readable());
    return disk_.tables_.epochs.empty() ? 0 : disk_.tables_.epochs.rbegin()->first;
}

Result<void> DiskSession::each_cell(const std::function<void(std::uint64_t, const Leaf&)>& take) {
    QSCD_TRY(readable());
    const auto& cells = disk_.tables_.cells;
    for (std::size_t index = 0; index < cells.size(); ++index) take(index, cells[index].leaf);
    return success();
}

Result<std::optional<SealedBlob>> DiskSession::blob(std::uint64_t index) {
    QSCD_TRY(readable());
    const auto& cells = disk_.tables_.cells;
    return index < cells.size() ? std::optional{*cells[index].blob} : std::optional<SealedBlob>{};
}

Result<void> DiskSession::write(const Batch& batch) {
    const Error unknown{Errc::store_away, "the connection broke"};
    if (fate_.fails_at(owner_, Point::before_write)) return unknown;
    bool broken = false;
    try {
        broken = fate_.fails_at(owner_, Point::inside_write);
    } catch (const Killed&) {
        if (disk_.dice_.chance(0.5) && !disk_.conflicts(batch)) disk_.apply(owner_, batch);
        throw;
    }
    if (disk_.conflicts(batch)) return Error{Errc::fenced, "another owner wrote this store"};
    if (broken && disk_.dice_.chance(0.5)) return unknown;
    disk_.apply(owner_, batch);
    if (broken || fate_.fails_at(owner_, Point::after_write)) return unknown;
    return success();
}

}  // namespace qscd::sam::simulation
