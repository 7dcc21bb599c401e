// What both stores mean alike.
#include <latch>
#include <thread>

#include "tests/unit/base/store/stores.hpp"

namespace qscd::store {
namespace {

using DatabaseTest = OnBothStores;
INSTANTIATE_TEST_SUITE_P(, DatabaseTest, testing::Values(Kind::sqlite, Kind::postgresql), name_of);

constexpr auto insert = "INSERT INTO t VALUES ($1, $2, $3)";
constexpr auto insert_if_new = "INSERT INTO t VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

std::int64_t count(Database& database) { return integer(database.query("SELECT count(*) FROM t").value()[0][0]); }

TEST_P(DatabaseTest, GivesBackWhatWasStored) {
    const Bytes bytes{0, 1, 255, 0};
    ASSERT_EQ(database_->execute(insert, {std::int64_t{1} << 40, std::string{"Anna \"ä'%"}, bytes}).value(), 1u);
    ASSERT_EQ(database_->execute(insert, {std::int64_t{-2}, Value{}, Bytes{}}).value(), 1u);
    const auto rows = database_->query("SELECT k, name, data FROM t ORDER BY k").value();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(integer(rows[0][0]), -2);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(rows[0][1]));
    EXPECT_EQ(blob(rows[0][2]), Bytes{});
    EXPECT_EQ(integer(rows[1][0]), std::int64_t{1} << 40);
    EXPECT_EQ(text(rows[1][1]), "Anna \"ä'%");
    EXPECT_EQ(blob(rows[1][2]), bytes);
    EXPECT_EQ(integer(database_->query("SELECT max(k) FROM t").value()[0][0]), std::int64_t{1} << 40);
}

TEST_P(DatabaseTest, KeepsTheWholeRangeOfIntegers) {
    for (const auto number : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-1}, std::int64_t{0},
                              std::numeric_limits<std::int64_t>::max()}) {
        ASSERT_TRUE(database_->execute(insert, {number, Value{}, Value{}}));
        const auto rows = database_->query("SELECT k FROM t WHERE k = $1", {number}).value();
        ASSERT_EQ(rows.size(), 1u);
        EXPECT_EQ(integer(rows[0][0]), number);
    }
}

TEST_P(DatabaseTest, TakesParametersByTheirNumber) {
    ASSERT_TRUE(database_->execute(insert, {std::int64_t{1}, std::string{"a"}, Bytes{1}}));
    const auto rows = database_->query("SELECT name FROM t WHERE data = $2 AND k = $1 AND name <> $3 AND k = $1",
                                       {std::int64_t{1}, Bytes{1}, std::string{"b"}});
    ASSERT_TRUE(rows);
    EXPECT_EQ(rows.value().size(), 1u);
}

TEST_P(DatabaseTest, ParametersThatDoNotFitAreRefused) {
    EXPECT_FALSE(database_->execute(insert, {std::int64_t{1}, std::string{"a"}}));
    EXPECT_FALSE(database_->execute(insert, {std::int64_t{1}, std::string{"a"}, Bytes{}, std::int64_t{4}}));
    EXPECT_EQ(count(*database_), 0);
}

TEST_P(DatabaseTest, CountsTheRowsThatChanged) {
    EXPECT_EQ(database_->execute(insert_if_new, {std::int64_t{1}, std::string{"a"}, Bytes{}}).value(), 1u);
    EXPECT_EQ(database_->execute(insert_if_new, {std::int64_t{1}, std::string{"b"}, Bytes{}}).value(), 0u);
    EXPECT_EQ(database_->execute(insert_if_new, {std::int64_t{2}, std::string{"b"}, Bytes{}}).value(), 1u);
    EXPECT_EQ(database_->execute("UPDATE t SET name = $1", {std::string{"c"}}).value(), 2u);
    EXPECT_EQ(database_->execute("UPDATE t SET name = $1 WHERE k = $2", {std::string{"c"}, std::int64_t{9}}).value(),
              0u);
    EXPECT_EQ(database_->execute("DELETE FROM t").value(), 2u);
    EXPECT_EQ(database_->execute("SELECT k FROM t").value(), 0u);
}

TEST_P(DatabaseTest, AnUncommittedTransactionLeavesNothing) {
    {
        auto transaction = database_->begin().value();
        ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (1, 'x', NULL)"));
    }
    EXPECT_EQ(count(*database_), 0);
    auto transaction = database_->begin().value();
    ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (1, 'x', NULL)"));
    ASSERT_TRUE(transaction.commit());
    EXPECT_EQ(count(*database_), 1);
}

TEST_P(DatabaseTest, ATransactionWithAFailedStatementCannotCommit) {
    auto transaction = database_->begin().value();
    ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (1, 'x', NULL)"));
    ASSERT_FALSE(database_->execute("INSERT INTO t VALUES (1, 'y', NULL)"));
    (void)database_->execute("INSERT INTO t VALUES (2, 'z', NULL)");
    const auto committed = transaction.commit();
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, Errc::store_away);
    EXPECT_EQ(count(*database_), 0);
    EXPECT_TRUE(database_->begin());
}

