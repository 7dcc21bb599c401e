#include "base/net/server.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <gtest/gtest.h>
#include <mutex>
#include <semaphore>
#include <thread>

#include "base/net/client.hpp"
#include "raw_connection.hpp"
#include "test_certificates.hpp"

namespace qscd::net {
namespace {

using namespace std::chrono_literals;

const TestCertificates& certificates() {
    static const TestCertificates once;
    return once;
}

// A server whose handler counts its calls and says what it was asked.
class TestServer {
public:
    explicit TestServer(Limits limits = {}, bool secured = false, Handler handler = {}) {
        Settings settings;
        settings.limits = limits;
        settings.io_threads = 2;
        settings.worker_threads = 4;
        if (secured) settings.tls = Tls{certificates().chain(), certificates().private_key()};
        settings.handler = [this, handler](const Request& request) {
            ++calls_;
            return handler
                       ? handler(request)
                       : Response{200, "text/plain", request.method + " " + request.target + " " + request.body, {}};
        };
        settings.on_refusal = [](unsigned status) {
            return Response{status, "application/json", R"({"error":"refused"})", {}};
        };
        auto started = Server::start(std::move(settings));
        if (!started) throw std::runtime_error{describe(started.error())};
        server_ = std::move(started).value();
    }
    std::uint16_t port() const { return server_->port(); }
    int calls() const { return calls_; }
    void stop() { server_->stop(); }
    Endpoint endpoint() const { return {.tls = false, .host = "127.0.0.1", .port = port()}; }

private:
    std::atomic<int> calls_ = 0;
    std::unique_ptr<Server> server_;
};

// Opens when told to; handlers wait before it.
class Gate {
public:
    void open() {
        const std::scoped_lock lock{mutex_};
        open_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock lock{mutex_};
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [this] { return open_; });
    }
    void wait_for_waiting(int count) {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return waiting_ >= count; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
    int waiting_ = 0;
};

std::string head(std::string_view fields, std::string_view line = "POST /csc/v2/info HTTP/1.1\r\nHost: localhost\r\n") {
    return std::string{line} + std::string{fields} + "\r\n";
}
// A head of exactly `size` bytes.
std::string head_of_size(std::size_t size) {
    const auto bare = head("X: \r\n").size();
    return head("X: " + std::string(size - bare, 'x') + "\r\n");
}

// What a client sends, then nothing more: the one answer, and after it the end of the connection.
std::string answer_to(const TestServer& server, std::string_view bytes) {
    RawConnection connection{server.port()};
    EXPECT_TRUE(connection.connected());
    connection.send(bytes);
    return connection.until_closed();
}

struct Attack {
    const char* name;
    unsigned status;
    std::string bytes;
};
const Attack attacks[] = {
    // Lengths.
    {"TwoLengthsThatDiffer", 400, head("Content-Length: 1\r\nContent-Length: 2\r\n") + "ab"},
    {"TwoEqualLengths", 400, head("Content-Length: 1\r\nContent-Length: 1\r\n") + "a"},
    {"ListOfLengths", 400, head("Content-Length: 1, 1\r\n") + "a"},
    {"SignedLength", 400, head("Content-Length: +1\r\n") + "a"},
    {"NegativeLength", 400, head("Content-Length: -1\r\n")},
    {"HexadecimalLength", 400, head("Content-Length: 0x1\r\n") + "a"},
    {"FractionalLength", 400, head("Content-Length: 1.0\r\n") + "a"},
    {"EmptyLength", 400, head("Content-Length:\r\n")},
    {"LengthWithABlankInside", 400, head("Content-Length: 1 1\r\n")},
    {"HugeLength", 413, head("Content-Length: 18446744073709551617\r\n") + "a"},
    {"LengthAndChunked", 400, head("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"},
    {"ChunkedAndLength", 400, head("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n"},
    // Codings.
    {"UnknownCoding", 400, head("Transfer-Encoding: xchunked\r\n") + "0\r\n\r\n"},
    {"UnknownCodingAndLength", 400, head("Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n") + "0\r\n\r\n"},
    {"ListOfCodings", 400, head("Transfer-Encoding: gzip, chunked\r\n") + "0\r\n\r\n"},
    {"ChunkedTwice", 400, head("Transfer-Encoding: chunked, chunked\r\n") + "0\r\n\r\n"},
    {"TwoCodingFields", 400, head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n"},
    {"QuotedCoding", 400, head("Transfer-Encoding: \"chunked\"\r\n") + "0\r\n\r\n"},
    {"EmptyCoding", 400, head("Transfer-Encoding:\r\n")},
    {"CodingWithVerticalTab", 400,
     head("Transfer-Encoding: \x0b"
          "chunked\r\n") +
         "0\r\n\r\n"},
    {"ChunkedInVersion10", 400, head("Transfer-Encoding: chunked\r\n", "POST / HTTP/1.0\r\nHost: a\r\n") + "0\r\n\r\n"},
    // Chunks.
    {"ChunkExtension", 400, head("Transfer-Encoding: chunked\r\n") + "1;a=b\r\na\r\n0\r\n\r\n"},
    {"ChunkExtensionOnTheLast", 400, head("Transfer-Encoding: chunked\r\n") + "1\r\na\r\n0;a\r\n\r\n"},
    {"ChunkTrailer", 400, head("Transfer-Encoding: chunked\r\n") + "1\r\na\r\n0\r\nX: y\r\n\r\n"},
    {"TrailerAnnounced", 400, head("Transfer-Encoding: chunked\r\nTrailer: X\r\n") + "0\r\n\r\n"},
    {"ChunkSizeOverflow", 400, head("Transfer-Encoding: chunked\r\n") + "0000000000000001\r\na\r\n0\r\n\r\n"},
    {"ChunkSizeWrapsAround", 413, head("Transfer-Encoding: chunked\r\n") + "10000000000000001\r\na\r\n0\r\n\r\n"},
    {"ChunkTooLarge", 413, head("Transfer-Encoding: chunked\r\n") + "100001\r\n"},
    {"ChunkSizeWithBlank", 400, head("Transfer-Encoding: chunked\r\n") + "1 \r\na\r\n0\r\n\r\n"},
    {"ChunkSizeWithPrefix", 400, head("Transfer-Encoding: chunked\r\n") + "0x1\r\na\r\n0\r\n\r\n"},
    {"ChunkLongerThanSaid", 400, head("Transfer-Encoding: chunked\r\n") + "1\r\nab\r\n0\r\n\r\n"},
    {"ChunkEndsInBareLineFeed", 400, head("Transfer-Encoding: chunked\r\n") + "1\r\na\n0\r\n\r\n"},
    {"ChunkSizeEndsInBareLineFeed", 400, head("Transfer-Encoding: chunked\r\n") + "1\na\r\n0\r\n\r\n"},
    // Lines.
    {"FoldedHeader", 400, head("X: a\r\n b\r\n")},
    {"FoldedHeaderByTab", 400, head("X: a\r\n\tb\r\n")},
    {"FoldBeforeTheFirstHeader", 400, "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n"},
    {"BareLineFeeds", 400, "GET / HTTP/1.1\nHost: localhost\n\n"},
    {"OneBareLineFeed", 400, head("X: a\nY: b\r\n")},
    {"BareCarriageReturn", 400, head("X: a\rY: b\r\n")},
    {"TwoCarriageReturns", 400, head("X: a\r\r\n")},
    {"EmptyLineFirst", 400, "\r\n" + head("")},
    {"NulInAValue", 400, head(std::string("X: a\0b\r\n", 8))},
    {"NulInAName", 400, head(std::string("X\0: a\r\n", 7))},
    {"ControlCharacter", 400, head("X: a\x01\r\n")},
    {"DeleteCharacter", 400, head("X: a\x7f\r\n")},
    {"ByteBeyondAscii", 400, head("X: \xc3\xa9\r\n")},
    {"BlankBeforeTheColon", 400, head("Content-Length : 1\r\n") + "a"},
    {"TabBeforeTheColon", 400, head("Content-Length\t: 1\r\n") + "a"},
    {"NoColon", 400, head("X\r\n")},
    {"NoName", 400, head(": x\r\n")},
    {"NameThatIsNoToken", 400, head("X(y): x\r\n")},
    // What must be there once.
    {"NoHost", 400, head("", "GET / HTTP/1.1\r\n")},
    {"TwoHosts", 400, head("Host: other\r\n")},
    {"TwoEqualHosts", 400, head("Host: localhost\r\n")},
    {"TwoHostsInVersion10", 400, head("Host: a\r\nhost: b\r\n", "GET / HTTP/1.0\r\n")},
    {"EmptyHost", 400, head("Host:\r\n", "GET / HTTP/1.1\r\n")},
    {"HostWithUser", 400, head("Host: user@localhost\r\n", "GET / HTTP/1.1\r\n")},
    {"HostWithPath", 400, head("Host: localhost/x\r\n", "GET / HTTP/1.1\r\n")},
    {"ListOfHosts", 400, head("Host: a, b\r\n", "GET / HTTP/1.1\r\n")},
    {"HostWithTwoPorts", 400, head("Host: a:1:2\r\n", "GET / HTTP/1.1\r\n")},
    {"TwoAuthorizations", 400, head("Authorization: Bearer a\r\nauthorization: Bearer a\r\n")},
    {"TwoContentTypes", 400, head("Content-Type: application/json\r\nContent-Type: text/plain\r\n")},
    {"TwoIdempotencyKeys", 400, head("Idempotency-Key: a\r\nIDEMPOTENCY-KEY: b\r\n")},
    {"UnknownExpectation", 417, head("Expect: 200-ok\r\n")},
    // Request lines.
    {"Version09", 400, "GET /\r\n\r\n"},
    {"Version12", 505, head("", "GET / HTTP/1.2\r\nHost: a\r\n")},
    {"Version20", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
    {"VersionInLowerCase", 400, head("", "GET / http/1.1\r\nHost: a\r\n")},
    {"VersionWithMoreDigits", 400, head("", "GET / HTTP/1.10\r\nHost: a\r\n")},
    {"TwoBlanks", 400, head("", "GET  / HTTP/1.1\r\nHost: a\r\n")},
    {"BlankBehindTheVersion", 400, head("", "GET / HTTP/1.1 \r\nHost: a\r\n")},
    {"TabInsteadOfBlank", 400, head("", "GET\t/\tHTTP/1.1\r\nHost: a\r\n")},
    {"MethodInLowerCase", 400, head("", "get / HTTP/1.1\r\nHost: a\r\n")},
    {"NoMethod", 400, head("", " / HTTP/1.1\r\nHost: a\r\n")},
    {"AbsoluteForm", 400, head("", "GET http://a/ HTTP/1.1\r\nHost: a\r\n")},
    {"AuthorityForm", 400, head("", "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n")},
    {"AsteriskForm", 400, head("", "OPTIONS * HTTP/1.1\r\nHost: a\r\n")},
    {"RelativeTarget", 400, head("", "GET x HTTP/1.1\r\nHost: a\r\n")},
    {"FragmentInTarget", 400, head("", "GET /#x HTTP/1.1\r\nHost: a\r\n")},
    {"QuoteInTarget", 400, head("", "GET /\"x HTTP/1.1\r\nHost: a\r\n")},
    {"BackslashInTarget", 400, head("", "GET /\\x HTTP/1.1\r\nHost: a\r\n")},
    {"BadEscapeInTarget", 400, head("", "GET /%2 HTTP/1.1\r\nHost: a\r\n")},
    {"NothingButTls", 400, std::string("\x16\x03\x01\x02\x00\x01", 6)},
    // Sizes.
    {"HeaderOneByteTooLarge", 431, head_of_size((8 << 10) + 1)},
    {"HeaderWithoutEnd", 431, head("").substr(0, head("").size() - 2) + "X: " + std::string(9 << 10, 'x')},
    {"TooManyFields", 431,
     [] {
         std::string fields;
         for (int i = 0; i < 64; ++i) fields += "X: y\r\n";
         return head(fields);
     }()},
    {"TargetOneByteTooLong", 414, head("", "GET /" + std::string(2 << 10, 'x') + " HTTP/1.1\r\nHost: a\r\n")},
    {"LineWithoutEnd", 414, "GET /" + std::string(9 << 10, 'x')},
    {"BodyOneByteTooLarge", 413, head("Content-Length: 1048577\r\n")},
};
struct BadBytes : ::testing::TestWithParam<Attack> {};
INSTANTIATE_TEST_SUITE_P(, BadBytes, ::testing::ValuesIn(attacks), [](const auto& test) { return test.param.name; });

// Behind the bytes comes a request that a confused server would take for one of its own.
TEST_P(BadBytes, API_04_AreRefusedAndTheConnectionCloses) {
    const TestServer server;
    const auto answer = answer_to(server, GetParam().bytes + "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(status_of(answer), GetParam().status) << answer;
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(answer.ends_with(R"({"error":"refused"})")) << answer;
    EXPECT_EQ(answer.find("HTTP/1.1", 1), std::string::npos) << "one answer only";
    EXPECT_EQ(server.calls(), 0);
}
TEST_P(BadBytes, API_04_AreRefusedWhenTheyComeOneByOneToo) {
    const TestServer server;
    RawConnection connection{server.port()};
    const std::string_view bytes = GetParam().bytes;
    for (std::size_t at = 0; at < std::min<std::size_t>(bytes.size(), 300); ++at) connection.send(bytes.substr(at, 1));
    if (bytes.size() > 300) connection.send(bytes.substr(300));
    EXPECT_EQ(status_of(connection.until_closed()), GetParam().status);
    EXPECT_EQ(server.calls(), 0);
}

TEST(Server, HandsOverWhatWasAsked) {
    Request seen;
    const TestServer server{{}, false, [&](const Request& request) {
                                seen = request;
                                return Response{201, "application/json", "{}", {{"Cache-Control", "no-store"}}};
                            }};
    RawConnection connection{server.port()};
    connection.send(
        "POST /csc/v2/credentials/list?a=%20b&c HTTP/1.1\r\nhOST: localhost:8443\r\nAuthorization:Bearer x\r\n"
        "X-Many: \t one, two \t\r\nx-many: three\r\nContent-Length: 5\r\n\r\nhello");
    const auto response = connection.response();
    EXPECT_EQ(
        response,
        "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 2\r\nCache-Control: no-store\r\n"
        "Connection: keep-alive\r\n\r\n{}");
    EXPECT_EQ(seen.method, "POST");
    EXPECT_EQ(seen.target, "/csc/v2/credentials/list?a=%20b&c");
    EXPECT_EQ(seen.path, "/csc/v2/credentials/list");
    EXPECT_EQ(seen.query, "a=%20b&c");
    EXPECT_EQ(seen.body, "hello");
    EXPECT_EQ(seen.peer, "127.0.0.1");
    EXPECT_EQ(seen.header("host"), "localhost:8443");
    EXPECT_EQ(seen.header("authorization"), "Bearer x");
    EXPECT_EQ(seen.header("x-many"), "one, two");
    EXPECT_EQ(seen.header("x-none"), std::nullopt);
    EXPECT_EQ(seen.headers.size(), 5u);
}

TEST(Server, API_04_ReadsChunksHoweverTheyArrive) {
    const TestServer server;
    RawConnection connection{server.port()};
    const auto bytes = head("Transfer-Encoding: Chunked\r\n") + "5\r\nhello\r\n06\r\n world\r\n0\r\n\r\n";
    for (const char c : bytes) connection.send({&c, 1});
    EXPECT_TRUE(connection.response().ends_with("POST /csc/v2/info hello world"));
    connection.send(bytes + bytes);
    EXPECT_TRUE(connection.response().ends_with("hello world"));
    EXPECT_TRUE(connection.response().ends_with("hello world"));
    EXPECT_EQ(server.calls(), 3);
}

TEST(Server, API_05_TheLargestHeaderTargetAndBodyAreTaken) {
    const TestServer server{
        {}, false, [](const Request& request) { return Response{.body = std::to_string(request.body.size())}; }};
    RawConnection connection{server.port()};
    connection.send(head_of_size(8 << 10));
    EXPECT_EQ(status_of(connection.response()), 200u);
    connection.send(head("", "GET /" + std::string((2 << 10) - 1, 'x') + " HTTP/1.1\r\nHost: a\r\n"));
    EXPECT_EQ(status_of(connection.response()), 200u);
    std::string fields;
    for (int i = 0; i < 63; ++i) fields += "X: y\r\n";
    connection.send(head(fields));
    EXPECT_EQ(status_of(connection.response()), 200u);
    connection.send(head("Content-Length: 1048576\r\n") + std::string(1 << 20, 'x'));
    EXPECT_TRUE(connection.response().ends_with("\r\n\r\n1048576"));
    connection.send(head("Transfer-Encoding: chunked\r\n") + "100000\r\n" + std::string(1 << 20, 'x') +
                    "\r\n0\r\n\r\n");
    EXPECT_TRUE(connection.response().ends_with("\r\n\r\n1048576"));
}

TEST(Server, API_05_AChunkedBodyOneByteTooLargeIsRefused) {
    const TestServer server;
    const auto answer = answer_to(server, head("Transfer-Encoding: chunked\r\n") + "100000\r\n" +
                                              std::string(1 << 20, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n");
    EXPECT_EQ(status_of(answer), 413u);
    EXPECT_EQ(server.calls(), 0);
}

TEST(Server, API_04_PipelinedRequestsAreAnsweredInOrder) {
    std::binary_semaphore overtaken{0};  // the first one gives the others time to come before it
    const TestServer server{{}, false, [&](const Request& request) {
                                if (request.path == "/1") overtaken.release();
                                if (request.path == "/0") EXPECT_FALSE(overtaken.try_acquire_for(50ms));
                                return Response{.body = request.path};
                            }};
    RawConnection connection{server.port()};
    std::string bytes;
    for (int i = 0; i < 200; ++i) bytes += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    connection.send(bytes);
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(connection.response().ends_with("\r\n\r\n/" + std::to_string(i)));
    EXPECT_EQ(server.calls(), 200);
}

TEST(Server, API_04_ARefusalEndsThePipeline) {
    const TestServer server;
    const auto answer = answer_to(server,
                                  "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"
                                  "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(status_of(answer), 200u);
    EXPECT_NE(answer.find("HTTP/1.1 400 Bad Request"), std::string::npos);
    EXPECT_EQ(answer.find("/3"), std::string::npos);
    EXPECT_EQ(server.calls(), 1);
}

TEST(Server, ClosesWhenAskedToAndAfterVersion10) {
    const TestServer server;
    for (const auto* bytes : {"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
        const auto answer = answer_to(server, bytes);
        EXPECT_EQ(status_of(answer), 200u);
        EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    }
}

TEST(Server, AnswersHeadAndNoContentWithoutABody) {
    const TestServer server{{}, false, [](const Request& request) {
                                return Response{.status = request.method == "HEAD" ? 200u : 204u, .body = "hello"};
                            }};
    const auto to_head = answer_to(server, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(to_head.ends_with("\r\n\r\n"));
    EXPECT_NE(to_head.find("Content-Length: 5\r\n"), std::string::npos);
    const auto no_content = answer_to(server, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(no_content.ends_with("\r\n\r\n"));
    EXPECT_EQ(no_content.find("Content-Length"), std::string::npos);
}

TEST(Server, SaysContinueToWhoWaitsForIt) {
    const TestServer server;
    RawConnection connection{server.port()};
    connection.send(head("Expect: 100-continue\r\nContent-Length: 5\r\n"));
    EXPECT_EQ(connection.response(), "HTTP/1.1 100 Continue\r\n\r\n");
    connection.send("hello");
    EXPECT_TRUE(connection.response().ends_with("hello"));
    connection.send(head("Expect: 100-continue\r\nContent-Length: 1048577\r\n"));
    EXPECT_EQ(status_of(connection.response()), 413u);  // before a byte of it is sent
    EXPECT_EQ(server.calls(), 1);
}

TEST(Server, API_05_SlowHeadersAndBodiesEndIn408) {
    const TestServer server{{.header_timeout = 150ms, .body_timeout = 150ms}};
    for (const auto& bytes : {std::string{"GET / HTTP/1.1\r\nHo"}, head("Content-Length: 5\r\n") + "hell",
                              head("Transfer-Encoding: chunked\r\n") + "5\r\nhell"}) {
        const auto answer = answer_to(server, bytes);
        EXPECT_EQ(status_of(answer), 408u);
        EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    }
    EXPECT_EQ(server.calls(), 0);
}

TEST(Server, API_05_AByteNowAndThenBuysNoTime) {
    const TestServer server{{.header_timeout = 200ms}};
    RawConnection connection{server.port()};
    const auto start = std::chrono::steady_clock::now();
    std::thread dripping{[&] {
        // The pauses are the attack itself: a sender that is always about to go on.
        for (int i = 0; i < 100 && connection.send("G"); ++i) std::this_thread::sleep_for(20ms);
    }};
    const auto answer = connection.response();
    EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
    EXPECT_EQ(status_of(answer), 408u);
    connection.end_sending();
    dripping.join();
}

TEST(Server, API_05_SilentConnectionsAreClosedWithoutAWord) {
    const TestServer server{{.header_timeout = 100ms, .idle_timeout = 100ms}};
    EXPECT_EQ(answer_to(server, ""), "");
    RawConnection connection{server.port()};
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(status_of(connection.response()), 200u);
    EXPECT_EQ(connection.until_closed(), "");
}

TEST(Server, API_05_OneConnectionTooManyIsClosed) {
    const TestServer server{{.connections = 2}};
    RawConnection first{server.port()}, second{server.port()};
    for (auto* connection : {&first, &second}) {
        connection->send(head(""));
        EXPECT_EQ(status_of(connection->response()), 200u);
    }
    EXPECT_EQ(answer_to(server, ""), "");
    second.send(head(""));
    EXPECT_EQ(status_of(second.response()), 200u);
}

TEST(Server, API_11_AFullQueueAnswers503AndSaysWhenToComeBack) {
    Gate gate;
    TestServer server{{.queued_requests = 1}, false, [&](const Request&) {
                          gate.wait();
                          return Response{};
                      }};
    std::vector<std::unique_ptr<RawConnection>> busy;
    for (int i = 0; i < 4; ++i) {  // one for each worker
        busy.push_back(std::make_unique<RawConnection>(server.port()));
        busy.back()->send(head(""));
        gate.wait_for_waiting(i + 1);
    }
    // Two more: one waits in the queue, the other is told to come back. Which is which, the scheduler says.
    RawConnection fifth{server.port()}, sixth{server.port()};
    fifth.send(head(""));
    sixth.send(head(""));
    std::mutex mutex;
    std::vector<unsigned> statuses;
    std::atomic<bool> told = false;
    const auto listen = [&](RawConnection& connection) {
        const auto response = connection.response();
        if (status_of(response) == 503) {
            EXPECT_NE(response.find("\r\nRetry-After: 1\r\n"), std::string::npos);
            EXPECT_NE(response.find("\r\nConnection: keep-alive\r\n"), std::string::npos);
            if (!told.exchange(true)) gate.open();
        }
        const std::scoped_lock lock{mutex};
        statuses.push_back(status_of(response));
    };
    std::thread one{[&] { listen(fifth); }}, other{[&] { listen(sixth); }};
    one.join();
    other.join();
    std::ranges::sort(statuses);
    EXPECT_EQ(statuses, (std::vector<unsigned>{200, 503}));
    for (auto& connection : busy) EXPECT_EQ(status_of(connection->response()), 200u);
}

TEST(Server, AHandlerThatTakesTooLongIsAnsweredFor) {
    Gate gate;
    const TestServer server{{.handler_timeout = 100ms}, false, [&](const Request&) {
                                gate.wait();
                                return Response{};
                            }};
    const auto answer = answer_to(server, head(""));
    EXPECT_EQ(status_of(answer), 504u);
    gate.open();
}

TEST(Server, AHandlerThatThrowsIsOurFault) {
    const TestServer server{{}, false, [](const Request&) -> Response { throw std::runtime_error{"secret detail"}; }};
    RawConnection connection{server.port()};
    connection.send(head(""));
    const auto response = connection.response();
    EXPECT_EQ(status_of(response), 500u);
    EXPECT_EQ(response.find("secret detail"), std::string::npos);
}

TEST(Server, API_04_AResponseCannotBeSplit) {
    for (const auto& header : Headers{{"Location", "/x\r\nSet-Cookie: a=b"},
                                      {"X\r\nY", "z"},
                                      {"X", std::string(1, '\0')},
                                      {"Content-Length", "7"},
                                      {"Transfer-Encoding", "chunked"},
                                      {"connection", "x"}}) {
        const TestServer server{{}, false, [&](const Request&) { return Response{.headers = {header}}; }};
        const auto answer = answer_to(server, head("Connection: close\r\n"));
        EXPECT_EQ(status_of(answer), 500u);
        EXPECT_EQ(answer.find("Set-Cookie"), std::string::npos);
    }
}

TEST(Server, ServesManyConnectionsAtOnce) {
    const TestServer server;
    std::atomic<int> good = 0;
    std::vector<std::thread> people;
    for (int person = 0; person < 16; ++person) {
        people.emplace_back([&] {
            std::vector<std::unique_ptr<RawConnection>> connections;
            for (int i = 0; i < 12; ++i) connections.push_back(std::make_unique<RawConnection>(server.port()));
            for (int round = 0; round < 5; ++round) {
                for (auto& connection : connections) connection->send(head("Content-Length: 2\r\n") + "hi");
                for (auto& connection : connections) good += connection->response().ends_with("/csc/v2/info hi");
            }
        });
    }
    for (auto& person : people) person.join();
    EXPECT_EQ(good, 16 * 12 * 5);
}

TEST(Server, StopLetsARunningHandlerFinishAndItsAnswerBeRead) {
    Gate gate;
    TestServer server{{}, false, [&](const Request&) {
                          gate.wait();
                          return Response{.body = "done"};
                      }};
    RawConnection busy{server.port()}, idle{server.port()}, half{server.port()};
    idle.send("");
    half.send("GET / HT");
    busy.send(head(""));
    gate.wait_for_waiting(1);
    std::thread stopping{[&] { server.stop(); }};
    EXPECT_EQ(idle.until_closed(), "");
    EXPECT_EQ(half.until_closed(), "");
    gate.open();
    const auto response = busy.until_closed();
    EXPECT_TRUE(response.ends_with("\r\n\r\ndone")) << response;
    EXPECT_NE(response.find("\r\nConnection: close\r\n"), std::string::npos);
    stopping.join();
    EXPECT_FALSE(RawConnection{server.port()}.connected());
    server.stop();
}

TEST(Server, StopsAtOnceAfterAnAnswer) {
    for (int round = 0; round < 200; ++round) {
        TestServer server{{.close_timeout = 20ms}};
        RawConnection connection{server.port()};
        connection.send(head(""));
        EXPECT_EQ(status_of(connection.response()), 200u);
        const auto start = std::chrono::steady_clock::now();
        server.stop();
        EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);  // idle_timeout is 60 s
    }
}

TEST(Server, StopsUnderLoad) {
    for (int round = 0; round < 20; ++round) {
        TestServer server{{}, round % 2 == 0};
        std::vector<std::thread> people;
        for (int person = 0; person < 4; ++person) {
            people.emplace_back([&] {
                auto endpoint = server.endpoint();
                endpoint.tls = round % 2 == 0;
                endpoint.ca_pem = certificates().ca_pem();
                Client client{endpoint, 5s};
                while (client.request("GET", "/")) {}
            });
        }
        while (server.calls() < 20) std::this_thread::yield();
        server.stop();
        for (auto& person : people) person.join();
    }
}

TEST(Server, RefusesSettingsThatCannotBe) {
    const auto start = [](const std::function<void(Settings&)>& change) {
        Settings settings;
        settings.handler = [](const Request&) { return Response{}; };
        change(settings);
        return Server::start(std::move(settings));
    };
    const auto refused = [&](const std::function<void(Settings&)>& change, const std::string& named) {
        const auto server = start(change);
        ASSERT_FALSE(server);
        EXPECT_EQ(server.error().code, Errc::configuration);
        EXPECT_NE(server.error().detail.find(named), std::string::npos) << server.error().detail;
    };
    const TestServer other;
    const auto& files = certificates();
    refused([](Settings& s) { s.address = "localhost"; }, "localhost");
    refused([&](Settings& s) { s.port = other.port(); }, std::to_string(other.port()));
    refused([&](Settings& s) { s.tls = Tls{files.folder() / "none.pem", files.private_key()}; }, "none.pem");
    refused([&](Settings& s) { s.tls = Tls{files.chain(), files.folder() / "none.key"}; }, "none.key");
    refused([&](Settings& s) { s.tls = Tls{files.chain(), files.other_private_key()}; }, "other.key");
    EXPECT_TRUE(start([](Settings&) {}));
}

// ---- TLS

SslContext client_of(int newest, const char* ciphers = nullptr) {
    SslContext context{SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_max_proto_version(context.get(), newest);
    if (ciphers) SSL_CTX_set_ciphersuites(context.get(), ciphers);
    return context;
}

TEST(TlsServer, API_01_SpeaksVersion13WithTheListedCiphersAlone) {
    const TestServer server{{}, true};
    for (const auto* cipher : {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"}) {
        const auto context = client_of(TLS1_3_VERSION, cipher);
        RawConnection connection{server.port()};
        ASSERT_TRUE(connection.secure(*context)) << cipher;
        EXPECT_EQ(SSL_version(connection.tls()), TLS1_3_VERSION);
        EXPECT_EQ(SSL_get_max_early_data(connection.tls()), 0u);
        connection.send(head(""));
        const auto response = connection.response();
        EXPECT_EQ(status_of(response), 200u);
        EXPECT_NE(response.find("\r\nStrict-Transport-Security: max-age=31536000\r\n"), std::string::npos);
    }
    const auto other = client_of(TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256");
    RawConnection connection{server.port()};
    EXPECT_FALSE(connection.secure(*other));
}

TEST(TlsServer, API_01_RefusesOlderVersionsAndPlainText) {
    const TestServer server{{}, true};
    for (const int version : {TLS1_2_VERSION, TLS1_1_VERSION}) {
        const auto context = client_of(version);
        RawConnection connection{server.port()};
        EXPECT_FALSE(connection.secure(*context));
    }
    EXPECT_EQ(status_of(answer_to(server, head(""))), 0u);
    EXPECT_EQ(server.calls(), 0);
}

TEST(TlsServer, API_01_RefusesAClientThatWantsAnotherProtocol) {
    const TestServer server{{}, true};
    const auto secured_with = [&](std::string_view protocols) {
        const auto context = client_of(TLS1_3_VERSION);
        SSL_CTX_set_alpn_protos(context.get(), view_of(protocols).data(), static_cast<unsigned>(protocols.size()));
        RawConnection connection{server.port()};
        return connection.secure(*context);
    };
    EXPECT_TRUE(secured_with("\x02h2\x08http/1.1"));
    EXPECT_FALSE(secured_with("\x02h2"));
}

TEST(TlsServer, API_05_ASilentHandshakeIsCut) {
    const TestServer server{{.header_timeout = 100ms}, true};
    EXPECT_EQ(answer_to(server, ""), "");
    EXPECT_EQ(answer_to(server, std::string("\x16\x03\x01\x02\x00\x01", 6)), "");
}

TEST(TlsServer, API_04_RefusesBadBytesAndSlowOnesToo) {
    const TestServer server{{.header_timeout = 200ms}, true};
    const auto context = client_of(TLS1_3_VERSION);
    const std::pair<unsigned, std::string> cases[] = {
        {400, head("Content-Length: 1\r\nContent-Length: 1\r\n") + "a"},
        {431, head_of_size((8 << 10) + 1)},
        {408, "GET / HTTP/1.1\r\nHo"},
        {413, head("Content-Length: 1048577\r\n") + std::string(1 << 20, 'x')},  // still sending when refused
    };
    for (const auto& [status, bytes] : cases) {
        RawConnection connection{server.port()};
        ASSERT_TRUE(connection.secure(*context));
        connection.send(bytes);
        EXPECT_EQ(status_of(connection.until_closed()), status);
    }
    EXPECT_EQ(server.calls(), 0);
}

TEST(TlsServer, PipelinedRequestsAndLargeBodiesPassThroughRecords) {
    const TestServer server{{}, true};
    const auto context = client_of(TLS1_3_VERSION);
    RawConnection connection{server.port()};
    ASSERT_TRUE(connection.secure(*context));
    std::string bytes;
    for (int i = 0; i < 50; ++i) {
        const auto body = std::to_string(i) + std::string(static_cast<std::size_t>(i) * 1000, 'x');
        bytes += head("Content-Length: " + std::to_string(body.size()) + "\r\n") + body;
    }
    std::thread sending{[&] { connection.send(bytes); }};
    sending.join();
    for (int i = 0; i < 50; ++i)
        EXPECT_TRUE(connection.response().ends_with(" " + std::to_string(i) +
                                                    std::string(static_cast<std::size_t>(i) * 1000, 'x')));
}

}  // namespace
}  // namespace qscd::net
