// Where a daemon's database is: a file (SQLite), or a schema of a PostgreSQL database. The password is a secret of its
// own: text() and every error leave it out. Thread rules: values.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <variant>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace qscd::store {

// postgresql://[role[:password]@][host[:port]]/database[?schema=…&host=…&port=…&sslrootcert=…]
// `host` may be the folder of a Unix-domain socket: percent-encoded in its place, or as a parameter. Everything may be
// percent-encoded [RFC 3986, 2.1]. No other parameter exists. To a host that is neither a socket nor loopback the
// connection is TLS with sslmode=verify-full, against `sslrootcert`, which must then be there.
struct Server {
    std::string host = "/var/run/postgresql";
    std::uint16_t port = 5432;
    std::string database, role = {}, schema = {};
    std::string tls_root = {};                              // a PEM file
    std::shared_ptr<const SecretBytes> password = nullptr;  // null: none is sent
    std::string origin = {};  // where it was written, "qscd.toml:20: store.url", for errors

    // Errc::configuration: what is wrong, never what was written.
    static Result<Server> parse(std::string_view url);
    bool local() const;        // a socket, or loopback
    std::string text() const;  // the URL without the password
};

class Location {
public:
    // Implicit: each of the two is a place already.
    Location(std::filesystem::path file) : where_(std::move(file)) {}  // NOLINT(google-explicit-constructor)
    Location(Server server) : where_(std::move(server)) {}             // NOLINT(google-explicit-constructor)

    const std::filesystem::path* file() const { return std::get_if<std::filesystem::path>(&where_); }
    const Server* server() const { return std::get_if<Server>(&where_); }
    std::string text() const { return file() != nullptr ? file()->string() : server()->text(); }

private:
    std::variant<std::filesystem::path, Server> where_;
};

// Roles and schemas as we name them: a letter, then letters, digits, '_'; lower case, at most 63: no quoting anywhere.
bool is_plain_name(std::string_view name);

}  // namespace qscd::store
