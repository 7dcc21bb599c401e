// What only a server can do to its clients, and its clients to each other.
#include <csignal>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/store/provision.hpp"
#include "tests/unit/base/store/stores.hpp"

namespace qscd::store {
namespace {

class ServerTest : public testing::Test {
protected:
    void SetUp() override {
        name_ = fresh_name();
        location_.emplace(cluster().room_for(name_));
        database_ = Database::open(*location_).value();
        ASSERT_TRUE(database_->execute("CREATE TABLE t (k BIGINT PRIMARY KEY)"));
    }
    static std::int64_t count(Database& database) {
        return integer(database.query("SELECT count(*) FROM t").value()[0][0]);
    }
    // Ends the server's side of each of this role's connections, and waits until it is gone.
    void cut() const {
        const auto administrator = cluster().admin();
        (void)administrator->query(
            "SELECT pg_terminate_backend(pid, 10000)::text FROM pg_stat_activity WHERE usename = $1", {name_});
    }
    // Another client's write in between, which this one's transaction cannot be put before or after.
    void interfere() const { ASSERT_TRUE(Database::open(*location_).value()->execute("UPDATE n SET n = n + 1")); }

    std::string name_;
    std::optional<Location> location_;
    std::unique_ptr<Database> database_;
};

TEST_F(ServerTest, OneDaemonsRoleReadsNothingOfAnothers) {
    const auto mine = name_, theirs = fresh_name();
    const auto other = Database::open(cluster().room_for(theirs)).value();
    for (const auto& statement : {"SELECT k FROM " + mine + ".t", "INSERT INTO " + mine + ".t VALUES (1)",
                                  "CREATE TABLE " + mine + ".u (k BIGINT)", "SET ROLE " + mine,
                                  "DROP SCHEMA " + mine + " CASCADE", "GRANT " + mine + " TO " + theirs})
        EXPECT_FALSE(other->execute(statement)) << statement;
    EXPECT_TRUE(other->query("SELECT k FROM t").has_error());
    EXPECT_TRUE(database_->query("SELECT k FROM t"));
}

TEST_F(ServerTest, ADaemonsRoleCanDoNothingElse) {
    for (const auto* statement :
         {"CREATE ROLE x", "CREATE DATABASE x", "CREATE SCHEMA x", "CREATE TABLE public.x (k BIGINT)",
          "CREATE TEMPORARY TABLE x (k BIGINT)", "SELECT pg_read_file('/etc/passwd')", "SELECT passwd FROM pg_shadow",
          "COPY t TO PROGRAM 'cat'", "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"})
        EXPECT_FALSE(database_->execute(statement)) << statement;
}

TEST_F(ServerTest, APasswordIsNeededAndInNoLog) {
    auto server = *location_->server();
    const std::string right{text_of(server.password->reveal())};
    EXPECT_EQ(cluster().log().find(right), std::string::npos);
    const std::string wrong = "hunter2-hunter2";
    server.password = std::make_shared<const SecretBytes>(wrong);
    auto opened = Database::open(server);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::store_away);
    EXPECT_EQ(opened.error().detail.find(wrong), std::string::npos);
    EXPECT_NE(opened.error().detail.find(name_), std::string::npos) << opened.error().detail;
    server.password = nullptr;
    EXPECT_FALSE(Database::open(server));
}

TEST_F(ServerTest, ASchemaThatIsNotThereIsNamed) {
    auto server = *location_->server();
    server.schema = "elsewhere";
    const auto opened = Database::open(server);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::configuration);
    EXPECT_NE(opened.error().detail.find("schema elsewhere"), std::string::npos) << opened.error().detail;
}

TEST_F(ServerTest, ARoleWithMoreRightsThanItsSchemaIsRefused) {
    for (const auto* right : {"SUPERUSER", "CREATEDB", "CREATEROLE", "REPLICATION", "BYPASSRLS"}) {
        cluster().ask("ALTER ROLE " + name_ + " " + right);
        const auto opened = Database::open(*location_);
        ASSERT_FALSE(opened) << right;
        EXPECT_EQ(opened.error().code, Errc::configuration);
        cluster().ask("ALTER ROLE " + name_ + " NO" + right);
    }
    EXPECT_TRUE(Database::open(*location_));
}

