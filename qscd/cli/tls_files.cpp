#include "qscd/cli/tls_files.hpp"

#include "base/file.hpp"
#include "base/openssl.hpp"
#include "base/random.hpp"

namespace qscd::cli {
namespace {

constexpr std::chrono::hours life{24 * 825};  // browsers refuse more

Result<X509Cert> certificate(const char* name, EVP_PKEY& key, const X509* issuer, EVP_PKEY& issuer_key, TimePoint now,
                             std::initializer_list<std::pair<int, const char*>> extensions) {
    X509Cert out{X509_new()};
    auto serial = random_bytes(16);
    serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40);
    const BigNum number{BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr)};
    BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(out.get()));
    X509_set_version(out.get(), X509_VERSION_3);
    ASN1_TIME_set(X509_getm_notBefore(out.get()), unix_seconds(now));
    ASN1_TIME_set(X509_getm_notAfter(out.get()), unix_seconds(now + life));
    X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(out.get(), X509_get_subject_name(issuer != nullptr ? issuer : out.get()));
    X509_set_pubkey(out.get(), &key);
    X509V3_CTX context;
    X509V3_set_ctx(&context, const_cast<X509*>(issuer != nullptr ? issuer : out.get()), out.get(), nullptr, nullptr, 0);
    for (const auto& [nid, value] : extensions) {
        auto* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
        if (extension == nullptr) return Error{Errc::internal, "TLS certificate: " + openssl_reason()};
        X509_add_ext(out.get(), extension, -1);
        X509_EXTENSION_free(extension);
    }
    if (X509_sign(out.get(), &issuer_key, EVP_sha256()) <= 0)
        return Error{Errc::internal, "TLS certificate: " + openssl_reason()};
    return out;
}

}  // namespace

Result<void> make_tls_files(const std::filesystem::path& folder, TimePoint now) {
    const auto ca_key = generate_p256(), key = generate_p256();
    QSCD_TRY(auto ca, certificate("qscd TEST transport CA", *ca_key, nullptr, *ca_key, now,
                                  {{NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
                                   {NID_key_usage, "critical,keyCertSign,cRLSign"},
                                   {NID_subject_key_identifier, "hash"}}));
    QSCD_TRY(auto server, certificate("localhost", *key, ca.get(), *ca_key, now,
                                      {{NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1"},
                                       {NID_key_usage, "critical,digitalSignature"},
                                       {NID_ext_key_usage, "serverAuth"},
                                       {NID_subject_key_identifier, "hash"},
                                       {NID_authority_key_identifier, "keyid:always"}}));
    QSCD_TRY(write_file(folder / "ca.pem", pem_of(*ca)));
    QSCD_TRY(write_file(folder / "gateway.pem", pem_of(*server) + pem_of(*ca)));
    return write_file(folder / "gateway.key", pem_of_private(*key), 0600);
}

}  // namespace qscd::cli
