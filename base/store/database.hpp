// A daemon's own database, behind three types: SQLite now (WAL, synchronous=FULL). Poco::Data is the access layer and
// stays inside. Statements use $1, $2 … in order; uniqueness is a row count after ON CONFLICT DO NOTHING, not an exception.
// Thread rules: one thread at a time per Database; the owner locks where it needs more.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace qscd::store {

using Value = std::variant<std::monostate, std::int64_t, std::string, Bytes>;  // monostate: NULL
using Row = std::vector<Value>;

std::int64_t integer(const Value& value);
inline const std::string& text(const Value& value) { return std::get<std::string>(value); }
inline const Bytes& blob(const Value& value) { return std::get<Bytes>(value); }
inline Value of(ByteView bytes) { return Bytes{bytes.begin(), bytes.end()}; }

// Numbered SQL beside the room that owns the tables; never edited once released.
struct Migration {
    int number;
    std::string_view sql;  // statements separated by ';'
};

class Database {
public:
    // Creates the file (mode 0600) when it is missing. Errc::store_away for whatever the store says.
    static Result<std::unique_ptr<Database>> open(const std::filesystem::path& file);
    ~Database();
    Result<void> migrate(std::span<const Migration> migrations);

    Result<std::size_t> execute(std::string_view sql, std::vector<Value> parameters = {});  // rows affected
    Result<std::vector<Row>> query(std::string_view sql, std::vector<Value> parameters = {});

    // Begins now, rolls back when it dies uncommitted. commit() returns after the sync.
    class Transaction {
    public:
        Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
        ~Transaction();
        Result<void> commit();

    private:
        friend class Database;
        explicit Transaction(Database& database) : database_(&database) {}
        Database* database_;
    };
    Result<Transaction> begin();

private:
    struct Session;
    explicit Database(std::unique_ptr<Session> session);
    std::unique_ptr<Session> session_;
};

}  // namespace qscd::store
