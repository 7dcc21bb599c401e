#include "base/net/server.hpp"

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/diagnostics.hpp"
#include "base/net/chunked_body.hpp"
#include "base/net/request_head.hpp"
#include "base/net/response_text.hpp"
#include "base/net/syntax.hpp"
#include "base/net/tls_context.hpp"
#include "base/net/worker_pool.hpp"
#include "base/secret.hpp"

namespace qscd::net {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using std::chrono::milliseconds;
using Plain = tcp::socket;
using Secured = asio::ssl::stream<tcp::socket>;

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);
constexpr unsigned no_refusal = 0;

// What all connections of one server share.
struct Shared {
    explicit Shared(Settings from) : settings(std::move(from)) {}
    Response refusal(unsigned status) const {
        Response out;
        if (settings.on_refusal) out = settings.on_refusal(status);
        else out = Response{.content_type = "text/plain", .body = std::string{reason_of(status)} + "\n"};
        out.status = status;
        return out;
    }
    const Settings settings;
    std::atomic<bool> stopping = false;
};

// Tokens, PINs: what came in leaves no copy behind.
void wipe_all(Request& request) {
    for (auto& header : request.headers) wipe(header.second);
    wipe(request.target);
    wipe(request.query);
    wipe(request.body);
}

class AnyConnection : public std::enable_shared_from_this<AnyConnection> {
public:
    virtual ~AnyConnection() = default;
    virtual void stop() = 0;  // from any thread
};

// One connection: its coroutine runs on the socket's strand. The only other visitors of that strand are the deadline,
// stop() and a worker that brings a response.
template <class Stream>
class Connection final : public AnyConnection {
public:
    Connection(Stream stream, std::string peer, const Shared& shared, WorkerPool& workers)
        : stream_(std::move(stream)),
          deadline_(stream_.get_executor()),
          peer_(std::move(peer)),
          shared_(shared),
          limits_(shared.settings.limits),
          workers_(workers),
          buffer_(limits_.header_bytes) {}
    ~Connection() override { ::explicit_bzero(buffer_.data(), buffer_.size()); }

    asio::awaitable<void> run() {
        const auto self = shared_from_this();
        boost::system::error_code ignored;
        const tcp::no_delay no_delay{true};
        socket().set_option(no_delay, ignored);
        arm(limits_.header_timeout);
        if (co_await open()) {
            bool more = true;
            while (more) more = co_await exchange();
            co_await close();
        }
        disarm();
        socket().close(ignored);
    }

    void stop() override {
        asio::post(stream_.get_executor(), [this, self = shared_from_this()] {
            if (!answering_) expire();
        });
    }

private:
    static constexpr bool tls = std::is_same_v<Stream, Secured>;
    tcp::socket& socket() {
        if constexpr (tls) return stream_.next_layer();
        else return stream_;
    }

    // The deadline ends whatever operation is pending, again and again until disarmed: one cancel may fall between the
    // two reads of one TLS record.
    void arm(milliseconds time) {
        if (expired_ && shared_.stopping) return;
        expired_ = false;
        wait(time, ++generation_);
    }
    void disarm() {
        ++generation_;
        deadline_.cancel();
    }
    void expire() {
        expired_ = true;
        boost::system::error_code ignored;
        socket().cancel(ignored);
        wait(milliseconds{50}, ++generation_);
    }
    void wait(milliseconds time, unsigned generation) {
        deadline_.expires_after(time);
        deadline_.async_wait([this, weak = weak_from_this(), generation](boost::system::error_code error) {
            const auto self = weak.lock();
            if (self && !error && generation == generation_) expire();
        });
    }

