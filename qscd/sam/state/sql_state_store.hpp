// samd's tables in a database. Thread rules: as StateStore's.
#pragma once

#include "base/store/database.hpp"
#include "qscd/sam/state/state_store.hpp"

namespace qscd::sam {

class SqlStateStore : public StateStore {
public:
    explicit SqlStateStore(store::Database& database) : database_(database) {}
    Result<void> prepare() override;
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
    store::Database& database_;
};

}  // namespace qscd::sam
