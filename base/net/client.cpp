#include "base/net/client.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <sys/socket.h>

#include "base/net/syntax.hpp"
#include "base/net/tls_context.hpp"

namespace qscd::net {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
// Not beast::ssl_stream: with Beast 1.81 a body longer than one TLS record, sent behind its head, arrived cut.
using Secured = asio::ssl::stream<beast::tcp_stream>;

constexpr auto awaited = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t max_header_bytes = 16 << 10;
constexpr std::uint64_t max_body_bytes = 16 << 20;

Error unreachable(const Endpoint& endpoint, std::string_view step, const std::string& reason) {
    return {Errc::service_away,
            endpoint.host + " port " + std::to_string(endpoint.port) + ": " + std::string{step} + ": " + reason};
}

}  // namespace

std::optional<std::string_view> ClientResponse::header(std::string_view lower_case_name) const {
    const auto found = std::ranges::find(headers, lower_case_name, &Headers::value_type::first);
    if (found == headers.end()) return std::nullopt;
    return found->second;
}

class Client::Impl {
public:
    Impl(Endpoint endpoint, std::chrono::milliseconds timeout) : endpoint_(std::move(endpoint)), timeout_(timeout) {}

    Result<ClientResponse> request(std::string_view method, std::string_view path, const Headers& headers,
                                   std::string_view body) {
        QSCD_TRY(const auto head, head_of(method, path, headers, body));
        if (!is_usable()) {
            drop();
            QSCD_TRY(prepare());
            QSCD_TRY(completed(connect()));
        }
        ClientResponse response;
        const Exchange exchange{head, body, method == "HEAD"};
        auto outcome = completed(transfer(exchange, response));
        if (!outcome) {
            drop();
            return std::move(outcome).error();
        }
        return response;
    }

private:
    struct Exchange {
        std::string_view head, body;
        bool asks_for_head;
    };

    Result<std::string> head_of(std::string_view method, std::string_view path, const Headers& headers,
                                std::string_view body) const {
        const auto target = endpoint_.base_path + std::string{path};
        if (!is_method(method) || !is_origin_form(target))
            return Error{Errc::parameter_invalid, "HTTP request line", {"string", std::string{path}}};
        const bool bracketed = endpoint_.host.find(':') != std::string::npos;
        std::string out{method};
        out.append(" ").append(target).append(" HTTP/1.1\r\nHost: ");
        out.append(bracketed ? "[" + endpoint_.host + "]" : endpoint_.host);
        out.append(":").append(std::to_string(endpoint_.port)).append("\r\n");
        if (!body.empty() || method == "POST" || method == "PUT" || method == "PATCH")
            out.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
        for (const auto& [name, value] : headers) {
            if (!is_token(name) || !is_field_value(value))
                return Error{Errc::parameter_invalid, "HTTP header", {"string", name}};
            out.append(name).append(": ").append(value).append("\r\n");
        }
        return out.append("\r\n");
    }

    // Idle, so nothing is to be read: anything that is there means that the other end has said goodbye.
    bool is_usable() {
        if (!stream_ && !secured_) return false;
        char byte = 0;
        const auto size = ::recv(tcp_stream().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) && buffer_.size() == 0;
    }
    void drop() {
        secured_.reset();
        stream_.reset();
        buffer_.clear();
    }
    beast::tcp_stream& tcp_stream() { return secured_ ? secured_->next_layer() : *stream_; }

    Result<void> prepare() {
        if (!endpoint_.tls) {
            stream_.emplace(context_);
            return success();
        }
        if (!tls_) {
            if (!endpoint_.ca_pem) return Error{Errc::configuration, "https needs the file of the CA to trust"};
            QSCD_TRY(auto context, client_context(*endpoint_.ca_pem));
            tls_.emplace(context.release());
        }
        secured_.emplace(context_, *tls_);
        const auto& name = endpoint_.server_name.empty() ? endpoint_.host : endpoint_.server_name;
        boost::system::error_code not_an_address;
        asio::ip::make_address(name, not_an_address);
        if (not_an_address && SSL_set_tlsext_host_name(secured_->native_handle(), name.c_str()) != 1)
            return Error{Errc::internal, "server name: " + openssl_reason()};
        secured_->set_verify_callback(asio::ssl::host_name_verification(name));
        return success();
    }