TEST_P(DatabaseTest, ATransactionInsideATransactionIsRefused) {
    auto transaction = database_->begin().value();
    EXPECT_FALSE(database_->begin());
    ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (1, 'x', NULL)"));
    EXPECT_TRUE(transaction.commit());
    EXPECT_EQ(count(*database_), 1);
}

TEST_P(DatabaseTest, ForeignKeysAndUniquenessHold) {
    const std::array steps{Migration{2, "CREATE TABLE u (k BIGINT NOT NULL REFERENCES t (k))"}};
    ASSERT_TRUE(database_->migrate(steps));
    EXPECT_FALSE(database_->execute("INSERT INTO u VALUES (7)"));
    ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (7, '', NULL)"));
    EXPECT_TRUE(database_->execute("INSERT INTO u VALUES (7)"));
    EXPECT_FALSE(database_->execute("INSERT INTO t VALUES (7, '', NULL)"));
}

TEST_P(DatabaseTest, AnErrorOfTheStoreIsAnErrorNotAnException) {
    const auto result = database_->execute("INSERT INTO nowhere VALUES (1)");
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::store_away);
    EXPECT_FALSE(database_->query("no SQL at all"));
    EXPECT_EQ(count(*database_), 0);
}

TEST_P(DatabaseTest, AnErrorQuotesNoStoredValue) {
    ASSERT_TRUE(database_->execute(insert, {std::int64_t{777555}, std::string{"anna@mail.example"}, Value{}}));
    const auto result = database_->execute(insert, {std::int64_t{777555}, std::string{"anna@mail.example"}, Value{}});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().detail.find("777555"), std::string::npos) << result.error().detail;
    EXPECT_EQ(result.error().detail.find("anna"), std::string::npos) << result.error().detail;
}

TEST_P(DatabaseTest, MigrationsRunOnce) {
    const std::array steps{Migration{1, "no SQL at all"},
                           Migration{2, "CREATE TABLE u (k BIGINT); CREATE TABLE v (k BIGINT);"}};
    ASSERT_TRUE(database_->migrate(steps));
    ASSERT_TRUE(database_->migrate(steps));
    ASSERT_TRUE(another()->migrate(steps));
    EXPECT_TRUE(database_->query("SELECT u.k FROM u, v"));
}

TEST_P(DatabaseTest, AMigrationThatFailsLeavesNothing) {
    const std::array steps{Migration{2, "CREATE TABLE u (k BIGINT)"},
                           Migration{3, "CREATE TABLE v (k BIGINT); nonsense"}};
    ASSERT_FALSE(database_->migrate(steps));
    EXPECT_FALSE(database_->query("SELECT k FROM u"));
    const std::array mended{steps[0], Migration{3, "CREATE TABLE v (k BIGINT)"}};
    EXPECT_TRUE(database_->migrate(mended));
}

TEST_P(DatabaseTest, MigrationsMeanTheSameWords) {
    const std::array steps{
        Migration{2, "CREATE TABLE blob (number INTEGER PRIMARY KEY, size INTEGER, sealed BLOB NOT NULL)"}};
    ASSERT_TRUE(database_->migrate(steps));
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(
            database_->execute("INSERT INTO blob (size, sealed) VALUES ($1, $2)", {std::int64_t{1} << 50, Bytes{7}}));
    const auto rows = database_->query("SELECT number, size, sealed FROM blob ORDER BY number").value();
    EXPECT_EQ(integer(rows[0][0]), 1);
    EXPECT_EQ(integer(rows[1][0]), 2);
    EXPECT_EQ(integer(rows[1][1]), std::int64_t{1} << 50);
    EXPECT_EQ(blob(rows[1][2]), Bytes{7});
}

// Two daemons that start at one moment on an empty store.
TEST_P(DatabaseTest, TwoMigrateAtOnce) {
    const std::array steps{Migration{2, "CREATE TABLE u (k BIGINT)"}};
    std::latch together{2};
    bool good[2]{};
    const auto migrate = [&](bool& done) {
        const auto mine = another();
        together.arrive_and_wait();
        const auto made = mine->migrate(steps);
        EXPECT_TRUE(made) << made.error().detail;
        done = bool{made};
    };
    std::thread other{[&] { migrate(good[1]); }};
    migrate(good[0]);
    other.join();
    EXPECT_TRUE(good[0] && good[1]);
}

TEST_P(DatabaseTest, AScanSeesEachRowWhereItLies) {
    auto transaction = database_->begin().value();
    for (std::int64_t k = 0; k < 1000; ++k)
        ASSERT_TRUE(database_->execute(insert, {k, std::to_string(k), k % 2 == 0 ? Value{} : of(Bytes(16, 9))}));
    ASSERT_TRUE(transaction.commit());
    std::int64_t seen = 0;
    const auto scanned = database_->scan("SELECT k, name, data FROM t WHERE k >= $1 ORDER BY k", {std::int64_t{10}},
                                         [&](const RowView& row) -> Result<void> {
                                             EXPECT_EQ(row.size(), 3u);
                                             EXPECT_EQ(row.integer(0), seen + 10);
                                             EXPECT_EQ(row.text(1), std::to_string(seen + 10));
                                             EXPECT_EQ(row.is_null(2), seen % 2 == 0);
                                             if (!row.is_null(2)) EXPECT_EQ(row.blob(2).size(), 16u);
                                             ++seen;
                                             return success();
                                         });
    ASSERT_TRUE(scanned);
    EXPECT_EQ(seen, 990);
}

