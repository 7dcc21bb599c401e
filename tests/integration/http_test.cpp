// Messages that two readers could read differently, over a raw TLS socket to the real gateway: refused, the connection
// closed, and nothing that was smuggled behind them is carried out.
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "tests/integration/refusal.hpp"
#include "tests/unit/base/net/raw_connection.hpp"

namespace qscd::integration {
namespace {

using testing::HasSubstr;

[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage);

class RawTls : public testing::Test {
protected:
    static std::uint16_t port() { return Stage::cast().deployment.settings().api.port; }
    static SslContext context(int newest = TLS1_3_VERSION) {
        SslContext out{SSL_CTX_new(TLS_client_method())};
        SSL_CTX_set_max_proto_version(out.get(), newest);
        SSL_CTX_set_verify(out.get(), SSL_VERIFY_PEER, nullptr);
        SSL_CTX_load_verify_locations(out.get(), Stage::cast().deployment.in("tls/ca.pem").c_str(), nullptr);
        return out;
    }
    // Sends all of it and reads to the end of the connection.
    static std::string exchange(const std::string& bytes) {
        const auto tls = context();
        net::RawConnection connection{port()};
        require(connection.connected() && connection.secure(*tls), "TLS");
        connection.send(bytes);
        return connection.until_closed();
    }
    static std::string host() { return "Host: localhost:" + std::to_string(port()) + "\r\n"; }

    // A signHash that is good in every way: carried out, it would make a signature.
    static std::string good_request(const std::string& sad, const std::string& more = {}) {
        auto& cast = Stage::cast();
        const auto body = boost::json::serialize(SigningRequest{cast.anna_qscd.id, sad, {hash_numbered(1)}}.body());
        return "POST /csc/v2/signatures/signHash HTTP/1.1\r\n" + host() + "Authorization: Bearer " +
               cast.portal_1.token() + "\r\nContent-Type: application/json\r\n" + more +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
};

struct Bad {
    std::string name;
    unsigned status;
    std::string bytes;  // {host} stands for the header line, {good} for a good signHash
};
std::ostream& operator<<(std::ostream& out, const Bad& each) { return out << each.name; }

std::string filled(std::string text, std::string_view mark, const std::string& value) {
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + value.size()))
        text.replace(at, mark.size(), value);
    return text;
}

class Smuggling : public RawTls, public testing::WithParamInterface<Bad> {};

TEST_P(Smuggling, IsRefusedAndTheSigningRequestBehindItHasNoEffect) {
    auto& cast = Stage::cast();
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)});
    const Evidence evidence{cast.deployment};
    const auto bytes = filled(filled(GetParam().bytes, "{host}", host()), "{good}", good_request(sad));
    const auto answer = exchange(bytes);
    EXPECT_EQ(net::status_of(answer), GetParam().status) << answer;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "one answer, then the connection is closed: " << answer;
    if (GetParam().status >= 400) {
        EXPECT_THAT(answer, HasSubstr("\"error\":\"invalid_request\""));
        const auto lines = evidence.gateway();
        ASSERT_EQ(lines.size(), 1U);
        EXPECT_EQ(lines[0].event, "request-refused");
        EXPECT_EQ(lines[0].status, std::to_string(GetParam().status));
    }
    EXPECT_EQ(evidence.intents(), 0U);
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {hash_numbered(1)}}).status, 200U)
        << "the token was not used";
}

