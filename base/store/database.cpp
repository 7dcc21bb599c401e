#include "base/store/database.hpp"

#include <algorithm>
#include <thread>

#include "base/random.hpp"
#include "base/store/backend.hpp"

namespace qscd::store {
namespace {

constexpr std::chrono::milliseconds first_pause{5};

// Doubled each time and spread over a half, so that two that collided do not meet again.
void pause_before(unsigned attempt) {
    const auto longest = first_pause.count() << attempt;
    const auto spread = random_bytes(1).front() * longest / 512;
    std::this_thread::sleep_for(std::chrono::milliseconds{longest / 2 + spread});
}

bool is_blank(std::string_view sql) { return sql.find_first_not_of(" \t\n") == std::string_view::npos; }

}  // namespace

Value RowView::value(std::size_t column) const {
    const auto& field = at(column);
    switch (field.kind) {
        case Kind::null: return {};
        case Kind::integer: return field.number;
        case Kind::text: return std::string{text_of(field.bytes)};
        case Kind::blob: return of(field.bytes);
        case Kind::foreign: break;
    }
    throw Strange{};
}

Database::Database(std::unique_ptr<Backend> backend) : backend_(std::move(backend)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const Location& location) {
    const auto* file = location.file();
    QSCD_TRY(auto backend, file != nullptr ? open_sqlite(*file) : open_postgresql(*location.server()));
    return std::unique_ptr<Database>{new Database{std::move(backend)}};
}

Result<void> Database::migrate(std::span<const Migration> migrations) {
    QSCD_TRY(backend_->begin_migration());
    in_transaction_ = true;
    Transaction transaction{*this};
    QSCD_TRY(execute("CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY)"));
    QSCD_TRY(const auto rows, query("SELECT number FROM migration ORDER BY number DESC LIMIT 1"));
    const auto last = rows.empty() ? 0 : integer(rows[0][0]);
    for (const auto& migration : migrations) {
        if (migration.number <= last) continue;
        for (auto rest = migration.sql; !rest.empty();) {
            const auto end = std::min(rest.find(';'), rest.size());
            if (!is_blank(rest.substr(0, end))) {
                QSCD_TRY(execute(backend_->translated(rest.substr(0, end))));
            }
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        QSCD_TRY(execute("INSERT INTO migration (number) VALUES ($1)", {std::int64_t{migration.number}}));
    }
    return transaction.commit();
}

Result<std::size_t> Database::run(std::string_view sql, const std::vector<Value>& parameters, const OnRow* on_row) {
    if (scanning_) return Error{Errc::internal, "a statement from inside a scan"};
    scanning_ = on_row != nullptr;
    struct Done {
        bool& scanning;
        ~Done() { scanning = false; }
    } const done{scanning_};
    try {
        auto ran = backend_->run(sql, parameters, on_row);
        if (!ran && in_transaction_ && failure_.empty()) failure_ = ran.error().detail;
        return ran;
    } catch (const RowView::Strange&) {
        return Error{Errc::store_away, "a row of another type: " + std::string{sql.substr(0, 40)}};
    }
}

Result<std::size_t> Database::execute(std::string_view sql, const std::vector<Value>& parameters) {
    return run(sql, parameters, nullptr);
}

Result<std::vector<Row>> Database::query(std::string_view sql, const std::vector<Value>& parameters) {
    std::vector<Row> rows;
    const OnRow collect = [&](const RowView& view) -> Result<void> {
        auto& row = rows.emplace_back(view.size());
        for (std::size_t column = 0; column < row.size(); ++column) row[column] = view.value(column);
        return success();
    };
    QSCD_TRY(run(sql, parameters, &collect));
    return rows;
}

Result<void> Database::scan(std::string_view sql, const std::vector<Value>& parameters, const OnRow& on_row) {
    QSCD_TRY(run(sql, parameters, &on_row));
    return success();
}

Result<Database::Transaction> Database::begin() {
    if (in_transaction_) return Error{Errc::internal, "a transaction inside a transaction"};
    QSCD_TRY(backend_->begin());
    in_transaction_ = true;
    return Transaction{*this};
}

void Database::roll_back() {
    backend_->roll_back();
    in_transaction_ = false;
    failure_.clear();
}

Result<void> Database::transact(const std::function<Result<void>()>& work) {
    const auto once = [&]() -> Result<void> {
        QSCD_TRY(auto transaction, begin());
        QSCD_TRY(work());
        return transaction.commit();
    };
    for (unsigned attempt = 1;; ++attempt) {
        auto done = once();
        const auto trouble = backend_->trouble();
        const bool worth_it = trouble == Trouble::conflict || trouble == Trouble::away;
        if (done || in_transaction_ || !worth_it || attempt == tries) return done;
        pause_before(attempt);
    }
}

bool Database::outcome_unknown() const { return backend_->trouble() == Trouble::unknown; }

Result<void> Database::Transaction::commit() {
    auto& database = *std::exchange(database_, nullptr);
    if (!database.failure_.empty()) {
        Error error{Errc::store_away, "nothing to commit after: " + database.failure_};
        database.roll_back();
        return error;
    }
    auto committed = database.backend_->commit();
    database.roll_back();  // what did not commit; otherwise nothing
    return committed;
}

Database::Transaction::~Transaction() {
    if (database_ != nullptr) database_->roll_back();
}

}  // namespace qscd::store
