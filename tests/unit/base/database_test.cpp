#include "base/store/database.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace qscd::store {
namespace {

struct DatabaseTest : ::testing::Test {
    std::filesystem::path folder = std::filesystem::temp_directory_path() /
                                   ("qscd-database-" + std::to_string(getpid()));
    std::unique_ptr<Database> database;
    void SetUp() override {
        std::filesystem::create_directories(folder);
        database = Database::open(folder / "a.sqlite").value();
        const Migration first{1, "CREATE TABLE t (k BIGINT PRIMARY KEY, name VARCHAR, data BLOB)"};
        ASSERT_TRUE(database->migrate(std::span{&first, 1}));
    }
    void TearDown() override { std::filesystem::remove_all(folder); }
};

TEST_F(DatabaseTest, GivesBackWhatWasStored) {
    const Bytes bytes{0, 1, 255, 0};
    ASSERT_EQ(
        database->execute("INSERT INTO t VALUES ($1, $2, $3)", {std::int64_t{1} << 40, std::string{"Anna"}, bytes})
            .value(),
        1u);
    ASSERT_EQ(database->execute("INSERT INTO t VALUES ($1, $2, $3)", {std::int64_t{2}, Value{}, Bytes{}}).value(), 1u);
    const auto rows = database->query("SELECT k, name, data FROM t ORDER BY k").value();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(rows[0][1]));
    EXPECT_EQ(integer(rows[1][0]), std::int64_t{1} << 40);
    EXPECT_EQ(text(rows[1][1]), "Anna");
    EXPECT_EQ(blob(rows[1][2]), bytes);
    EXPECT_EQ(integer(database->query("SELECT count(*) FROM t").value()[0][0]), 2);
    EXPECT_EQ(integer(database->query("SELECT max(k) FROM t").value()[0][0]), std::int64_t{1} << 40);
}

TEST_F(DatabaseTest, CountsTheRowsThatChanged) {
    const auto insert = "INSERT INTO t VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    EXPECT_EQ(database->execute(insert, {std::int64_t{1}, std::string{"a"}, Bytes{}}).value(), 1u);
    EXPECT_EQ(database->execute(insert, {std::int64_t{1}, std::string{"b"}, Bytes{}}).value(), 0u);
    EXPECT_EQ(database->execute("UPDATE t SET name = $1 WHERE k = $2", {std::string{"c"}, std::int64_t{9}}).value(),
              0u);
}

TEST_F(DatabaseTest, AnUncommittedTransactionLeavesNothing) {
    {
        auto transaction = database->begin().value();
        ASSERT_TRUE(database->execute("INSERT INTO t VALUES (1, 'x', NULL)"));
    }
    EXPECT_TRUE(database->query("SELECT k FROM t").value().empty());
    auto transaction = database->begin().value();
    ASSERT_TRUE(database->execute("INSERT INTO t VALUES (1, 'x', NULL)"));
    ASSERT_TRUE(transaction.commit());
    EXPECT_EQ(database->query("SELECT k FROM t").value().size(), 1u);
}

TEST_F(DatabaseTest, AnErrorOfTheStoreIsAnErrorNotAnException) {
    const auto result = database->execute("INSERT INTO nowhere VALUES (1)");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::store_away);
    EXPECT_FALSE(Database::open(folder / "missing" / "a.sqlite"));
}

TEST_F(DatabaseTest, MigrationsRunOnce) {
    const std::array steps{Migration{1, "no SQL at all"},
                           Migration{2, "CREATE TABLE u (k BIGINT); CREATE TABLE v (k BIGINT);"}};
    ASSERT_TRUE(database->migrate(steps));
    ASSERT_TRUE(database->migrate(steps));
    EXPECT_TRUE(database->query("SELECT u.k FROM u, v"));
}

}  // namespace
}  // namespace qscd::store
