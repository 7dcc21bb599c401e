// Frames over a socket pair between two daemons: length of the body (4 bytes, big endian) | id (8) | kind (1) | request id
// (16) | body. One request, one answer, matched by id, in any order. The request id is the one that the asking thread works
// on [AUD-02]; zeros when it works on none, and in answers. Peers are known by construction: nothing here listens [SAM-22].
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/file.hpp"
#include "base/secret.hpp"
#include "protocol/message.hpp"

namespace qscd::protocol {

inline constexpr std::size_t frame_limit = 64 * 1024;               // every link but cad → statusd
inline constexpr std::size_t publication_limit = 64 * 1024 * 1024;  // cad → statusd, for CRLs
inline constexpr std::chrono::milliseconds call_timeout{20'000};
inline constexpr std::size_t outstanding_limit = 1024;  // unanswered requests on one connection

// Our end of a link to a daemon that answers. Calls from any thread; the connection may be replaced at any time (the
// other side was restarted): calls then under way fail with Errc::service_away.
class Client {
public:
    explicit Client(std::string peer, std::size_t limit = frame_limit);
    ~Client();
    void connect(Descriptor connection);
    bool connected() const;
    // Called on a thread of its own after each connect().
    void on_connected(std::function<void()> action);

    // Errc::service_away: no connection, connection lost, or no answer in time.
    Result<Bytes> exchange(ByteView request, std::chrono::milliseconds timeout = call_timeout);

    template <class Reply>
    Result<Reply> call(const google::protobuf::Message& request, std::chrono::milliseconds timeout = call_timeout) {
        auto sent = encode(request);
        auto received = exchange(sent, timeout);
        wipe(sent);  // either may hold a PIN, a code or a SAD token
        QSCD_TRY(auto bytes, std::move(received));
        auto reply = decode<Reply>(bytes);
        wipe(bytes);
        return reply;
    }

private:
    struct State;
    std::shared_ptr<State> state_;
    std::string peer_;
};

// How a request is answered: once, from any thread. An answer to a connection that is gone is dropped.
class Responder {
public:
    void answer(const google::protobuf::Message& reply) const;
    void fail(const Error& error) const;
    template <class Reply>
    void finish(const Result<Reply>& result) const {
        result ? answer(result.value()) : fail(result.error());
    }

private:
    friend class Server;
    struct Connection;
    Responder(std::shared_ptr<Connection> connection, std::uint64_t id) : connection_(std::move(connection)), id_(id) {}
    std::shared_ptr<Connection> connection_;
    std::uint64_t id_;
};

// The answering side. Each connection has a reader thread that calls the handler, in the scope of the request id that came
// with the request, or of a new one; the handler may answer there or keep the Responder and answer later.
class Server {
public:
    using Handler = std::function<void(const std::string& role, ByteView request, Responder)>;
    explicit Server(Handler handler, std::size_t limit = frame_limit);
    ~Server();
    void serve(Descriptor connection, std::string role);
    void stop();  // closes all connections and joins their threads

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace qscd::protocol
