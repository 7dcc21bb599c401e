#include "base/net/client.hpp"

#include <gtest/gtest.h>
#include <mutex>

#include "base/net/server.hpp"
#include "test_certificates.hpp"

namespace qscd::net {
namespace {

using namespace std::chrono_literals;

const TestCertificates& certificates() {
    static const TestCertificates once;
    return once;
}
std::unique_ptr<Server> secured(Handler handler, Limits limits = {}, std::uint16_t port = 0) {
    Settings settings;
    settings.port = port;
    settings.tls = Tls{certificates().chain(), certificates().private_key()};
    settings.limits = limits;
    settings.handler = std::move(handler);
    return Server::start(std::move(settings)).value();
}
Response echo(const Request& request) {
    return {200, "text/plain", request.method + " " + request.target + " " + request.body, {{"X-Seen", "yes"}}};
}
Endpoint to(const Server& server, const char* host = "localhost") {
    auto out =
        Endpoint::from_url("https://" + std::string{host} + ":" + std::to_string(server.port()) + "/csc/v2").value();
    out.ca_pem = certificates().ca_pem();
    return out;
}

TEST(Client, AsksOverTlsAndReadsTheAnswer) {
    const auto server = secured(echo);
    for (const auto* host : {"localhost", "127.0.0.1"}) {
        Client client{to(*server, host)};
        const auto response = client.request("POST", "/info", {{"Content-Type", "application/json"}}, "{}");
        ASSERT_TRUE(response) << describe(response.error());
        EXPECT_EQ(response.value().status, 200u);
        EXPECT_EQ(response.value().body, "POST /csc/v2/info {}");
        EXPECT_EQ(response.value().header("x-seen"), "yes");
        EXPECT_EQ(response.value().header("content-type"), "text/plain");
    }
}

TEST(Client, KeepsItsConnection) {
    const auto server = secured(echo, {.connections = 1});
    Client client{to(*server)};
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(client.request("GET", "/info"));
    Client other{to(*server)};
    EXPECT_FALSE(other.request("GET", "/info"));  // the one connection is still taken
}

TEST(Client, ConnectsAgainWhenTheServerHasClosed) {
    auto server = secured(echo);
    const auto port = server->port();
    Client client{to(*server)};
    for (int i = 0; i < 3; ++i) {
        const auto response = client.request("POST", "/info", {}, "x");
        ASSERT_TRUE(response) << describe(response.error());
        server.reset();
        server = secured(echo, {}, port);
    }
}

TEST(Client, CarriesBodiesOfEverySizeBothWays) {
    const auto server = secured([](const Request& request) { return Response{.body = request.body + request.body}; });
    Client client{to(*server)};
    for (const std::size_t size : {0u, 1u, 8191u, 8192u, 16383u, 16384u, 16385u, 65'537u, 300'000u, 1u << 20}) {
        std::string body(size, 'x');
        for (std::size_t at = 0; at < size; ++at) body[at] = static_cast<char>('a' + at % 23);
        const auto response = client.request("POST", "/info", {}, body);
        ASSERT_TRUE(response) << describe(response.error());
        EXPECT_TRUE(response.value().body == body + body) << size;
    }
}

TEST(Client, ReadsRefusalsAndGoesOn) {
    const auto server = secured(echo);
    Client client{to(*server)};
    const auto refused = client.request("POST", "/info", {}, std::string((1 << 20) + 1, 'x'));
    if (refused) EXPECT_EQ(refused.value().status, 413u);
    EXPECT_EQ(client.request("POST", "/info", {}, std::string(1 << 20, 'x')).value().status, 200u);
    EXPECT_EQ(client.request("HEAD", "/info").value().body, "");
    EXPECT_EQ(client.request("GET", "/info").value().status, 200u);
}

TEST(Client, API_01_TrustsTheGivenCaAlone) {
    const auto server = secured(echo);
    auto endpoint = to(*server);
    endpoint.ca_pem = certificates().other_ca_pem();
    const auto response = Client{endpoint}.request("GET", "/info");
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, Errc::service_away);
    EXPECT_NE(response.error().detail.find("certificate"), std::string::npos) << response.error().detail;
}

TEST(Client, API_01_ChecksTheNameInTheCertificate) {
    const auto server = secured(echo);
    auto endpoint = to(*server);
    endpoint.server_name = "qscd.example";
    const auto response = Client{endpoint}.request("GET", "/info");
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, Errc::service_away);
    endpoint = to(*server, "127.0.0.1");
    endpoint.server_name = "localhost";
    EXPECT_TRUE(Client{endpoint}.request("GET", "/info"));
}

