#include "base/store/location.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace qscd::store {
namespace {

constexpr std::array<std::string_view, 2> schemes{"postgresql://", "postgres://"};
constexpr std::array<std::string_view, 3> loopback{"localhost", "127.0.0.1", "::1"};
constexpr std::size_t longest_url = 2048, longest_name = 63;

Error wrong(std::string_view what) { return {Errc::configuration, "the store's URL: " + std::string{what}}; }

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

Result<std::string> decoded(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); ++at) {
        char c = text[at];
        if (c == '%') {
            if (at + 2 >= text.size() || !is_hex(text[at + 1]) || !is_hex(text[at + 2]))
                return wrong("a % that two hexadecimal digits do not follow");
            unsigned byte = 0;
            std::from_chars(text.data() + at + 1, text.data() + at + 3, byte, 16);
            c = static_cast<char>(byte);
            at += 2;
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return wrong("a control character");
        out += c;
    }
    return out;
}

std::string encoded(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                           std::string_view{"-._~:"}.find(c) != std::string_view::npos;
        if (plain) out += c;
        else (out += '%') += {digits[byte >> 4], digits[byte & 15]};
    }
    return out;
}

Result<std::uint16_t> port_of(std::string_view text) {
    unsigned number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || number < 1 || number > 65'535)
        return wrong("the port is no number from 1 to 65535");
    return static_cast<std::uint16_t>(number);
}

// "host", "host:5433", "[::1]:5433", "%2Frun%2Fpostgresql"; or nothing.
Result<void> read_host(Server& server, std::string_view text) {
    if (text.empty()) return success();
    std::string_view host = text, port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == std::string_view::npos) return wrong("a [ without its ]");
        host = text.substr(1, end - 1);
        port = text.substr(end + 1);
        if (!port.empty() && !port.starts_with(':')) return wrong("something between ] and the port");
    } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon);
    }
    if (!port.empty()) {
        QSCD_TRY(server.port, port_of(port.substr(1)));
    }
    if (!host.empty()) {
        QSCD_TRY(server.host, decoded(host));
    }
    return success();
}

Result<void> read_user(Server& server, std::string_view text) {
    const auto colon = text.find(':');
    QSCD_TRY(server.role, decoded(text.substr(0, colon)));
    if (colon == std::string_view::npos) return success();
    QSCD_TRY(auto password, decoded(text.substr(colon + 1)));
    if (password.empty()) return wrong("an empty password");
    server.password = std::make_shared<const SecretBytes>(password);
    wipe(password);
    return success();
}

Result<void> read_parameter(Server& server, std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return wrong("a parameter without =");
    const auto name = text.substr(0, equals);
    QSCD_TRY(auto value, decoded(text.substr(equals + 1)));
    if (value.empty()) return wrong("a parameter without a value");
    if (name == "schema") server.schema = std::move(value);
    else if (name == "host") server.host = std::move(value);
    else if (name == "sslrootcert") server.tls_root = std::move(value);
    else if (name == "port") {
        QSCD_TRY(server.port, port_of(value));
    } else return wrong("an unknown parameter; known are schema, host, port, sslrootcert");
    return success();
}

}  // namespace

bool is_plain_name(std::string_view name) {
    const auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
    return !name.empty() && name.size() <= longest_name && lower(name.front()) && !name.starts_with("pg_") &&
           std::ranges::all_of(name, [&](char c) { return lower(c) || (c >= '0' && c <= '9') || c == '_'; });
}

Result<Server> Server::parse(std::string_view url) {
    if (url.size() > longest_url) return wrong("longer than 2048 characters");
    const auto* scheme = std::ranges::find_if(schemes, [&](auto each) { return url.starts_with(each); });
    if (scheme == schemes.end()) return wrong("it does not begin with postgresql://");
    url.remove_prefix(scheme->size());
    if (url.find('#') != std::string_view::npos) return wrong("a #");

    std::string_view parameters;
    if (const auto question = url.find('?'); question != std::string_view::npos) {
        parameters = url.substr(question + 1);
        url = url.substr(0, question);
        if (parameters.empty()) return wrong("nothing after ?");
    }
    const auto slash = url.find('/');
    if (slash == std::string_view::npos) return wrong("no /database after the host");
    auto authority = url.substr(0, slash);
    Server out;
    QSCD_TRY(out.database, decoded(url.substr(slash + 1)));
    if (out.database.empty() || out.database.find('/') != std::string::npos)
        return wrong("no single /database after the host");
    if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
        QSCD_TRY(read_user(out, authority.substr(0, at)));
        if (out.role.empty()) return wrong("nothing before @");
        authority.remove_prefix(at + 1);
    }
    QSCD_TRY(read_host(out, authority));
    while (!parameters.empty()) {
        const auto end = std::min(parameters.find('&'), parameters.size());
        QSCD_TRY(read_parameter(out, parameters.substr(0, end)));
        parameters.remove_prefix(std::min(end + 1, parameters.size()));
    }
    if (!out.schema.empty() && !is_plain_name(out.schema))
        return wrong("the schema's name is not a small letter with small letters, digits and _ after it");
    if (out.host.find(',') != std::string::npos) return wrong("more than one host");
    if (!out.local() && out.tls_root.empty())
        return wrong("a host across a network needs sslrootcert=FILE: the certificate authority of its TLS");
    return out;
}

bool Server::local() const { return host.starts_with('/') || std::ranges::find(loopback, host) != loopback.end(); }

std::string Server::text() const {
    std::string out{schemes.front()};
    if (!role.empty()) out += encoded(role) + "@";
    out += host.find(':') != std::string::npos ? "[" + host + "]" : encoded(host);
    out += ":" + std::to_string(port) + "/" + encoded(database);
    char between = '?';
    for (const auto& [name, value] : {std::pair{"schema", &schema}, std::pair{"sslrootcert", &tls_root}}) {
        if (value->empty()) continue;
        ((out += between) += name) += "=" + encoded(*value);
        between = '&';
    }
    return out;
}

}  // namespace qscd::store