    asio::awaitable<bool> open() {
        if constexpr (tls) {
            const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, awaited);
            co_return !error;
        }
        co_return true;
    }

    std::string_view received() const { return {buffer_.data(), filled_}; }

    // Reads what has come into the free part of the buffer. False: the other end is done, or the deadline has passed.
    asio::awaitable<bool> fill() {
        if (expired_) co_return false;
        const auto free = asio::buffer(buffer_.data() + filled_, buffer_.size() - filled_);
        const auto [error, size] = co_await stream_.async_read_some(free, awaited);
        filled_ += size;
        co_return !error && !expired_;
    }
    void consume(std::size_t size) {
        std::memmove(buffer_.data(), buffer_.data() + size, filled_ - size);
        ::explicit_bzero(buffer_.data() + filled_ - size, size);
        filled_ -= size;
    }

    // One request and its answer. False: close the connection.
    asio::awaitable<bool> exchange() {
        if (filled_ == 0) {
            if (!first_) arm(limits_.idle_timeout);
            const bool more = co_await fill();
            if (!more || shared_.stopping) co_return false;
        }
        if (!first_) arm(limits_.header_timeout);
        first_ = false;

        HeadEnd end;
        std::size_t scanned = 0;
        while (true) {
            end = find_head_end(received(), scanned, limits_);
            if (end.refusal != no_refusal || end.size > 0) break;
            const bool more = co_await fill();
            if (more) continue;
            if (!expired_ || shared_.stopping) co_return false;
            end.refusal = 408;
            break;
        }
        if (end.refusal != no_refusal) co_return co_await refuse(end.refusal);
        const auto framing = check_head(received().substr(0, end.size), limits_);
        if (framing.refusal != no_refusal) co_return co_await refuse(framing.refusal);
        auto request = std::make_shared<Request>();
        const bool read = read_head(received().substr(0, end.size), *request);
        if (!read) co_return co_await refuse(400);
        consume(end.size);

        arm(limits_.body_timeout);
        const unsigned refusal = co_await read_body(framing, request->body);
        if (refusal == connection_lost) co_return false;
        if (refusal != no_refusal) {
            wipe_all(*request);
            co_return co_await refuse(refusal);
        }
        answering_ = true;
        Framed framed{
            .tls = tls, .keeps_connection = framing.keeps_connection, .answers_head = request->method == "HEAD"};
        auto response = co_await answer(std::move(request));
        if (shared_.stopping || response.status == 504) framed.keeps_connection = false;
        const bool written = co_await write(std::move(response), framed);
        answering_ = false;
        co_return written&& framed.keeps_connection && !shared_.stopping;  // stop() may have come meanwhile
    }

    // The bytes are checked, so the parser can only agree. If it does not, the request is not taken.
    bool read_head(std::string_view head, Request& request) const {
        http::request_parser<http::empty_body> parser;
        parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes + 1));
        parser.body_limit(boost::none);
        boost::system::error_code error;
        const auto bytes = asio::buffer(head.data(), head.size());
        parser.put(bytes, error);
        if ((error && error != http::error::need_more) || !parser.is_header_done()) return false;
        const auto& message = parser.get();
        request.method = std::string{message.method_string()};
        request.target = std::string{message.target()};
        const auto mark = request.target.find('?');
        request.path = request.target.substr(0, mark);
        if (mark != std::string::npos) request.query = request.target.substr(mark + 1);
        for (const auto& field : message) request.headers.emplace_back(lower(field.name_string()), field.value());
        request.peer = peer_;
        return true;
    }

    static constexpr unsigned connection_lost = 1;
    asio::awaitable<unsigned> read_body(const Framing& framing, std::string& body) {
        if (!framing.chunked && framing.content_length == 0) co_return no_refusal;
        if (framing.expects_continue && filled_ == 0) {
            static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            const auto bytes = asio::buffer(go_on);
            const auto [error, size] = co_await asio::async_write(stream_, bytes, awaited);
            if (error) co_return connection_lost;
        }
        ChunkedBody chunks{limits_.body_bytes};
        // A declared length alone gets no memory for its million bytes.
        body.reserve(std::min<std::size_t>(framing.content_length, 64 << 10));
        while (true) {
            if (framing.chunked) {
                const auto taken = chunks.take(received(), body);
                consume(taken);
                if (chunks.refusal() != no_refusal) co_return chunks.refusal();
                if (chunks.complete()) co_return no_refusal;
            } else {
                const auto part = std::min(framing.content_length - body.size(), filled_);
                body.append(received().substr(0, part));
                consume(part);
                if (body.size() == framing.content_length) co_return no_refusal;
            }
            const bool more = co_await fill();
            if (!more) co_return expired_ && !shared_.stopping ? 408u : connection_lost;
        }
    }

    struct Pending {
        explicit Pending(const asio::any_io_executor& executor) : done(executor) {}
        asio::steady_timer done;
        std::optional<Response> response;
    };
    asio::awaitable<Response> answer(std::shared_ptr<Request> request) {
        disarm();
        const auto pending = std::make_shared<Pending>(stream_.get_executor());
        pending->done.expires_after(limits_.handler_timeout);
        const bool accepted = workers_.submit([this, self = shared_from_this(), request, pending] {
            auto response = std::make_shared<Response>(handle(*request));
            wipe_all(*request);
            asio::post(stream_.get_executor(), [self, pending, response] {
                pending->response = std::move(*response);
                pending->done.cancel();
            });
        });
        if (!accepted) {
            wipe_all(*request);
            auto busy = shared_.refusal(503);
            busy.headers.emplace_back("Retry-After", "1");
            co_return busy;
        }
        request.reset();
        while (!pending->response) {
            const auto [error] = co_await pending->done.async_wait(awaited);
            if (!error && !pending->response) co_return shared_.refusal(504);
        }
        co_return std::move(*pending->response);
    }
    Response handle(const Request& request) const {
        if (shared_.stopping) return shared_.refusal(503);
        try {
            return shared_.settings.handler(request);
        } catch (const std::exception& error) {
            note(Level::alarm, "http handler failed", {{"path", request.path}, {"reason", error.what()}});
        } catch (...) {
            note(Level::alarm, "http handler failed", {{"path", request.path}});
        }
        return shared_.refusal(500);
    }

    asio::awaitable<bool> write(Response response, Framed framed) {
        auto head = head_of(response, framed);
        if (!head) {
            note(Level::alarm, "http response cannot be sent", {{"status", std::to_string(response.status)}});
            response = Response{.status = 500};
            head = head_of(response, framed);
        }
        arm(limits_.write_timeout);
        std::array<asio::const_buffer, 2> bytes{asio::buffer(*head)};
        if (has_body(response, framed)) bytes[1] = asio::buffer(response.body);
        const auto [error, size] = co_await asio::async_write(stream_, bytes, awaited);
        co_return !error;
    }

    asio::awaitable<bool> refuse(unsigned status) {
        answering_ = true;  // stop() lets it be read
        const Framed framed{.tls = tls, .keeps_connection = false};
        auto response = shared_.refusal(status);
        co_await write(std::move(response), framed);
        answering_ = false;
        co_return false;
    }

    // Says goodbye and reads on for a while: closing with unread bytes would reset the connection, and the other end
    // might never see the answer [RFC 9112, 9.6]. A server that stops waits less long.
    asio::awaitable<void> close() {
        expired_ = false;
        const auto patience = shared_.stopping ? limits_.close_timeout / 10 : limits_.close_timeout;
        wait(patience, ++generation_);
        answering_ = true;
        if constexpr (tls) co_await stream_.async_shutdown(awaited);
        boost::system::error_code error;
        socket().shutdown(tcp::socket::shutdown_send, error);
        const auto scratch = asio::buffer(buffer_);
        for (std::size_t drained = 0; !error && !expired_ && drained < most_drained;) {
            const auto [read_error, size] = co_await socket().async_read_some(scratch, awaited);
            error = read_error;
            drained += size;
        }
    }
    static constexpr std::size_t most_drained = 4 << 20;

    Stream stream_;
    asio::steady_timer deadline_;
    const std::string peer_;
    const Shared& shared_;
    const Limits& limits_;
    WorkerPool& workers_;
    std::vector<char> buffer_;  // as large as a head may be; never grows, so no copy stays behind
    std::size_t filled_ = 0;
    unsigned generation_ = 0;
    bool first_ = true, expired_ = false;
    bool answering_ = false;  // a handler runs or an answer is on its way: stop() waits for it
};

}  // namespace

