#include "ca/status/web.hpp"

#include "base/net/client.hpp"
#include "base/net/server.hpp"
#include "tests/unit/ca/trial.hpp"

namespace qscd::ca {
namespace {

// Over a real socket, as anybody would ask.
struct StatusWeb : ::testing::Test {
    Folder folder;
    FixedClock clock{at(2026, 11, 20)};
    std::unique_ptr<Publications> publications = Publications::open(folder / "published").value();
    std::unique_ptr<net::Server> server;
    std::optional<net::Client> client;

    void SetUp() override {
        ASSERT_TRUE(publications->publish("/crl/qualified.crl", "application/pkix-crl", std::string("\x30\x00\xff", 3),
                                          unix_seconds(clock.now()) + 72 * 3600, clock.now()));
        ASSERT_TRUE(publications->publish("/aia/root.cer", "application/pkix-cert", "root", 0, clock.now()));
        net::Settings settings;
        settings.worker_threads = 2;
        settings.handler = [this](const net::Request& request) {
            return answer_web(*publications, request, clock.now());
        };
        server = net::Server::start(std::move(settings)).value();
        net::Endpoint endpoint;
        endpoint.tls = false;
        endpoint.host = "127.0.0.1";
        endpoint.port = server->port();
        client.emplace(endpoint);
    }
    net::ClientResponse ask(std::string_view method, std::string_view path, const net::Headers& headers = {}) {
        return client->request(method, path, headers).value();
    }
};

TEST_F(StatusWeb, ServesWhatWasPublished) {
    const auto crl = ask("GET", "/crl/qualified.crl");
    EXPECT_EQ(crl.status, 200U);
    EXPECT_EQ(crl.body, std::string("\x30\x00\xff", 3));
    EXPECT_EQ(crl.header("content-type"), "application/pkix-crl");
    EXPECT_EQ(crl.header("last-modified"), "Fri, 20 Nov 2026 12:00:00 GMT");
    EXPECT_EQ(crl.header("cache-control"), "public, max-age=3600");
    EXPECT_TRUE(crl.header("etag"));
    const auto certificate = ask("GET", "/aia/root.cer");
    EXPECT_EQ(certificate.header("content-type"), "application/pkix-cert");
    EXPECT_EQ(certificate.header("cache-control"), "public, max-age=3600");
}

TEST_F(StatusWeb, NothingIsKeptLongerThanUntilItsNextUpdate) {
    clock.advance(std::chrono::hours{72} - std::chrono::seconds{10});
    EXPECT_EQ(ask("GET", "/crl/qualified.crl").header("cache-control"), "public, max-age=10");
    clock.advance(std::chrono::seconds{20});
    EXPECT_EQ(ask("GET", "/crl/qualified.crl").header("cache-control"), "public, max-age=0");
}

TEST_F(StatusWeb, HeadAnswersWithoutABody) {
    const auto head = ask("HEAD", "/crl/qualified.crl");
    EXPECT_EQ(head.status, 200U);
    EXPECT_EQ(head.header("content-length"), "3");
    EXPECT_TRUE(head.body.empty());
}

TEST_F(StatusWeb, WhatIsKnownIsNotSentAgain) {
    const auto etag = std::string{*ask("GET", "/crl/qualified.crl").header("etag")};
    for (const auto& known : {etag, "W/" + etag, "\"other\", " + etag, std::string{"*"}}) {
        const auto same = ask("GET", "/crl/qualified.crl", {{"If-None-Match", known}});
        EXPECT_EQ(same.status, 304U) << known;
        EXPECT_TRUE(same.body.empty());
        EXPECT_EQ(same.header("etag"), etag);
    }
    EXPECT_EQ(ask("GET", "/crl/qualified.crl", {{"If-None-Match", "\"other\""}}).status, 200U);
}

TEST_F(StatusWeb, ExactPathsAndNoOthers) {
    for (const auto* path :
         {"/", "/crl/", "/crl/lcp.crl", "/crl/qualified.crl/", "/crl/qualified.crl?x=1", "/CRL/qualified.crl",
          "/crl/%71ualified.crl", "/crl//qualified.crl", "/crl/../crl/qualified.crl", "/ocsp", "/health/ready"})
        EXPECT_EQ(ask("GET", path).status, 404U) << path;
}

TEST_F(StatusWeb, OtherMethodsAreNotAllowed) {
    for (const auto* method : {"POST", "PUT", "DELETE", "OPTIONS"}) {
        const auto refused = ask(method, "/crl/qualified.crl");
        EXPECT_EQ(refused.status, 405U) << method;
        EXPECT_EQ(refused.header("allow"), "GET, HEAD");
    }
}

TEST_F(StatusWeb, SaysThatItLives) {
    EXPECT_EQ(ask("GET", "/health/live").status, 200U);
    EXPECT_EQ(ask("POST", "/health/live").status, 405U);
}

TEST(HttpDate, IsTheFixedFormat) {
    EXPECT_EQ(http_date(from_unix(784111777)), "Sun, 06 Nov 1994 08:49:37 GMT");  // RFC 9110, 5.6.7
}

}  // namespace
}  // namespace qscd::ca