TEST(Client, NeedsACaThatCanBeRead) {
    const auto server = secured(echo);
    auto endpoint = to(*server);
    endpoint.ca_pem.reset();
    EXPECT_EQ(Client{endpoint}.request("GET", "/").error().code, Errc::configuration);
    endpoint.ca_pem = certificates().folder() / "none.pem";
    EXPECT_EQ(Client{endpoint}.request("GET", "/").error().code, Errc::configuration);
}

TEST(Client, SaysThatNobodyIsThere) {
    auto server = secured(echo);
    const auto endpoint = to(*server);
    Client client{endpoint, 2s};
    ASSERT_TRUE(client.request("GET", "/info"));
    server.reset();
    EXPECT_EQ(client.request("GET", "/info").error().code, Errc::service_away);
}

TEST(Client, GivesUpInTime) {
    std::mutex answering;
    std::unique_lock hold{answering};
    const auto server = secured([&](const Request& request) {
        const std::scoped_lock wait{answering};
        return echo(request);
    });
    Client client{to(*server), 200ms};
    const auto response = client.request("GET", "/info");
    hold.unlock();
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().code, Errc::service_away);
}

TEST(Client, SpeaksPlainHttpWhenAskedTo) {
    Settings settings;
    settings.handler = echo;
    const auto server = Server::start(std::move(settings)).value();
    Client client{Endpoint::from_url("http://127.0.0.1:" + std::to_string(server->port())).value()};
    const auto response = client.request("GET", "/crl/1.crl");
    ASSERT_TRUE(response) << describe(response.error());
    EXPECT_EQ(response.value().body, "GET /crl/1.crl ");
    EXPECT_EQ(response.value().header("strict-transport-security"), std::nullopt);
}

TEST(Client, SendsNothingThatWouldBreakALine) {
    const auto server = secured(echo);
    Client client{to(*server)};
    EXPECT_EQ(client.request("GET", "/", {{"X", "a\r\nY: b"}}).error().code, Errc::parameter_invalid);
    EXPECT_EQ(client.request("GET", "/", {{"X Y", "a"}}).error().code, Errc::parameter_invalid);
    EXPECT_EQ(client.request("GET", "/ x").error().code, Errc::parameter_invalid);
    EXPECT_EQ(client.request("GET /", "/").error().code, Errc::parameter_invalid);
}

TEST(Endpoint, IsReadFromAUrl) {
    const auto full = Endpoint::from_url("https://localhost:8443/csc/v2/").value();
    EXPECT_TRUE(full.tls);
    EXPECT_EQ(full.host, "localhost");
    EXPECT_EQ(full.port, 8443);
    EXPECT_EQ(full.base_path, "/csc/v2");
    const auto bare = Endpoint::from_url("HTTP://tsp.example").value();
    EXPECT_FALSE(bare.tls);
    EXPECT_EQ(bare.port, 80);
    EXPECT_EQ(bare.base_path, "");
    EXPECT_EQ(Endpoint::from_url("https://tsp.example").value().port, 443);
    const auto v6 = Endpoint::from_url("https://[::1]:9443").value();
    EXPECT_EQ(v6.host, "::1");
    EXPECT_EQ(v6.port, 9443);
}

TEST(Endpoint, RefusesWhatIsNoUrlOfOurs) {
    for (const auto* url : {"", "localhost", "ftp://a", "https://", "https:///x", "https://a:0", "https://a:70000",
                            "https://a:", "https://a:x", "https://u@a", "https://a?x", "https://a/#x", "https://a/?x",
                            "https://a b", "https://[::1", "https://a/ b"}) {
        const auto endpoint = Endpoint::from_url(url);
        ASSERT_FALSE(endpoint) << url;
        EXPECT_EQ(endpoint.error().code, Errc::configuration);
    }
}

}  // namespace
}  // namespace qscd::net