class Server::Impl {
public:
    Impl(Settings settings, std::optional<asio::ssl::context> tls)
        : shared_(std::move(settings)),
          tls_(std::move(tls)),
          context_(static_cast<int>(std::max(1u, shared_.settings.io_threads))),
          strand_(asio::make_strand(context_)),
          acceptor_(strand_),
          pause_(strand_),
          work_(context_.get_executor()),
          workers_(std::in_place, std::max(1u, shared_.settings.worker_threads),
                   shared_.settings.limits.queued_requests) {}
    ~Impl() { stop(); }

    Result<void> listen() {
        const auto& settings = shared_.settings;
        const auto failed = [&](const boost::system::error_code& error) {
            return Error{Errc::configuration,
                         settings.address + " port " + std::to_string(settings.port) + ": " + error.message()};
        };
        boost::system::error_code error;
        const auto address = asio::ip::make_address(settings.address, error);
        if (error) return failed(error);
        const tcp::endpoint endpoint{address, settings.port};
        const tcp::acceptor::reuse_address reuse{true};
        acceptor_.open(endpoint.protocol(), error);
        if (!error) acceptor_.set_option(reuse, error);
        if (!error) acceptor_.bind(endpoint, error);
        if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
        if (!error) port_ = acceptor_.local_endpoint(error).port();
        if (error) return failed(error);
        accepting_ = true;
        asio::co_spawn(strand_, accept(), asio::detached);
        for (unsigned i = 0; i < std::max(1u, settings.io_threads); ++i)
            threads_.emplace_back([this] { context_.run(); });
        return success();
    }

