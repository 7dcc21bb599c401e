// An HTTP/1.1 server, over TLS 1.3 alone or plain [API-01] [API-04] [RFC 9110] [RFC 9112]. Strict: where two readers could
// differ about where a message begins or ends, the message is refused and the connection closed. Requests of one connection
// run one at a time and are answered in order; connections share the workers.
// Errors of start: Errc::configuration names the address or the file. Thread rules: handlers run on worker threads, several
// at once, and may block; on_refusal runs on I/O threads and must not. port() and stop() are safe from every thread but
// a handler's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/net/limits.hpp"
#include "base/net/message.hpp"
#include "base/result.hpp"

namespace qscd::net {

// PEM files. The chain begins with the server's own certificate.
struct Tls {
    std::filesystem::path certificate_chain, private_key;
};

struct Settings {
    std::string address = "127.0.0.1";  // an IP address, version 4 or 6
    std::uint16_t port = 0;             // 0: any free one; see Server::port
    std::optional<Tls> tls = {};        // plain HTTP without
    Limits limits = {};
    unsigned io_threads = 1;
    unsigned worker_threads = 32;
    Handler handler;
    // The answer to what never reaches the handler: 400, 408, 413, 414, 417, 431, 505 by protocol, 503 by load, 500 after
    // an exception, 504. The status of its result counts. Without it: the reason as plain text.
    std::function<Response(unsigned status)> on_refusal = {};
};

class Server {
public:
    static Result<std::unique_ptr<Server>> start(Settings settings);
    ~Server();  // stops

    std::uint16_t port() const;

    // Accepts nothing more, closes idle connections, lets running handlers finish and their answers be read, answers
    // queued requests with 503, joins all threads. Takes as long as the longest handler. Again: does nothing.
    void stop();

private:
    class Impl;
    explicit Server(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace qscd::net
