// A blocking HTTP/1.1 client that keeps its connection. TLS 1.3 alone; trusts the given CA and nothing of the system.
// Errors: Errc::service_away when there is no connection, no trust or no answer in time (detail says which); the request may
// then have been carried out. Errc::configuration for an address or CA file that cannot be; Errc::parameter_invalid for a
// header that cannot be sent. Thread rules: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/net/message.hpp"
#include "base/result.hpp"

namespace qscd::net {

struct Endpoint {
    bool tls = true;
    std::string host;
    std::uint16_t port = 443;
    std::string base_path = {};                        // "/csc/v2", or nothing; request paths come behind it
    std::optional<std::filesystem::path> ca_pem = {};  // needed with TLS
    std::string server_name = {};                      // what the certificate must name, when it is not `host`

    // http or https, host (name, IPv4 or [IPv6]), optional port and path. No user, query or fragment.
    static Result<Endpoint> from_url(std::string_view url);
};

struct ClientResponse {
    unsigned status = 0;
    Headers headers;   // names in lower case
    std::string body;  // at most 16 MiB
    std::optional<std::string_view> header(std::string_view lower_case_name) const;
};

class Client {
public:
    // timeout: for connecting and for one request, each.
    explicit Client(Endpoint endpoint, std::chrono::milliseconds timeout = std::chrono::seconds{30});
    Client(Client&&) noexcept;
    Client& operator=(Client&&) noexcept;
    ~Client();

    // Host, Content-Length and Connection are added. A request is sent once: it is never repeated by itself.
    Result<ClientResponse> request(std::string_view method, std::string_view path, const Headers& headers = {},
                                   std::string_view body = {});

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace qscd::net