TEST_F(ServerTest, TheSessionsSettingsAreOursWhateverTheRolesAre) {
    cluster().ask("ALTER ROLE " + name_ + " SET synchronous_commit = off");
    cluster().ask("ALTER ROLE " + name_ + " SET default_transaction_isolation = 'read committed'");
    cluster().ask("ALTER ROLE " + name_ + " SET search_path = public");
    const auto database = Database::open(*location_);
    ASSERT_TRUE(database) << database.error().detail;
    for (const auto& [setting, value] :
         std::vector<std::pair<std::string, std::string>>{{"synchronous_commit", "on"},
                                                          {"transaction_isolation", "serializable"},
                                                          {"search_path", name_},
                                                          {"lock_timeout", "5s"},
                                                          {"idle_in_transaction_session_timeout", "30s"},
                                                          {"statement_timeout", "1min"}}) {
        const auto rows = database.value()->query("SELECT current_setting($1)", {setting}).value();
        EXPECT_EQ(text(rows[0][0]), value) << setting;
    }
}

TEST_F(ServerTest, RoomsAreMadeAllOrNone) {
    const auto administrator = cluster().admin();
    const SecretBytes password{std::string_view{"password"}};
    const auto first = fresh_name();
    const auto made = provision(*administrator, {{first, password}, {name_, password}});
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::configuration);
    EXPECT_NE(made.error().detail.find(name_), std::string::npos);
    EXPECT_TRUE(cluster().ask("SELECT rolname FROM pg_roles WHERE rolname = '" + first + "'").empty());
    EXPECT_FALSE(provision(*administrator, {{"no name", password}}));
    EXPECT_FALSE(provision(*administrator, {{"x; DROP TABLE t", password}}));
}

TEST_F(ServerTest, AnAdministratorWithTooFewRightsIsTold) {
    cluster().ask("CREATE ROLE clerk LOGIN CREATEROLE PASSWORD 'x'");
    cluster().ask("GRANT CONNECT ON DATABASE qscd TO clerk");
    auto server = cluster().server("clerk");
    server.password = std::make_shared<const SecretBytes>(std::string_view{"x"});
    const auto clerk = Database::open(server).value();
    const auto asked = can_provision(*clerk, {fresh_name()});
    ASSERT_FALSE(asked);
    EXPECT_EQ(asked.error().code, Errc::configuration);
    // No superuser is needed: the database's owner with CREATEROLE is enough.
    cluster().ask("ALTER DATABASE qscd OWNER TO clerk");
    const auto name = fresh_name();
    const SecretBytes password{std::string_view{"password"}};
    const auto made = provision(*clerk, {{name, password}});
    EXPECT_TRUE(made) << made.error().detail;
    EXPECT_FALSE(clerk->execute("CREATE TABLE " + name + ".x (k BIGINT)"));  // not even he comes in
    cluster().ask("ALTER DATABASE qscd OWNER TO admin");
}

// [OPS] A server that forgets what it committed is no store.
class AServerWith : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(, AServerWith, testing::Values("fsync=off", "full_page_writes=off"));
TEST_P(AServerWith, IsRefused) {
    instruments::Cluster own{{GetParam()}};
    const auto opened = Database::open(own.room_for("samd"));
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::configuration);
    const std::string setting{GetParam()};
    EXPECT_NE(opened.error().detail.find(setting.substr(0, setting.find('='))), std::string::npos)
        << opened.error().detail;
}

