#include "base/store/database.hpp"

#include <Poco/Data/LOB.h>
#include <Poco/Data/RecordSet.h>
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/Session.h>
#include <Poco/Nullable.h>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>

#include "base/file.hpp"

namespace qscd::store {
namespace {

using Poco::Data::BLOB;
using Bound = std::variant<Poco::Int64, std::string, BLOB, Poco::Nullable<std::string>>;

Error failed(std::string_view what, const std::exception& error) {
    const auto* poco = dynamic_cast<const Poco::Exception*>(&error);
    return {Errc::store_away, std::string{what} + ": " + (poco != nullptr ? poco->displayText() : error.what())};
}

Bound bound_of(Value&& value) {
    struct Visitor {
        Bound operator()(std::monostate) const { return Poco::Nullable<std::string>{}; }
        Bound operator()(std::int64_t number) const { return Poco::Int64{number}; }
        Bound operator()(std::string& text) const { return std::move(text); }
        Bound operator()(const Bytes& bytes) const { return BLOB{bytes.data(), bytes.size()}; }
    };
    return std::visit(Visitor{}, value);
}

Value value_of(const Poco::Dynamic::Var& value) {
    if (value.isEmpty()) return std::monostate{};
    if (value.type() == typeid(BLOB)) {
        const auto& blob = value.extract<BLOB>();
        return Bytes{blob.begin(), blob.end()};
    }
    if (value.isString()) return value.convert<std::string>();
    return value.convert<std::int64_t>();
}

}  // namespace

// SQLite gives an expression such as count(*) no type, and Poco then reads it as text.
std::int64_t integer(const Value& value) {
    if (const auto* text = std::get_if<std::string>(&value)) return std::stoll(*text);
    return std::get<std::int64_t>(value);
}

struct Database::Session {
    Poco::Data::Session connection;

    // The bound values must outlive the statement, so both are made and used here.
    template <class Use>
    auto run(std::string_view sql, std::vector<Value>&& parameters, Use use)
        -> Result<decltype(use(std::declval<Poco::Data::Statement&>()))> {
        try {
            std::vector<Bound> values;
            values.reserve(parameters.size());
            for (auto& parameter : parameters) values.push_back(bound_of(std::move(parameter)));
            Poco::Data::Statement statement{connection};
            statement << std::string{sql};
            for (auto& value : values)
                std::visit([&](auto& each) { statement.addBind(Poco::Data::Keywords::use(each)); }, value);
            return use(statement);
        } catch (const std::exception& error) {
            return failed(sql.substr(0, 40), error);
        }
    }
};

Database::Database(std::unique_ptr<Session> session) : session_(std::move(session)) {}
Database::~Database() = default;

Result<std::unique_ptr<Database>> Database::open(const std::filesystem::path& file) {
    static std::once_flag registered;
    std::call_once(registered, [] { Poco::Data::SQLite::Connector::registerConnector(); });
    if (const Descriptor made{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)}; !made)
        return Error{Errc::store_away, "cannot open " + file.string()};
    try {
        std::unique_ptr<Database> out{
            new Database{std::make_unique<Session>(Session{Poco::Data::Session{"SQLite", file.string()}})}};
        for (const auto* pragma : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA foreign_keys=ON",
                                   "PRAGMA busy_timeout=5000"}) {
            QSCD_TRY(out->execute(pragma));
        }
        return out;
    } catch (const std::exception& error) {
        return failed("open " + file.string(), error);
    }
}

Result<void> Database::migrate(std::span<const Migration> migrations) {
    QSCD_TRY(execute("CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY)"));
    QSCD_TRY(auto rows, query("SELECT number FROM migration ORDER BY number DESC LIMIT 1"));
    const auto last = rows.empty() ? 0 : integer(rows[0][0]);
    for (const auto& migration : migrations) {
        if (migration.number <= last) continue;
        QSCD_TRY(auto transaction, begin());
        for (auto rest = migration.sql; !rest.empty();) {
            const auto end = std::min(rest.find(';'), rest.size());
            if (rest.substr(0, end).find_first_not_of(" \n") != std::string_view::npos) {
                QSCD_TRY(execute(rest.substr(0, end)));
            }
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
        QSCD_TRY(execute("INSERT INTO migration (number) VALUES ($1)", {std::int64_t{migration.number}}));
        QSCD_TRY(transaction.commit());
    }
    return success();
}

Result<std::size_t> Database::execute(std::string_view sql, std::vector<Value> parameters) {
    return session_->run(sql, std::move(parameters), [](auto& statement) { return statement.execute(); });
}

Result<std::vector<Row>> Database::query(std::string_view sql, std::vector<Value> parameters) {
    return session_->run(sql, std::move(parameters), [](auto& statement) {
        statement.execute();
        Poco::Data::RecordSet records{statement};
        std::vector<Row> rows(records.rowCount());
        for (std::size_t row = 0; row < rows.size(); ++row)
            for (std::size_t column = 0; column < records.columnCount(); ++column)
                rows[row].push_back(records.isNull(column, row) ? Value{} : value_of(records.value(column, row)));
        return rows;
    });
}

Result<Database::Transaction> Database::begin() {
    try {
        session_->connection.begin();
        return Transaction{*this};
    } catch (const std::exception& error) {
        return failed("BEGIN", error);
    }
}

Result<void> Database::Transaction::commit() {
    auto& database = *std::exchange(database_, nullptr);
    try {
        database.session_->connection.commit();
        return success();
    } catch (const std::exception& error) {
        try {
            database.session_->connection.rollback();
        } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): the first error is the one to tell
        }
        return failed("COMMIT", error);
    }
}

Database::Transaction::~Transaction() {
    if (database_ == nullptr) return;
    try {
        database_->session_->connection.rollback();
    } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch): nothing was committed, all a rollback is for
    }
}

}  // namespace qscd::store
