// SQLite through Poco::Data: Poco opens and owns the connection; statements run on its handle, because they stay
// prepared and rows are read where they lie.
#include <Poco/Data/SQLite/Connector.h>
#include <Poco/Data/SQLite/Utility.h>
#include <Poco/Data/Session.h>
#include <charconv>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <sqlite3.h>

#include "base/file.hpp"
#include "base/openssl.hpp"
#include "base/store/backend.hpp"

namespace qscd::store {
namespace {

using Prepared = std::unique_ptr<sqlite3_stmt, FreeWith<sqlite3_finalize>>;
using Field = RowView::Field;
using Kind = RowView::Kind;

constexpr std::size_t kept_statements = 64;
constexpr int primary_code = 0xff;
constexpr int number_in_parameter = 1;  // "$12"

// Back to where the next run starts, whatever happened in this one; what was bound is gone with it.
struct Rewind {
    sqlite3_stmt* statement;
    ~Rewind() {
        sqlite3_reset(statement);
        sqlite3_clear_bindings(statement);
    }
};

int bind(sqlite3_stmt* statement, int place, const Value& value) {
    struct Visitor {
        sqlite3_stmt* statement;
        int place;
        int operator()(std::monostate) const { return sqlite3_bind_null(statement, place); }
        int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, place, number); }
        int operator()(const std::string& text) const {
            return sqlite3_bind_text64(statement, place, text.c_str(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
        }
        int operator()(const Bytes& bytes) const {
            if (bytes.empty()) return sqlite3_bind_zeroblob(statement, place, 0);  // a null pointer would be NULL
            return sqlite3_bind_blob64(statement, place, bytes.data(), bytes.size(), SQLITE_STATIC);
        }
    };
    return std::visit(Visitor{statement, place}, value);
}

Field field_of(sqlite3_stmt* statement, int column) {
    const auto bytes = [&](const void* data) {
        return ByteView{static_cast<const std::uint8_t*>(data),
                        static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
    };
    switch (sqlite3_column_type(statement, column)) {
        case SQLITE_INTEGER: return {Kind::integer, sqlite3_column_int64(statement, column), {}};
        case SQLITE_NULL: return {};
        case SQLITE_BLOB: return {Kind::blob, 0, bytes(sqlite3_column_blob(statement, column))};
        default: return {Kind::text, 0, bytes(sqlite3_column_text(statement, column))};
    }
}

class Sqlite : public Backend {
public:
    explicit Sqlite(const std::filesystem::path& file)
        : session_("SQLite", file.string()), handle_(Poco::Data::SQLite::Utility::dbHandle(session_)) {}

    Result<std::size_t> run(std::string_view sql, const std::vector<Value>& parameters, const OnRow* on_row) override {
        QSCD_TRY(auto* const statement, prepared(sql));
        const Rewind rewind{statement};
        const bool makes_durable = sqlite3_get_autocommit(handle_) != 0 && sqlite3_stmt_readonly(statement) == 0;
        QSCD_TRY(bind_all(statement, sql, parameters));
        const auto columns = sqlite3_column_count(statement);
        fields_.resize(static_cast<std::size_t>(columns));
        const auto before = sqlite3_total_changes64(handle_);
        for (;;) {
            const auto step = sqlite3_step(statement);
            if (step == SQLITE_DONE) break;
            if (step != SQLITE_ROW) return failed(sql, makes_durable);
            if (on_row == nullptr) continue;
            for (int column = 0; column < columns; ++column)
                fields_[static_cast<std::size_t>(column)] = field_of(statement, column);
            QSCD_TRY((*on_row)(RowView{fields_}));
        }
        return static_cast<std::size_t>(sqlite3_total_changes64(handle_) - before);
    }

    // At once a writer: who reads first and writes later could find that somebody wrote in between.
    Result<void> begin() override {
        trouble_ = Trouble::none;
        QSCD_TRY(run("BEGIN IMMEDIATE", {}, nullptr));
        return success();
    }
    Result<void> begin_migration() override { return begin(); }
    Result<void> commit() override {
        if (sqlite3_exec(handle_, "COMMIT", nullptr, nullptr, nullptr) != SQLITE_OK) return failed("COMMIT", true);
        return success();
    }
    std::string translated(std::string_view migration) const override { return std::string{migration}; }
    void roll_back() noexcept override {
        if (sqlite3_get_autocommit(handle_) == 0) (void)sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
    }

private:
    // An input or output error may come after the last write of a commit.
    Error failed(std::string_view what, bool makes_durable = false) {
        const bool unknown = makes_durable && (sqlite3_extended_errcode(handle_) & primary_code) == SQLITE_IOERR;
        return Backend::failed(unknown ? Trouble::unknown : Trouble::refused, what, sqlite3_errmsg(handle_));
    }

    Result<sqlite3_stmt*> prepared(std::string_view sql) {
        if (const auto found = statements_.find(sql); found != statements_.end()) return found->second.get();
        sqlite3_stmt* made = nullptr;
        if (sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &made,
                               nullptr) != SQLITE_OK)
            return failed(sql);
        if (statements_.size() >= kept_statements) statements_.clear();
        statements_.emplace(std::string{sql}, Prepared{made});
        return made;
    }

    // SQLite numbers `$2` by where it stands; we and PostgreSQL by its name.
    Result<void> bind_all(sqlite3_stmt* statement, std::string_view sql, const std::vector<Value>& parameters) {
        const auto places = sqlite3_bind_parameter_count(statement);
        std::size_t largest = 0;
        for (int place = 1; place <= places; ++place) {
            const auto* named = sqlite3_bind_parameter_name(statement, place);
            const std::string_view name = named != nullptr ? named : "?";
            std::size_t number = 0;
            std::from_chars(name.data() + number_in_parameter, name.data() + name.size(), number);
            if (number == 0 || number > parameters.size()) return miscounted(sql);
            largest = std::max(largest, number);
            if (bind(statement, place, parameters[number - 1]) != SQLITE_OK) return failed(sql);
        }
        if (largest != parameters.size()) return miscounted(sql);
        return success();
    }
    Error miscounted(std::string_view sql) {
        return Backend::failed(Trouble::refused, sql, "parameters that do not fit");
    }

    Poco::Data::Session session_;
    sqlite3* handle_;
    std::map<std::string, Prepared, std::less<>> statements_;
    std::vector<Field> fields_;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_sqlite(const std::filesystem::path& file) {
    static std::once_flag registered;
    std::call_once(registered, [] { Poco::Data::SQLite::Connector::registerConnector(); });
    if (const Descriptor made{::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)}; !made)
        return Error{Errc::store_away, "cannot open " + file.string()};
    try {
        auto out = std::make_unique<Sqlite>(file);
        for (const auto* pragma : {"PRAGMA busy_timeout=5000", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
                                   "PRAGMA foreign_keys=ON"}) {
            QSCD_TRY(out->run(pragma, {}, nullptr));
        }
        return std::unique_ptr<Backend>{std::move(out)};
    } catch (const Poco::Exception& error) {
        return Error{Errc::store_away, "open " + file.string() + ": " + error.displayText()};
    }
}

}  // namespace qscd::store
