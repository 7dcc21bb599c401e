#include "tests/instruments/cluster/place.hpp"

#include <cstdlib>
#include <gtest/gtest.h>
#include <regex>
#include <stdexcept>

#include "base/file.hpp"

namespace qscd::instruments {
namespace {

struct Shared : testing::Environment {
    std::unique_ptr<Cluster> cluster;
    std::map<std::string, store::Location> rooms;
    void TearDown() override {
        rooms.clear();
        cluster.reset();
    }
};
auto* const shared = static_cast<Shared*>(testing::AddGlobalTestEnvironment(new Shared));

template <class Value>
Value good(Result<Value> result) {
    if (!result) throw std::runtime_error{describe(result.error())};
    return std::move(result).value();
}

std::vector<std::string> tables_of(store::Database& database, const store::Location& place) {
    std::vector<std::string> out;
    for (const auto& row : good(database.query(
             place.file() != nullptr ? "SELECT name FROM sqlite_master WHERE type = 'table'"
                                     : "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")))
        out.push_back(store::text(row[0]));
    return out;
}

}  // namespace

bool on_postgresql() {
    const auto* store = std::getenv("QSCD_TEST_STORE");
    return store != nullptr && std::string_view{store} == "postgresql";
}

Cluster& shared_cluster() {
    if (!shared->cluster) shared->cluster = std::make_unique<Cluster>();
    return *shared->cluster;
}

store::Location place_of(const std::filesystem::path& file) {
    if (!on_postgresql()) return file;
    // What stands in the file's place goes with its folder, and so the room is given up as a file would be.
    if (const auto known = read_file(file)) return shared->rooms.at(known.value());
    const auto name = "room_" + std::to_string(shared->rooms.size() + 1);
    if (!write_file(file, name)) throw std::runtime_error{"cannot write " + file.string()};
    return shared->rooms.emplace(name, shared_cluster().room_for(name)).first->second;
}

std::string spelt_for(const store::Location& place, std::string sql) {
    if (place.file() != nullptr) return sql;
    sql = std::regex_replace(sql, std::regex{R"(x'([0-9a-f]*)')"}, R"('\x$1'::bytea)");
    sql = std::regex_replace(sql, std::regex{R"(\bBLOB\b)"}, "BYTEA");
    return std::regex_replace(sql, std::regex{R"(\bchar\()"}, "chr(");
}

Contents contents_of(const store::Location& place) {
    const auto database = good(store::Database::open(place));
    Contents out;
    for (const auto& table : tables_of(*database, place)) out[table] = good(database->query("SELECT * FROM " + table));
    return out;
}

void put_back(const store::Location& place, const Contents& contents) {
    const auto database = good(store::Database::open(place));
    auto transaction = good(database->begin());
    for (const auto& table : tables_of(*database, place)) {
        const auto rows = contents.find(table);
        good(database->execute((rows == contents.end() ? "DROP TABLE " : "DELETE FROM ") + table));
        if (rows == contents.end()) continue;
        for (const auto& row : rows->second) {
            std::string places;
            for (std::size_t i = 1; i <= row.size(); ++i) places += (i == 1 ? "$" : ", $") + std::to_string(i);
            good(database->execute("INSERT INTO " + table + " VALUES (" + places + ")", row));
        }
    }
    if (const auto done = transaction.commit(); !done) throw std::runtime_error{describe(done.error())};
}

}  // namespace qscd::instruments