    // Runs a step to its end on this thread. A step results in what went wrong, if anything did.
    using Step = asio::awaitable<std::optional<Error>>;
    Result<void> completed(Step step) {
        std::optional<Error> failure = Error{Errc::internal, "HTTP client: unfinished"};
        asio::co_spawn(context_, std::move(step), [&](std::exception_ptr thrown, std::optional<Error> outcome) {
            if (thrown) failure = Error{Errc::internal, "HTTP client: exception"};
            else failure = std::move(outcome);
        });
        context_.restart();
        context_.run();
        if (failure) return std::move(*failure);
        return success();
    }

    Step connect() {
        tcp::resolver resolver{context_};
        const auto port = std::to_string(endpoint_.port);
        // "localhost" is this machine, whatever a resolver may know or not know of it [RFC 6761, 6.3].
        const std::string host = endpoint_.host == "localhost" ? "127.0.0.1" : endpoint_.host;
        const auto [lookup_error, addresses] = co_await resolver.async_resolve(host, port, awaited);
        if (lookup_error) co_return unreachable(endpoint_, "looking up", lookup_error.message());
        tcp_stream().expires_after(timeout_);
        const auto [connect_error, where] = co_await tcp_stream().async_connect(addresses, awaited);
        if (connect_error) co_return unreachable(endpoint_, "connecting", connect_error.message());
        const tcp::no_delay no_delay{true};
        boost::system::error_code ignored;
        tcp_stream().socket().set_option(no_delay, ignored);
        if (secured_) {
            const auto [error] = co_await secured_->async_handshake(asio::ssl::stream_base::client, awaited);
            const auto verdict = SSL_get_verify_result(secured_->native_handle());
            if (error && verdict != X509_V_OK)
                co_return unreachable(endpoint_, "server certificate", X509_verify_cert_error_string(verdict));
            if (error) co_return unreachable(endpoint_, "TLS", error.message());
        }
        co_return std::nullopt;
    }

    Step transfer(const Exchange& exchange, ClientResponse& response) {
        if (secured_) co_return co_await transfer_over(*secured_, exchange, response);
        co_return co_await transfer_over(*stream_, exchange, response);
    }

    template <class Stream>
    Step transfer_over(Stream& stream, const Exchange& exchange, ClientResponse& response) {
        tcp_stream().expires_after(timeout_);
        const std::array bytes{asio::buffer(exchange.head), asio::buffer(exchange.body)};
        const auto [write_error, written] = co_await asio::async_write(stream, bytes, awaited);
        // A server that refuses stops reading: its answer counts, if there is one.
        while (true) {
            http::response_parser<http::string_body> parser;
            parser.header_limit(max_header_bytes);
            parser.body_limit(max_body_bytes);
            parser.skip(exchange.asks_for_head);
            const auto [error, size] = co_await http::async_read(stream, buffer_, parser, awaited);
            if (error) co_return unreachable(endpoint_, "waiting for the answer", error.message());
            auto message = parser.release();
            if (message.result_int() < 200) continue;  // 100 Continue
            response.status = message.result_int();
            for (const auto& field : message) response.headers.emplace_back(lower(field.name_string()), field.value());
            response.body = std::move(message.body());
            tcp_stream().expires_never();
            if (write_error || !message.keep_alive()) drop();
            co_return std::nullopt;
        }
    }

    Endpoint endpoint_;
    std::chrono::milliseconds timeout_;
    asio::io_context context_;
    std::optional<asio::ssl::context> tls_;
    std::optional<beast::tcp_stream> stream_;
    std::optional<Secured> secured_;
    beast::flat_buffer buffer_;
};

Client::Client(Endpoint endpoint, std::chrono::milliseconds timeout)
    : impl_(std::make_unique<Impl>(std::move(endpoint), timeout)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<ClientResponse> Client::request(std::string_view method, std::string_view path, const Headers& headers,
                                       std::string_view body) {
    return impl_->request(method, path, headers, body);
}

}  // namespace qscd::net