// A key and a certificate for one address, made by openssl.
struct Certificate {
    std::string key, pem;
    explicit Certificate(const std::string& address) {
        const auto folder = std::filesystem::temp_directory_path() / ("qscd-tls-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder);
        const auto made = folder / "key.pem", certificate = folder / "certificate.pem";
        const auto command =
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=TEST "
            "-addext subjectAltName=IP:" +
            address + " -keyout " + made.string() + " -out " + certificate.string() + " 2>/dev/null";
        EXPECT_EQ(std::system(command.c_str()), 0);  // NOLINT(cert-env33-c): our own words
        key = read_file(made).value();
        pem = read_file(certificate).value();
        std::filesystem::remove_all(folder);
    }
};

TEST(AcrossANetwork, TheServersCertificateIsVerifiedWithItsName) {
    // Loopback addresses of this process alone, which count as a network: they are not the ones called loopback.
    const auto pid = ::getpid();
    const auto prefix = "127." + std::to_string(1 + pid / 65'536 % 250) + "." + std::to_string(pid / 256 % 256) + ".";
    const auto named = prefix + std::to_string(pid % 127 * 2), other = prefix + std::to_string(pid % 127 * 2 + 1);
    instruments::Cluster own;
    auto server = *own.room_for("samd").server();
    const Certificate right{named}, wrong{named};
    const auto root = own.put("root.pem", right.pem), other_root = own.put("other.pem", wrong.pem);
    const std::vector<std::string> tls{"listen_addresses=" + named + "," + other, "ssl=on",
                                       "ssl_cert_file=" + root.string(),
                                       "ssl_key_file=" + own.put("key.pem", right.key).string()};
    own.stop();
    own.start(tls);
    const auto opens = [&](const std::string& host, const std::filesystem::path& trusted) {
        server.host = host, server.tls_root = trusted;
        const auto opened = Database::open(server);
        if (!opened) return false;
        const auto rows = opened.value()->query("SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()");
        return text(rows.value()[0][0]) == "true";
    };
    EXPECT_TRUE(opens(named, root));
    EXPECT_FALSE(opens(named, other_root)) << "another authority's";
    EXPECT_FALSE(opens(other, root)) << "the certificate of another name";
    own.stop();
    own.start({tls.front()});
    EXPECT_FALSE(opens(named, root)) << "in clear";
}

TEST_F(ServerTest, AStandbyThatNoCommitWaitsForIsRefused) {
    const auto follower = cluster().follow();
    const auto administrator = cluster().admin();
    while (administrator->query("SELECT pid FROM pg_stat_replication").value().empty()) ::usleep(10'000);
    const auto opened = Database::open(*location_);
    EXPECT_FALSE(opened);
    if (!opened) EXPECT_EQ(opened.error().code, Errc::configuration);
    ::kill(follower, SIGKILL);
    ::waitpid(follower, nullptr, 0);
    while (!administrator->query("SELECT pid FROM pg_stat_replication").value().empty()) ::usleep(10'000);
    EXPECT_TRUE(Database::open(*location_));
}

TEST_F(ServerTest, AStoppedServerIsAnErrorAndAStartedOneIsUsedAgain) {
    ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (1)"));
    for (const auto how : {instruments::Cluster::Stop::fast, instruments::Cluster::Stop::immediate}) {
        cluster().stop(how);
        for (int i = 0; i < 3; ++i) {
            const auto written = database_->execute("INSERT INTO t VALUES (2)");
            ASSERT_FALSE(written);
            EXPECT_EQ(written.error().code, Errc::store_away);
            EXPECT_FALSE(database_->outcome_unknown()) << "nothing was sent: " << written.error().detail;
            EXPECT_FALSE(database_->query("SELECT k FROM t"));
            EXPECT_FALSE(database_->begin());
        }
        cluster().start();
        // No statement waits; a moment later they are served again.
        Result<void> began = success();
        for (int i = 0; i < 100; ++i) {
            began = database_->transact([] { return Result<void>{success()}; });
            if (began) break;
        }
        ASSERT_TRUE(began) << began.error().detail;
        EXPECT_EQ(count(*database_), 1);
    }
}

TEST_F(ServerTest, ACutConnectionIsReplacedBeforeAnythingIsSent) {
    cut();
    EXPECT_TRUE(database_->execute("INSERT INTO t VALUES (1)"));
    cut();
    EXPECT_EQ(count(*database_), 1);
    cut();
    auto transaction = database_->begin();
    ASSERT_TRUE(transaction);
    ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (2)"));
    EXPECT_TRUE(transaction.value().commit());
    EXPECT_EQ(count(*database_), 2);
}

TEST_F(ServerTest, AConnectionCutInsideATransactionLeavesNothing) {
    {
        auto transaction = database_->begin().value();
        ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (1)"));
        cut();
        const auto next = database_->execute("INSERT INTO t VALUES (2)");
        ASSERT_FALSE(next);
        EXPECT_EQ(next.error().code, Errc::store_away);
        EXPECT_FALSE(database_->execute("INSERT INTO t VALUES (3)"));  // not on a new connection
        const auto committed = transaction.commit();
        ASSERT_FALSE(committed);
        EXPECT_EQ(committed.error().code, Errc::store_away);
    }
    EXPECT_EQ(count(*database_), 0);
    {
        auto transaction = database_->begin().value();
        ASSERT_TRUE(database_->execute("INSERT INTO t VALUES (4)"));
        cut();
        const auto committed = transaction.commit();
        ASSERT_FALSE(committed);
        EXPECT_EQ(committed.error().code, Errc::store_away);
        EXPECT_FALSE(database_->outcome_unknown()) << "the COMMIT was never sent";
    }
    EXPECT_EQ(count(*database_), 0);
}

TEST_F(ServerTest, TransactRunsAgainAfterALostConnection) {
    int runs = 0;
    const auto done = database_->transact([&]() -> Result<void> {
        QSCD_TRY(database_->execute("INSERT INTO t VALUES (1)"));
        if (++runs == 1) cut();
        QSCD_TRY(database_->execute("INSERT INTO t VALUES (2)"));
        return success();
    });
    EXPECT_TRUE(done) << done.error().detail;
    EXPECT_EQ(runs, 2);
    EXPECT_EQ(count(*database_), 2);
}

// A commit that waits for a standby is durable here already when its connection is cut: nobody told us.
TEST_F(ServerTest, ACommitWhoseAnswerIsLostIsNeitherDoneNorUndone) {
    const auto administrator = cluster().admin();
    const auto wait_for = [&](const char* standby) {
        ASSERT_TRUE(
            administrator->execute("ALTER SYSTEM SET synchronous_standby_names = '" + std::string{standby} + "'"));
        ASSERT_TRUE(administrator->query("SELECT pg_reload_conf()::text"));
        const std::string expected{standby};
        while (text(cluster().ask("SELECT current_setting('synchronous_standby_names')")[0][0]) != expected)
            ::usleep(10'000);
    };
    wait_for("nobody");
    ASSERT_EQ(text(database_->query("SELECT current_setting('synchronous_standby_names')").value()[0][0]), "nobody");
    const auto cutter = ::fork();
    if (cutter == 0) {
        const auto own = cluster().admin();
        const auto waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = '" + name_ +
                             "'";
        while (own->query(waiting).value().empty()) ::usleep(10'000);
        (void)own->query("SELECT pg_terminate_backend(pid)::text FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
        std::_Exit(0);
    }
    int runs = 0;
    const auto done = database_->transact([&]() -> Result<void> {
        ++runs;
        QSCD_TRY(database_->execute("INSERT INTO t VALUES (1)"));
        return success();
    });
    ::waitpid(cutter, nullptr, 0);
    wait_for("");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::store_away);
    EXPECT_TRUE(database_->outcome_unknown()) << done.error().detail;
    EXPECT_EQ(runs, 1) << "what may have been done must not be done again";
    EXPECT_EQ(count(*database_), 1);
}

TEST_F(ServerTest, ATransactionThatAnothersWriteUndidRunsAgain) {
    ASSERT_TRUE(database_->execute("CREATE TABLE n (n BIGINT)"));
    ASSERT_TRUE(database_->execute("INSERT INTO n VALUES (0)"));
    int runs = 0;
    const auto done = database_->transact([&]() -> Result<void> {
        QSCD_TRY(const auto rows, database_->query("SELECT n FROM n"));
        if (++runs < 3) interfere();
        QSCD_TRY(database_->execute("UPDATE n SET n = $1", {integer(rows[0][0]) + 100}));
        return success();
    });
    EXPECT_TRUE(done) << done.error().detail;
    EXPECT_EQ(runs, 3);
    EXPECT_EQ(integer(database_->query("SELECT n FROM n").value()[0][0]), 102);
}

TEST_F(ServerTest, TransactGivesUpAfterItsTries) {
    ASSERT_TRUE(database_->execute("CREATE TABLE n (n BIGINT)"));
    ASSERT_TRUE(database_->execute("INSERT INTO n VALUES (0)"));
    unsigned runs = 0;
    const auto done = database_->transact([&]() -> Result<void> {
        ++runs;
        QSCD_TRY(database_->query("SELECT n FROM n"));
        interfere();
        QSCD_TRY(database_->execute("UPDATE n SET n = 0"));
        return success();
    });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::store_away);
    EXPECT_EQ(runs, Database::tries);
}

TEST_F(ServerTest, ATextWithAZeroByteIsRefusedNotCut) {
    ASSERT_TRUE(database_->execute("CREATE TABLE s (s VARCHAR)"));
    EXPECT_FALSE(database_->execute("INSERT INTO s VALUES ($1)", {std::string{"anna\0boris", 10}}));
    EXPECT_TRUE(database_->query("SELECT s FROM s").value().empty());
}

TEST_F(ServerTest, ATypeThatWeDoNotUseIsAnError) {
    EXPECT_FALSE(database_->query("SELECT 1.5"));
    EXPECT_FALSE(database_->query("SELECT now()"));
    EXPECT_TRUE(database_->query("SELECT 1"));
}

}  // namespace
}  // namespace qscd::store