const std::string to_info = "POST /csc/v2/info HTTP/1.1\r\n", as_json = "Content-Type: application/json\r\n";
INSTANTIATE_TEST_SUITE_P(
    All, Smuggling,
    testing::Values(
        Bad{"TwoLengths", 400,
            to_info + "{host}" + as_json + "Content-Length: 2\r\nContent-Length: 30\r\n\r\n{}{good}"},
        Bad{"TwoEqualLengths", 400,
            to_info + "{host}" + as_json + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}{good}"},
        Bad{"LengthList", 400, to_info + "{host}" + as_json + "Content-Length: 2, 2\r\n\r\n{}{good}"},
        Bad{"SignedLength", 400, to_info + "{host}" + as_json + "Content-Length: +2\r\n\r\n{}{good}"},
        Bad{"NegativeLength", 400, to_info + "{host}" + as_json + "Content-Length: -2\r\n\r\n{}{good}"},
        Bad{"HexLength", 400, to_info + "{host}" + as_json + "Content-Length: 0x2\r\n\r\n{}{good}"},
        Bad{"LengthAndChunked", 400,
            to_info + "{host}" + as_json + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{good}"},
        Bad{"ChunkedAndLength", 400,
            to_info + "{host}" + as_json + "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n{good}"},
        Bad{"UnknownCoding", 400, to_info + "{host}" + as_json + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{good}"},
        Bad{"TwoCodings", 400,
            to_info + "{host}" + as_json + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n{good}"},
        Bad{"CodingTwice", 400,
            to_info + "{host}" + as_json +
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{good}"},
        Bad{"BlankBeforeColon", 400, to_info + "{host}" + as_json + "Content-Length : 2\r\n\r\n{}{good}"},
        Bad{"FoldedHeader", 400,
            to_info + "{host}" + as_json + "X-Long: one\r\n two\r\nContent-Length: 2\r\n\r\n{}{good}"},
        Bad{"FoldedLength", 400, to_info + "{host}" + as_json + "Content-Length:\r\n 2\r\n\r\n{}{good}"},
        Bad{"NoHost", 400, to_info + as_json + "Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"TwoHosts", 400, to_info + "{host}{host}" + as_json + "Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"TwoDifferentHosts", 400,
            to_info + "{host}Host: elsewhere.example\r\n" + as_json + "Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"TwoAuthorizations", 400,
            to_info + "{host}Authorization: Bearer a\r\nAuthorization: Bearer b\r\n" + as_json +
                "Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"TwoIdempotencyKeys", 400,
            to_info + "{host}Idempotency-Key: a\r\nIdempotency-Key: a\r\n" + as_json +
                "Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"BareLineFeeds", 400, "POST /csc/v2/info HTTP/1.1\n{host}Content-Length: 2\n\n{}{good}"},
        Bad{"OneBareLineFeed", 400, to_info + "{host}X: 1\nContent-Length: 2\r\n\r\n{}{good}"},
        Bad{"BareCarriageReturn", 400, to_info + "{host}X: 1\rY: 2\r\nContent-Length: 2\r\n\r\n{}{good}"},
        Bad{"NulInHeader", 400,
            to_info + "{host}X: a" + std::string(1, '\0') + "b\r\nContent-Length: 2\r\n\r\n{}{good}"},
        Bad{"ChunkExtension", 400,
            to_info + "{host}" + as_json + "Transfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\n\r\n{good}"},
        Bad{"ChunkSizeWithBlank", 400,
            to_info + "{host}" + as_json + "Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n{good}"},
        Bad{"ChunkWithBareLineFeed", 400,
            to_info + "{host}" + as_json + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n{good}"},
        Bad{"ChunkLongerThanSaid", 400,
            to_info + "{host}" + as_json + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n{good}"},
        Bad{"ChunkSizeOverflow", 413,
            to_info + "{host}" + as_json +
                "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff2\r\n{}\r\n0\r\n\r\n{good}"},
        Bad{"Trailer", 400,
            to_info + "{host}" + as_json + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n{good}"},
        Bad{"EmptyLineFirst", 400, "\r\n{good}"},
        Bad{"AbsoluteTarget", 400,
            "POST https://localhost/csc/v2/info HTTP/1.1\r\n{host}" + as_json + "Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"BlankInTarget", 400,
            "POST /csc/v2/info x HTTP/1.1\r\n{host}" + as_json + "Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"Http2Preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{good}"},
        Bad{"HeaderTooLarge", 431,
            to_info + "{host}X: " + std::string(8 << 10, 'x') + "\r\nContent-Length: 2\r\n\r\n{}{good}"},
        Bad{"TargetTooLong", 414,
            "POST /" + std::string(3 << 10, 'x') + " HTTP/1.1\r\n{host}Content-Length: 2\r\n\r\n{}{good}"},
        Bad{"BodyTooLarge", 413, to_info + "{host}" + as_json + "Content-Length: 1048577\r\n\r\n{good}"},
        Bad{"BodyImmense", 413,
            to_info + "{host}" + as_json + "Content-Length: 99999999999999999999999999\r\n\r\n{good}"}),
    [](const auto& each) { return each.param.name; });

TEST_F(RawTls, TheRequestUsedAboveIsGood) {
    auto& cast = Stage::cast();
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)});
    EXPECT_EQ(net::status_of(exchange(good_request(sad, "Connection: close\r\n"))), 200U);
}

TEST_F(RawTls, ABodyOfExactlyTheLimitIsRead) {
    const std::string body = "{\"x\":\"" + std::string((1 << 20) - 8, 'x') + "\"}";
    ASSERT_EQ(body.size(), 1U << 20U);
    EXPECT_EQ(net::status_of(exchange(to_info + host() + as_json + "Connection: close\r\nContent-Length: " +
                                      std::to_string(body.size()) + "\r\n\r\n" + body)),
              200U);
}

TEST_F(RawTls, TwoGoodRequestsInARowAreTwoSignatures) {
    auto& cast = Stage::cast();
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1), hash_numbered(1)});
    const auto tls = context();
    net::RawConnection connection{port()};
    ASSERT_TRUE(connection.secure(*tls));
    const Evidence evidence{cast.deployment};
    ASSERT_TRUE(connection.send(good_request(sad) + good_request(sad)));
    EXPECT_EQ(net::status_of(connection.response()), 200U);
    EXPECT_EQ(net::status_of(connection.response()), 200U);
    EXPECT_EQ(evidence.intents(), 2U);
}

TEST_F(RawTls, ARequestThatEndsTooEarlySignsNothing) {
    auto& cast = Stage::cast();
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)});
    const Evidence evidence{cast.deployment};
    const auto whole = good_request(sad);
    const auto tls = context();
    net::RawConnection connection{port()};
    ASSERT_TRUE(connection.secure(*tls));
    ASSERT_TRUE(connection.send(whole.substr(0, whole.size() - 1)));
    connection.end_sending();
    EXPECT_NE(net::status_of(connection.until_closed()), 200U);
    EXPECT_EQ(evidence.intents(), 0U);
}

TEST_F(RawTls, SpeaksTls13Alone) {
    const auto older = context(TLS1_2_VERSION);
    net::RawConnection refused{port()};
    EXPECT_FALSE(refused.secure(*older) && refused.send("GET /health/live HTTP/1.1\r\n\r\n") && refused.receive());
    const auto newest = context();
    net::RawConnection accepted{port()};
    ASSERT_TRUE(accepted.secure(*newest));
    EXPECT_STREQ(SSL_get_version(accepted.tls()), "TLSv1.3");
}

TEST_F(RawTls, PlainHttpIsNotAnswered) {
    net::RawConnection plain{port()};
    ASSERT_TRUE(plain.connected());
    plain.send("GET /health/live HTTP/1.1\r\n" + host() + "\r\n");
    EXPECT_THAT(plain.until_closed(), testing::Not(HasSubstr("HTTP/1.1 200")));
}

}  // namespace
}  // namespace qscd::integration
