// PostgreSQL through its own client library [PostgreSQL 15, chapter 34]: rows in binary, one round trip a statement,
// and the outcome of a COMMIT as the server gave it (docs/decisions/0013).
#include <array>
#include <charconv>
#include <chrono>
#include <cstring>
#include <libpq-fe.h>
#include <poll.h>
#include <regex>

#include "base/openssl.hpp"
#include "base/store/backend.hpp"

namespace qscd::store {
namespace {

using Connection = std::unique_ptr<PGconn, FreeWith<PQfinish>>;
using Answer = std::unique_ptr<PGresult, FreeWith<PQclear>>;
using Cancel = std::unique_ptr<PGcancel, FreeWith<PQfreeCancel>>;
using Steady = std::chrono::steady_clock;
using Kind = RowView::Kind;

constexpr int oldest_server = 130'000;
constexpr unsigned single_tries = 6;  // of one statement that another's transaction undid
constexpr std::chrono::milliseconds between_connects{250};
constexpr int text_format = 0, binary_format = 1;

// What every session says of itself. The server's time-outs end a statement that hangs, a lock that is not given back
// and a transaction whose owner stopped; the client's keepalives find a server that vanished.
constexpr const char* session_options =
    "-c synchronous_commit=on -c default_transaction_isolation=serializable -c default_transaction_read_only=off "
    "-c lock_timeout=5s -c statement_timeout=60s -c idle_in_transaction_session_timeout=30s -c "
    "client_min_messages=error "
    "-c bytea_output=hex -c search_path=";
constexpr std::array<std::pair<const char*, const char*>, 10> connection_options{{
    {"connect_timeout", "5"},
    {"client_encoding", "UTF8"},
    {"target_session_attrs", "read-write"},
    {"keepalives", "1"},
    {"keepalives_idle", "5"},
    {"keepalives_interval", "5"},
    {"keepalives_count", "3"},
    {"tcp_user_timeout", "20000"},
    {"gssencmode", "disable"},
    {"fallback_application_name", "qscd"},
}};

// A server with another value may forget what it said it had committed.
constexpr const char* settings_query =
    "SELECT current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit'), "
    "current_setting('transaction_isolation'), coalesce(current_schema(), ''), "
    "(SELECT rolsuper OR rolreplication OR rolbypassrls OR rolcreaterole OR rolcreatedb FROM pg_roles "
    "WHERE rolname = current_user)::text, "
    "(current_setting('synchronous_standby_names') = '' AND EXISTS (SELECT FROM pg_stat_replication))::text";
struct Demand {
    const char *value, *otherwise;
};
constexpr std::array demands{
    Demand{"on", "it runs with fsync = off: a crash would lose or tear what it committed; write fsync = on"},
    Demand{"on", "it runs with full_page_writes = off: a power cut would tear pages; write full_page_writes = on"},
    Demand{"on", "it does not keep synchronous_commit = on: commits would be answered before they are durable"},
    Demand{"serializable", "it does not keep default_transaction_isolation = serializable"},
};
constexpr int schema_column = 4, rights_column = 5, standby_column = 6;

// Types by their numbers [PostgreSQL, pg_type.dat].
constexpr Oid type_bytea = 17, type_char = 18, type_name = 19, type_int8 = 20, type_int2 = 21, type_int4 = 23,
              type_text = 25, type_unknown = 705, type_bpchar = 1042, type_varchar = 1043;

// SQLSTATE [PostgreSQL, appendix A].
constexpr std::array<std::string_view, 2> conflicts{"40001", "40P01"};

std::string one_line(const char* text) {
    std::string out{text != nullptr ? text : ""};
    while (!out.empty() && out.back() == '\n') out.pop_back();
    for (auto& c : out)
        if (c == '\n' || c == '\t') c = ' ';
    return out;
}

std::int64_t big_endian(const char* from, int size) {
    std::uint64_t out = (static_cast<std::uint8_t>(*from) & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (int i = 0; i < size; ++i) out = out << 8 | static_cast<std::uint8_t>(from[i]);
    return static_cast<std::int64_t>(out);
}

RowView::Field field_of(const PGresult* answer, int row, int column) {
    if (PQgetisnull(answer, row, column) != 0) return {};
    const auto* data = PQgetvalue(answer, row, column);
    const auto size = PQgetlength(answer, row, column);
    const ByteView bytes{reinterpret_cast<const std::uint8_t*>(data), static_cast<std::size_t>(size)};
    switch (PQftype(answer, column)) {
        case type_int2:
        case type_int4:
        case type_int8: return {Kind::integer, big_endian(data, size), {}};
        case type_bytea: return {Kind::blob, 0, bytes};
        case type_char:
        case type_name:
        case type_text:
        case type_unknown:
        case type_bpchar:
        case type_varchar: return {Kind::text, 0, bytes};
        default: return {Kind::foreign, 0, bytes};
    }
}

// Parameters as the library wants them: texts stay where they are, numbers are written out here.
class Bound {
public:
    // False: a text holds a zero byte, which the server cannot store.
    bool bind(const std::vector<Value>& parameters) {
        const auto count = parameters.size();
        numbers_.resize(count), values_.resize(count), sizes_.resize(count), formats_.resize(count);
        for (std::size_t i = 0; i < count; ++i) {
            values_[i] = nullptr, sizes_[i] = 0, formats_[i] = text_format;
            if (const auto* number = std::get_if<std::int64_t>(&parameters[i])) {
                auto& text = numbers_[i];
                *std::to_chars(text.data(), text.data() + text.size() - 1, *number).ptr = '\0';
                values_[i] = text.data();
            } else if (const auto* text = std::get_if<std::string>(&parameters[i])) {
                if (text->find('\0') != std::string::npos) return false;
                values_[i] = text->c_str();
            } else if (const auto* bytes = std::get_if<Bytes>(&parameters[i])) {
                values_[i] = bytes->empty() ? "" : reinterpret_cast<const char*>(bytes->data());
                sizes_[i] = static_cast<int>(bytes->size());
                formats_[i] = binary_format;
            }
        }
        return true;
    }
    int count() const { return static_cast<int>(values_.size()); }
    const char* const* values() const { return values_.data(); }
    const int* sizes() const { return sizes_.data(); }
    const int* formats() const { return formats_.data(); }

private:
    std::vector<std::array<char, 24>> numbers_;
    std::vector<const char*> values_;
    std::vector<int> sizes_, formats_;
};

class Postgresql : public Backend {
public:
    explicit Postgresql(Server server) : server_(std::move(server)) {}

    // Errc::configuration when the server is not one to trust a commit of.
    Result<void> connect() {
        std::vector<const char*> names, values;
        const auto add = [&](const char* name, const char* value) { names.push_back(name), values.push_back(value); };
        const auto options = server_.schema.empty() ? std::string{} : session_options + server_.schema;
        const auto port = std::to_string(server_.port);
        std::string password{server_.password ? text_of(server_.password->reveal()) : std::string_view{}};
        for (const auto& [name, value] : connection_options) add(name, value);
        add("host", server_.host.c_str());
        add("port", port.c_str());
        add("dbname", server_.database.c_str());
        add("options", options.c_str());
        add("sslmode", server_.local() ? "prefer" : "verify-full");
        if (!server_.role.empty()) add("user", server_.role.c_str());
        if (!server_.tls_root.empty()) add("sslrootcert", server_.tls_root.c_str());
        if (!password.empty()) add("password", password.c_str());
        add(nullptr, nullptr);
        connection_.reset(PQconnectdbParams(names.data(), values.data(), 0));
        wipe(password);
        broken_ = false;
        if (!usable()) {
            next_connect_ = Steady::now() + between_connects;
            return away(named() + ": " + one_line(PQerrorMessage(connection_.get())));
        }
        PQsetNoticeReceiver(connection_.get(), [](void*, const PGresult*) {}, nullptr);
        auto good = verify_settings();
        broken_ = !good;
        return good;
    }

    Result<std::size_t> run(std::string_view sql, const std::vector<Value>& parameters, const OnRow* on_row) override {
        if (!bound_.bind(parameters)) return failed(Trouble::refused, sql, "a text with a zero byte");
        const std::string statement{sql};
        for (unsigned attempt = 1;; ++attempt) {
            QSCD_TRY(prepare_to_send());
            bool given = false;
            auto ran = once(statement, on_row, given);
            if (ran || in_transaction_ || given || attempt == single_tries) return ran;
            // Alone, a statement is its own transaction: undone by another's, or never done because it only reads.
            if (trouble_ != Trouble::conflict && !(trouble_ == Trouble::away && attempt == 1)) return ran;
        }
    }

    Result<void> begin() override { return begin_with("BEGIN"); }

    // Not serialisable: after waiting for the other one it must see what that one made.
    Result<void> begin_migration() override {
        QSCD_TRY(begin_with("BEGIN ISOLATION LEVEL READ COMMITTED"));
        auto locked = run("SELECT pg_advisory_xact_lock(hashtext(current_schema()))::text", {}, nullptr);
        if (!locked) {
            roll_back();
            return locked.error();
        }
        return success();
    }

    // Only the server's own words count: an aborted transaction answers COMMIT with ROLLBACK and calls it good.
    Result<void> commit() override {
        in_transaction_ = false;
        if (!alive()) return lost_inside();
        const Answer answer{PQexec(connection_.get(), "COMMIT")};
        if (PQresultStatus(answer.get()) == PGRES_COMMAND_OK) {
            if (std::string_view{PQcmdStatus(answer.get())} == "COMMIT") return success();
            return failed(Trouble::refused, "COMMIT", "the transaction had failed");
        }
        return failure("COMMIT", answer.get(), Trouble::unknown);
    }

    void roll_back() noexcept override {
        if (!std::exchange(in_transaction_, false) || !usable()) return;
        const Answer answer{PQexec(connection_.get(), "ROLLBACK")};
        broken_ = PQresultStatus(answer.get()) != PGRES_COMMAND_OK;
    }

    std::string translated(std::string_view migration) const override {
        static const std::array<std::pair<std::regex, const char*>, 3> words{{
            {std::regex{R"(\bINTEGER\s+PRIMARY\s+KEY\b)"}, "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"},
            {std::regex{R"(\bINTEGER\b)"}, "BIGINT"},
            {std::regex{R"(\bBLOB\b)"}, "BYTEA"},
        }};
        std::string out{migration};
        for (const auto& [word, here] : words) out = std::regex_replace(out, word, here);
        return out;
    }

private:
    Error away(std::string_view detail) { return failed(Trouble::away, "PostgreSQL", detail); }
    std::string named() const { return (server_.origin.empty() ? "" : server_.origin + ": ") + server_.text(); }
    Error lost_inside() {
        broken_ = true;
        return away("the connection was lost inside a transaction; nothing of it was done");
    }
    bool usable() const { return !broken_ && PQstatus(connection_.get()) == CONNECTION_OK; }
    bool conflicted(const PGresult* answer) const {
        const auto* state = PQresultErrorField(answer, PG_DIAG_SQLSTATE);
        return state != nullptr && std::ranges::find(conflicts, state) != conflicts.end();
    }

    // The primary message alone: the detail beside it quotes stored values.
    Error failure(std::string_view sql, const PGresult* answer, Trouble when_lost) {
        const auto* severity = PQresultErrorField(answer, PG_DIAG_SEVERITY_NONLOCALIZED);
        const auto* message = PQresultErrorField(answer, PG_DIAG_MESSAGE_PRIMARY);
        broken_ = !usable() || severity == nullptr || std::string_view{severity} != "ERROR";
        if (broken_) {
            const auto said = one_line(message != nullptr ? message : PQerrorMessage(connection_.get()));
            return failed(when_lost, sql,
                          said + (when_lost == Trouble::unknown ? "; whether it was done is not known" : ""));
        }
        return failed(conflicted(answer) ? Trouble::conflict : Trouble::refused, sql,
                      one_line(message) + " (" + PQresultErrorField(answer, PG_DIAG_SQLSTATE) + ")");
    }

    Result<void> verify_settings() {
        if (PQserverVersion(connection_.get()) < oldest_server) return untrusted("it is older than PostgreSQL 13");
        if (server_.schema.empty()) return success();  // an administrator at work, no daemon
        const Answer answer{PQexec(connection_.get(), settings_query)};
        if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) return failure("settings", answer.get(), Trouble::away);
        const auto said = [&](int column) { return std::string_view{PQgetvalue(answer.get(), 0, column)}; };
        for (std::size_t i = 0; i < demands.size(); ++i)
            if (said(static_cast<int>(i)) != demands[i].value) return untrusted(demands[i].otherwise);
        if (said(schema_column) != server_.schema)
            return untrusted("there is no schema " + server_.schema + " that this role may use");
        if (said(rights_column) != "false")
            return untrusted(
                "its role may do more than use its schema; a daemon's role is NOSUPERUSER NOCREATEDB "
                "NOCREATEROLE NOREPLICATION NOBYPASSRLS");
        if (said(standby_column) != "false")
            return untrusted(
                "a standby follows it that no commit waits for: a fail-over would lose commits; "
                "write synchronous_standby_names");
        return success();
    }
    Error untrusted(std::string_view why) {
        trouble_ = Trouble::refused;
        return {Errc::configuration, named() + " cannot be this store: " + std::string{why}};
    }

    // A server that restarted has closed the connection: that is seen before anything is sent.
    bool alive() {
        if (!usable()) return false;
        pollfd socket{PQsocket(connection_.get()), POLLIN | POLLRDHUP, 0};
        if (::poll(&socket, 1, 0) <= 0) return true;
        return (socket.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) == 0 &&
               PQconsumeInput(connection_.get()) == 1;
    }

    Result<void> prepare_to_send() {
        if (in_transaction_) {
            if (!usable()) return lost_inside();
            return success();
        }
        if (alive()) return success();
        connection_.reset();
        if (Steady::now() < next_connect_) return away("not reachable a moment ago");
        auto connected = connect();
        if (!connected && connected.error().code == Errc::configuration) return away(connected.error().detail);
        return connected;
    }

    Result<void> begin_with(const char* words) {
        trouble_ = Trouble::none;
        for (bool again = true;; again = false) {
            QSCD_TRY(prepare_to_send());
            const Answer answer{PQexec(connection_.get(), words)};
            if (PQresultStatus(answer.get()) == PGRES_COMMAND_OK) break;
            auto error = failure(words, answer.get(), Trouble::away);
            if (!again || usable()) return error;
        }
        in_transaction_ = true;
        return success();
    }

    static bool only_reads(std::string_view sql) {
        return sql.substr(std::min(sql.find_first_not_of(" \t\n"), sql.size())).starts_with("SELECT");
    }

    // Whatever stays unread is thrown away, so that the connection can be used again.
    struct Drain {
        PGconn* connection;
        ~Drain() {
            Answer next{PQgetResult(connection)};
            if (!next) return;
            if (PQresultStatus(next.get()) == PGRES_SINGLE_TUPLE) {
                const Cancel cancel{PQgetCancel(connection)};
                std::array<char, 256> ignored{};
                if (cancel) PQcancel(cancel.get(), ignored.data(), static_cast<int>(ignored.size()));
            }
            while (next) next.reset(PQgetResult(connection));
        }
    };

    Result<std::size_t> once(const std::string& sql, const OnRow* on_row, bool& given) {
        const auto when_lost = in_transaction_ || only_reads(sql) ? Trouble::away : Trouble::unknown;
        auto* const connection = connection_.get();
        if (PQsendQueryParams(connection, sql.c_str(), bound_.count(), nullptr, bound_.values(), bound_.sizes(),
                              bound_.formats(), binary_format) == 0)
            return failure(sql, nullptr, when_lost);
        if (on_row != nullptr) PQsetSingleRowMode(connection);
        const Drain drain{connection};
        std::size_t affected = 0;
        while (const Answer answer{PQgetResult(connection)}) {
            switch (PQresultStatus(answer.get())) {
                case PGRES_SINGLE_TUPLE: {
                    given = true;
                    QSCD_TRY(give(answer.get(), *on_row));
                    break;
                }
                case PGRES_TUPLES_OK:
                case PGRES_COMMAND_OK: {
                    const std::string_view count = PQcmdTuples(answer.get());
                    if (!only_reads(sql)) std::from_chars(count.data(), count.data() + count.size(), affected);
                    break;
                }
                default: return failure(sql, answer.get(), when_lost);
            }
        }
        return affected;
    }

    Result<void> give(const PGresult* answer, const OnRow& on_row) {
        fields_.resize(static_cast<std::size_t>(PQnfields(answer)));
        for (std::size_t column = 0; column < fields_.size(); ++column)
            fields_[column] = field_of(answer, 0, static_cast<int>(column));
        return on_row(RowView{fields_});
    }

    Server server_;
    Connection connection_;
    Steady::time_point next_connect_{};
    bool broken_ = false, in_transaction_ = false;
    Bound bound_;
    std::vector<RowView::Field> fields_;
};

}  // namespace

Result<std::unique_ptr<Backend>> open_postgresql(const Server& server) {
    auto out = std::make_unique<Postgresql>(server);
    QSCD_TRY(out->connect());
    return std::unique_ptr<Backend>{std::move(out)};
}

}  // namespace qscd::store
