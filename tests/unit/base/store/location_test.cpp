#include "base/store/location.hpp"

#include <gtest/gtest.h>

namespace qscd::store {
namespace {

TEST(StoreLocation, ReadsAllItsParts) {
    const auto server = Server::parse(
                            "postgresql://anna:s%40cret@db.example:6543/qscd?schema=qscd_samd&"
                            "sslrootcert=/etc/qscd/db%20ca.pem")
                            .value();
    EXPECT_EQ(server.host, "db.example");
    EXPECT_EQ(server.port, 6543);
    EXPECT_EQ(server.database, "qscd");
    EXPECT_EQ(server.role, "anna");
    EXPECT_EQ(server.schema, "qscd_samd");
    EXPECT_EQ(server.tls_root, "/etc/qscd/db ca.pem");
    EXPECT_EQ(text_of(server.password->reveal()), "s@cret");
}

struct Good {
    const char *url, *host;
    unsigned port;
};
class AGoodUrl : public testing::TestWithParam<Good> {};
INSTANTIATE_TEST_SUITE_P(, AGoodUrl,
                         testing::Values(Good{"postgresql:///qscd", "/var/run/postgresql", 5432},
                                         Good{"postgresql://localhost/qscd", "localhost", 5432},
                                         Good{"postgres://127.0.0.1:1/qscd", "127.0.0.1", 1},
                                         Good{"postgresql://[::1]:65535/qscd", "::1", 65535},
                                         Good{"postgresql://%2Frun%2Fpg/qscd", "/run/pg", 5432},
                                         Good{"postgresql:///qscd?host=/run/pg&port=7", "/run/pg", 7},
                                         Good{"postgresql://anna@:7/qscd", "/var/run/postgresql", 7}));
TEST_P(AGoodUrl, NamesHostAndPort) {
    const auto server = Server::parse(GetParam().url);
    ASSERT_TRUE(server) << server.error().detail;
    EXPECT_EQ(server.value().host, GetParam().host);
    EXPECT_EQ(server.value().port, GetParam().port);
    EXPECT_TRUE(server.value().local());
    const auto again = Server::parse(server.value().text());
    ASSERT_TRUE(again) << server.value().text();
    EXPECT_EQ(again.value().text(), server.value().text());
    EXPECT_EQ(again.value().host, GetParam().host);
}

class ABadUrl : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    , ABadUrl,
    testing::Values("", "qscd", "mysql://h/qscd", "postgresql://localhost", "postgresql://localhost/",
                    "postgresql:///a/b", "postgresql://localhost:0/qscd", "postgresql://localhost:65536/qscd",
                    "postgresql://localhost:x/qscd", "postgresql://localhost:5432x/qscd",
                    "postgresql://localhost:/qscd", "postgresql://[::1/qscd", "postgresql://[::1]5/qscd",
                    "postgresql://@localhost/qscd", "postgresql://:hunter2@localhost/qscd",
                    "postgresql://anna:@localhost/qscd", "postgresql:///qscd?", "postgresql:///qscd?schema",
                    "postgresql:///qscd?schema=", "postgresql:///qscd?schema=A", "postgresql:///qscd?schema=a-b",
                    "postgresql:///qscd?schema=pg_x", "postgresql:///qscd?sslmode=disable",
                    "postgresql:///qscd?password=hunter2", "postgresql:///qs%zd", "postgresql:///qs%0Acd",
                    "postgresql:///qscd#x", "postgresql:///qscd?host=a,b", "postgresql://db.example/qscd",
                    "postgresql://10.0.0.1/qscd"));
TEST_P(ABadUrl, IsRefusedWithoutBeingQuoted) {
    const auto server = Server::parse(GetParam());
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, Errc::configuration);
    EXPECT_EQ(server.error().detail.find("hunter2"), std::string::npos);
}

TEST(StoreLocation, ItsTextHoldsNoPassword) {
    const auto server = Server::parse("postgresql://anna:hunter2@localhost/qscd?schema=s").value();
    EXPECT_EQ(server.text(), "postgresql://anna@localhost:5432/qscd?schema=s");
    EXPECT_EQ(Location{server}.text(), server.text());
}

TEST(StoreLocation, APathIsAFile) {
    const Location location{std::filesystem::path{"/a/b.sqlite"}};
    ASSERT_NE(location.file(), nullptr);
    EXPECT_EQ(location.server(), nullptr);
    EXPECT_EQ(location.text(), "/a/b.sqlite");
}

}  // namespace
}  // namespace qscd::store
