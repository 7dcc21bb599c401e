#include "qscd/sam/state/sql_state_store.hpp"

#include "base/crash_point.hpp"
#include "qscd/sam/state/migrations.hpp"

namespace qscd::sam {
namespace {

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
std::uint64_t natural(std::int64_t value) { return static_cast<std::uint64_t>(value); }

Error strange(std::string_view what) { return {Errc::sealed, "the store holds " + std::string{what}}; }

constexpr std::string_view head_columns = "SELECT size, text, base, frontier FROM head ";

}  // namespace

Bytes leaf_bytes(std::size_t index, const Leaf& leaf) {
    Bytes out{static_cast<std::uint8_t>(leaf.kind)};
    out.reserve(1 + 16 + 24 + 32);
    out.insert(out.end(), leaf.id.bytes().begin(), leaf.id.bytes().end());
    for (const std::uint64_t value : {leaf.version, std::uint64_t{index}, leaf.newest})
        for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
    out.insert(out.end(), leaf.digest.bytes().begin(), leaf.digest.bytes().end());
    return out;
}

Result<void> SqlStateStore::prepare() { return database_.migrate(migrations); }

Result<std::uint64_t> SqlStateStore::log_size() {
    std::uint64_t out = 0;
    QSCD_TRY(database_.scan("SELECT seq FROM log ORDER BY seq DESC LIMIT 1", {},
                            [&](const store::RowView& row) -> Result<void> {
                                out = natural(row.integer(0)) + 1;
                                return success();
                            }));
    return out;
}

Result<std::vector<HeadRow>> SqlStateStore::heads(std::uint64_t from_size, std::size_t count) {
    std::vector<HeadRow> out;
    QSCD_TRY(database_.scan(std::string{head_columns} + "WHERE size >= $1 ORDER BY size LIMIT $2",
                            {number(from_size), number(count)}, [&](const store::RowView& row) -> Result<void> {
                                const auto frontier = row.blob(3);
                                out.push_back({natural(row.integer(0)), std::string{row.text(1)},
                                               natural(row.integer(2)), Bytes{frontier.begin(), frontier.end()}});
                                return success();
                            }));
    return out;
}

Result<std::optional<HeadRow>> SqlStateStore::head(std::uint64_t size) {
    QSCD_TRY(auto found, heads(size, 1));
    if (found.empty() || found[0].size != size) return std::optional<HeadRow>{};
    return std::optional{std::move(found[0])};
}

Result<std::optional<HeadRow>> SqlStateStore::newest_head() {
    std::optional<std::uint64_t> size;
    QSCD_TRY(database_.scan("SELECT size FROM head ORDER BY size DESC LIMIT 1", {},
                            [&](const store::RowView& row) -> Result<void> {
                                size = natural(row.integer(0));
                                return success();
                            }));
    if (!size) return std::optional<HeadRow>{};
    return head(*size);
}

Result<std::vector<Bytes>> SqlStateStore::records(std::uint64_t from, std::size_t count) {
    std::vector<Bytes> out;
    QSCD_TRY(database_.scan("SELECT seq, record FROM log WHERE seq >= $1 AND seq < $2 ORDER BY seq",
                            {number(from), number(from + count)}, [&](const store::RowView& row) -> Result<void> {
                                if (natural(row.integer(0)) != from + out.size()) return success();  // behind a gap
                                const auto record = row.blob(1);
                                out.emplace_back(record.begin(), record.end());
                                return success();
                            }));
    return out;
}

Result<std::optional<Bytes>> SqlStateStore::epoch(std::uint64_t wanted) {
    QSCD_TRY(auto rows, database_.query("SELECT paper FROM epoch WHERE number = $1", {number(wanted)}));
    if (rows.empty()) return std::optional<Bytes>{};
    return std::optional{std::get<Bytes>(std::move(rows[0][0]))};
}

Result<std::uint64_t> SqlStateStore::newest_epoch() {
    std::uint64_t out = 0;
    QSCD_TRY(database_.scan("SELECT number FROM epoch ORDER BY number DESC LIMIT 1", {},
                            [&](const store::RowView& row) -> Result<void> {
                                out = natural(row.integer(0));
                                return success();
                            }));
    return out;
}

Result<void> SqlStateStore::each_cell(const std::function<void(std::uint64_t, const Leaf&)>& take) {
    return database_.scan("SELECT idx, kind, id, version, newest, digest FROM cell ORDER BY idx", {},
                          [&](const store::RowView& row) -> Result<void> {
                              const auto kind = kind_from(row.integer(1));
                              const auto id = CellId::from(row.blob(2));
                              const auto digest = Sha256Digest::from(row.blob(5));
                              if (!kind || !id || !digest) return strange("a cell's row that is none");
                              take(natural(row.integer(0)),
                                   {*kind, *id, natural(row.integer(3)), natural(row.integer(4)), *digest});
                              return success();
                          });
}

Result<std::optional<SealedBlob>> SqlStateStore::blob(std::uint64_t index) {
    std::optional<SealedBlob> out;
    QSCD_TRY(database_.scan("SELECT epoch, sealed FROM blob WHERE idx = $1", {number(index)},
                            [&](const store::RowView& row) -> Result<void> {
                                const auto sealed = row.blob(1);
                                out = SealedBlob{natural(row.integer(0)), Bytes{sealed.begin(), sealed.end()}};
                                return success();
                            }));
    return out;
}

Result<void> SqlStateStore::write(const Batch& batch) {
    QSCD_TRY(auto transaction, database_.begin());
    QSCD_TRY(auto size, log_size());
    if (size != batch.head.base) return Error{Errc::fenced, "another owner wrote this store"};
    auto seq = number(batch.head.base);
    for (const auto& record : batch.records) {
        QSCD_TRY(database_.execute("INSERT INTO log (seq, record) VALUES ($1, $2)", {seq++, record}));
    }
    for (const auto& each : batch.cells) {
        const auto at = number(each.index);
        if (each.fresh) {
            QSCD_TRY(database_.execute(
                "INSERT INTO cell (idx, kind, id, version, newest, digest) VALUES ($1, $2, $3, $4, $5, $6)",
                {at, std::int64_t{static_cast<int>(each.leaf.kind)}, store::of(each.leaf.id.bytes()),
                 number(each.leaf.version), number(each.leaf.newest), store::of(each.leaf.digest.bytes())}));
            QSCD_TRY(database_.execute("INSERT INTO blob (idx, epoch, sealed) VALUES ($1, $2, $3)",
                                       {at, number(each.blob.epoch), each.blob.sealed}));
            continue;
        }
        QSCD_TRY(
            auto changed,
            database_.execute("UPDATE cell SET version = $1, newest = $2, digest = $3 WHERE idx = $4 AND version = $5",
                              {number(each.leaf.version), number(each.leaf.newest), store::of(each.leaf.digest.bytes()),
                               at, number(each.leaf.version - 1)}));
        if (changed != 1) return Error{Errc::fenced, "another owner wrote this store"};
        QSCD_TRY(database_.execute("UPDATE blob SET epoch = $1, sealed = $2 WHERE idx = $3",
                                   {number(each.blob.epoch), each.blob.sealed, at}));
    }
    if (batch.epoch) {
        QSCD_TRY(database_.execute("INSERT INTO epoch (number, paper) VALUES ($1, $2)",
                                   {number(batch.epoch->number), batch.epoch->paper}));
    }
    QSCD_TRY(
        database_.execute("INSERT INTO head (size, text, base, frontier) VALUES ($1, $2, $3, $4)",
                          {number(batch.head.size), batch.head.text, number(batch.head.base), batch.head.frontier}));
    if (batch.pruned_head) {
        QSCD_TRY(database_.execute("DELETE FROM head WHERE size = $1", {number(*batch.pruned_head)}));
    }
    crash_point("samd.batch.before-commit");
    return transaction.commit();
}

}  // namespace qscd::sam
