#include "base/net/tls_context.hpp"

#include <algorithm>

namespace qscd::net {
namespace {

constexpr const char* cipher_list = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256";
constexpr const char* group_list = "X25519:P-256:P-384";
constexpr std::string_view only_protocol{"\x08http/1.1", 9};  // as ALPN writes it [RFC 7301, 3.1]

Error unusable(std::string_view what, const std::filesystem::path& path) {
    return {Errc::configuration, path.string() + ": " + std::string{what} + ": " + openssl_reason()};
}

Result<SslContext> context_with(const SSL_METHOD* method) {
    SslContext context{SSL_CTX_new(method)};
    if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context.get(), cipher_list) != 1 ||
        SSL_CTX_set1_groups_list(context.get(), group_list) != 1)
        return Error{Errc::internal, "TLS context: " + openssl_reason()};
    SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT |
                                           SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    SSL_CTX_set_max_early_data(context.get(), 0);
    return context;
}

// A client that offers protocols must offer ours: bytes meant for another protocol are not taken for HTTP.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned offered_size, void*) {
    unsigned char* out = nullptr;
    const auto* ours = reinterpret_cast<const unsigned char*>(only_protocol.data());
    if (SSL_select_next_proto(&out, size, ours, static_cast<unsigned>(only_protocol.size()), offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = out;
    return SSL_TLSEXT_ERR_OK;
}

}  // namespace

Result<SslContext> server_context(const Tls& files) {
    QSCD_TRY(auto context, context_with(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate_chain.c_str()) != 1)
        return unusable("certificate chain", files.certificate_chain);
    if (SSL_CTX_use_PrivateKey_file(context.get(), files.private_key.c_str(), SSL_FILETYPE_PEM) != 1)
        return unusable("private key", files.private_key);
    if (SSL_CTX_check_private_key(context.get()) != 1)
        return unusable("not the key of the certificate", files.private_key);
    SSL_CTX_set_num_tickets(context.get(), 0);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
    SSL_CTX_set_alpn_select_cb(context.get(), &choose_protocol, nullptr);
    return context;
}

Result<SslContext> client_context(const std::filesystem::path& ca_pem) {
    QSCD_TRY(auto context, context_with(TLS_client_method()));
    if (SSL_CTX_load_verify_file(context.get(), ca_pem.c_str()) != 1) return unusable("certificates", ca_pem);
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    const auto* ours = reinterpret_cast<const unsigned char*>(only_protocol.data());
    if (SSL_CTX_set_alpn_protos(context.get(), ours, static_cast<unsigned>(only_protocol.size())) != 0)
        return Error{Errc::internal, "TLS context: " + openssl_reason()};
    return context;
}

}  // namespace qscd::net