    std::uint16_t port() const { return port_; }

    void stop() {
        const std::scoped_lock once{stop_mutex_};
        if (!workers_) return;
        shared_.stopping = true;
        asio::post(strand_, [this] {
            boost::system::error_code ignored;
            acceptor_.close(ignored);
            pause_.cancel();
        });
        std::vector<std::shared_ptr<AnyConnection>> living;  // let go of outside the lock: the last owner takes it
        {
            const std::scoped_lock lock{mutex_};
            for (const auto& [raw, weak] : connections_) living.push_back(weak.lock());
        }
        for (auto& connection : living) {
            if (connection) connection->stop();
            connection.reset();
        }
        {
            std::unique_lock lock{mutex_};
            ended_.wait(lock, [this] { return connections_.empty() && !accepting_; });
        }
        workers_.reset();
        work_.reset();
        threads_.clear();
    }

private:
    asio::awaitable<void> accept() {
        while (!shared_.stopping) {
            auto executor = asio::make_strand(context_);
            auto [error, socket] = co_await acceptor_.async_accept(executor, awaited);
            if (!error) {
                try {
                    serve(std::move(socket));
                } catch (const std::exception& failure) {  // out of memory: this connection is lost, not the server
                    note(Level::alarm, "http connection not served", {{"reason", failure.what()}});
                }
            } else if (!shared_.stopping) {  // out of descriptors, most likely: some will come back
                note(Level::warning, "http accept failed", {{"reason", error.message()}});
                pause_.expires_after(milliseconds{100});
                co_await pause_.async_wait(awaited);
            }
        }
        const std::scoped_lock lock{mutex_};
        accepting_ = false;
        ended_.notify_all();
    }

    void serve(tcp::socket socket) {
        boost::system::error_code error;
        const auto peer = socket.remote_endpoint(error).address().to_string();
        if (error) return;
        if (!tls_) return serve<Plain>(std::move(socket), peer);
        serve<Secured>(Secured{std::move(socket), *tls_}, peer);
    }

    template <class Stream>
    void serve(Stream stream, const std::string& peer) {
        const auto executor = stream.get_executor();
        std::shared_ptr<Connection<Stream>> connection;
        {
            const std::scoped_lock lock{mutex_};
            if (shared_.stopping || connections_.size() >= shared_.settings.limits.connections) return;
            auto* raw = new Connection<Stream>{std::move(stream), peer, shared_, *workers_};
            connection = {raw, [this](Connection<Stream>* ending) { end(ending); }};
            connections_.emplace(raw, connection);
        }
        asio::co_spawn(executor, [connection] { return connection->run(); }, asio::detached);
    }
    void end(AnyConnection* connection) {
        delete connection;
        const std::scoped_lock lock{mutex_};
        connections_.erase(connection);
        ended_.notify_all();
    }

    Shared shared_;
    std::optional<asio::ssl::context> tls_;
    asio::io_context context_;
    asio::strand<asio::io_context::executor_type> strand_;  // of the acceptor
    tcp::acceptor acceptor_;
    asio::steady_timer pause_;
    asio::executor_work_guard<asio::io_context::executor_type> work_;
    std::uint16_t port_ = 0;

    std::mutex mutex_, stop_mutex_;
    std::condition_variable ended_;
    std::unordered_map<AnyConnection*, std::weak_ptr<AnyConnection>> connections_;
    bool accepting_ = false;

    std::optional<WorkerPool> workers_;
    std::vector<std::jthread> threads_;

    friend class Server;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
std::uint16_t Server::port() const { return impl_->port(); }
void Server::stop() { impl_->stop(); }

Result<std::unique_ptr<Server>> Server::start(Settings settings) {
    if (!settings.handler) return Error{Errc::configuration, "an HTTP server needs a handler"};
    std::optional<asio::ssl::context> tls;
    if (settings.tls) {
        QSCD_TRY(auto context, server_context(*settings.tls));
        tls.emplace(context.release());
    }
    auto impl = std::make_unique<Impl>(std::move(settings), std::move(tls));
    QSCD_TRY(impl->listen());
    return std::unique_ptr<Server>{new Server{std::move(impl)}};
}

}  // namespace qscd::net