TEST_P(DatabaseTest, AScanEndsWhenItsReaderSaysSo) {
    for (std::int64_t k = 0; k < 100; ++k) ASSERT_TRUE(database_->execute(insert, {k, Value{}, Value{}}));
    int seen = 0;
    const auto scanned = database_->scan("SELECT k FROM t", {}, [&](const RowView&) -> Result<void> {
        if (++seen == 3) return Error{Errc::paper_refused, "enough"};
        return success();
    });
    ASSERT_FALSE(scanned);
    EXPECT_EQ(scanned.error().code, Errc::paper_refused);
    EXPECT_EQ(seen, 3);
    EXPECT_EQ(count(*database_), 100);
}

TEST_P(DatabaseTest, AColumnOfAnotherTypeEndsTheScan) {
    ASSERT_TRUE(database_->execute(insert, {std::int64_t{1}, std::string{"x"}, Value{}}));
    for (const auto& reader :
         std::vector<OnRow>{[](const RowView& row) -> Result<void> { return (void)row.integer(1), success(); },
                            [](const RowView& row) -> Result<void> { return (void)row.text(0), success(); },
                            [](const RowView& row) -> Result<void> { return (void)row.blob(2), success(); },
                            [](const RowView& row) -> Result<void> { return (void)row.integer(3), success(); }}) {
        const auto scanned = database_->scan("SELECT k, name, data FROM t", {}, reader);
        ASSERT_FALSE(scanned);
        EXPECT_EQ(scanned.error().code, Errc::store_away);
        EXPECT_EQ(count(*database_), 1);
    }
}

TEST_P(DatabaseTest, InsideAScanTheDatabaseIsBusy) {
    ASSERT_TRUE(database_->execute(insert, {std::int64_t{1}, Value{}, Value{}}));
    Errc said{};
    const auto scanned = database_->scan("SELECT k FROM t", {}, [&](const RowView&) -> Result<void> {
        said = database_->execute("DELETE FROM t").error().code;
        return success();
    });
    ASSERT_TRUE(scanned);
    EXPECT_EQ(said, Errc::internal);
    EXPECT_EQ(count(*database_), 1);
}

// Each adds one a hundred times to what it read: serialisable, or additions get lost.
TEST_P(DatabaseTest, TwoWritersThatConflictLoseNothing) {
    ASSERT_TRUE(database_->execute(insert, {std::int64_t{0}, Value{}, Value{}}));
    ASSERT_TRUE(database_->execute("CREATE TABLE sum (n BIGINT)"));
    ASSERT_TRUE(database_->execute("INSERT INTO sum VALUES (0)"));
    constexpr int rounds = 50;
    const auto add = [&] {
        const auto mine = another();
        for (int i = 0; i < rounds; ++i) {
            Result<void> done = success();
            do {
                done = mine->transact([&]() -> Result<void> {
                    QSCD_TRY(const auto rows, mine->query("SELECT n FROM sum"));
                    QSCD_TRY(mine->execute("UPDATE sum SET n = $1", {integer(rows[0][0]) + 1}));
                    return success();
                });
            } while (!done && done.error().code == Errc::store_away);  // all its tries met the other one
            ASSERT_TRUE(done) << done.error().detail;
        }
    };
    std::thread other{add};
    add();
    other.join();
    EXPECT_EQ(integer(database_->query("SELECT n FROM sum").value()[0][0]), 2 * rounds);
}

TEST_P(DatabaseTest, WhatIsRefusedIsNotTriedAgain) {
    int runs = 0;
    const auto done = database_->transact([&]() -> Result<void> {
        ++runs;
        QSCD_TRY(database_->execute("INSERT INTO nowhere VALUES (1)"));
        return success();
    });
    EXPECT_FALSE(done);
    const auto own = database_->transact([&]() -> Result<void> {
        ++runs;
        QSCD_TRY(database_->execute("INSERT INTO t VALUES (1, '', NULL)"));
        return Error{Errc::access_denied, "changed its mind"};
    });
    ASSERT_FALSE(own);
    EXPECT_EQ(own.error().code, Errc::access_denied);
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(count(*database_), 0);
}

TEST_P(DatabaseTest, AnotherConnectionSeesWhatIsCommittedAndNothingElse) {
    const auto other = another();
    auto transaction = database_->begin().value();
    ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (1, '', NULL)"));
    EXPECT_EQ(count(*other), 0);
    ASSERT_TRUE(transaction.commit());
    EXPECT_EQ(count(*other), 1);
}

}  // namespace
}  // namespace qscd::store
