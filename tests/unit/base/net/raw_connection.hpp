// A peer that sends exactly the bytes it is told to, over a plain socket or TLS.
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>

#include "base/file.hpp"
#include "base/openssl.hpp"

namespace qscd::net {

class RawConnection {
public:
    explicit RawConnection(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{20, 0};
        const int one = 1;
        ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }

    bool connected() const { return connected_; }

    // The handshake with versions up to `newest`; false when the server refuses it. In TLS 1.3 a refusal may come after
    // the client's side is done, so the first read counts too.
    bool secure(SSL_CTX& context) {
        tls_.reset(SSL_new(&context));
        SSL_set_fd(tls_.get(), socket_.get());
        return SSL_connect(tls_.get()) == 1;
    }
    const SSL* tls() const { return tls_.get(); }

    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto size = tls_ ? SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()))
                                   : static_cast<int>(::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
            if (size <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(size));
        }
        return true;
    }
    void end_sending() { ::shutdown(socket_.get(), SHUT_WR); }

    // Waits for more bytes; false when the other end is done, or said nothing for 20 s.
    bool receive() {
        char part[4096];
        const auto size = tls_ ? SSL_read(tls_.get(), part, sizeof part)
                               : static_cast<int>(::recv(socket_.get(), part, sizeof part, 0));
        if (size <= 0) return false;
        received_.append(part, static_cast<std::size_t>(size));
        return true;
    }
    std::string until_closed() {
        while (receive()) {}
        return std::exchange(received_, {});
    }
    // The next response, by its Content-Length; empty when the connection ends before it is whole.
    std::string response() {
        while (true) {
            const auto end = received_.find("\r\n\r\n");
            if (end != std::string::npos) {
                const auto length = received_.find("Content-Length: ");
                const auto body = length < end ? std::stoul(received_.substr(length + 16)) : 0;
                if (received_.size() >= end + 4 + body) {
                    auto out = received_.substr(0, end + 4 + body);
                    received_.erase(0, out.size());
                    return out;
                }
            }
            if (!receive()) return {};
        }
    }

private:
    Descriptor socket_;
    bool connected_ = false;
    SslConnection tls_;
    std::string received_;
};

inline unsigned status_of(std::string_view response) {
    if (!response.starts_with("HTTP/1.1 ") || response.size() < 12) return 0;
    return static_cast<unsigned>(std::stoul(std::string{response.substr(9, 3)}));
}

}  // namespace qscd::net
