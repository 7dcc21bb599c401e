// A CA of one afternoon and a server certificate for localhost, as files.
#pragma once

#include <filesystem>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.hpp"
#include "base/openssl.hpp"

namespace qscd::net {

class TestCertificates {
public:
    TestCertificates() {
        std::string pattern = (std::filesystem::temp_directory_path() / "qscd-net-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        const auto ca_key = generate_p256(), key = generate_p256();
        const auto ca = certificate("TEST CA", *ca_key, "TEST CA", *ca_key, 1, NID_basic_constraints,
                                    "critical,CA:TRUE");
        const auto server = certificate("localhost", *key, "TEST CA", *ca_key, 2, NID_subject_alt_name,
                                        "DNS:localhost,IP:127.0.0.1");
        put(ca_pem(), pem_of(*ca));
        put(chain(), pem_of(*server));
        put(private_key(), pem_of_private(*key));
        const auto stranger_key = generate_p256();
        put(other_ca_pem(), pem_of(*certificate("OTHER CA", *stranger_key, "OTHER CA", *stranger_key, 1,
                                                NID_basic_constraints, "critical,CA:TRUE")));
        put(other_private_key(), pem_of_private(*stranger_key));
    }
    ~TestCertificates() { std::filesystem::remove_all(folder_); }
    TestCertificates(const TestCertificates&) = delete;
    TestCertificates& operator=(const TestCertificates&) = delete;

    std::filesystem::path ca_pem() const { return folder_ / "ca.pem"; }
    std::filesystem::path other_ca_pem() const { return folder_ / "other-ca.pem"; }
    std::filesystem::path chain() const { return folder_ / "localhost.pem"; }
    std::filesystem::path private_key() const { return folder_ / "localhost.key"; }
    std::filesystem::path other_private_key() const { return folder_ / "other.key"; }
    const std::filesystem::path& folder() const { return folder_; }

private:
    static void put(const std::filesystem::path& path, std::string_view text) {
        ASSERT_TRUE(write_file(path, text, 0600));
    }
    static void name(X509_NAME* to, const char* common_name) {
        X509_NAME_add_entry_by_txt(to, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(common_name), -1, -1,
                                   0);
    }
    static X509Cert certificate(const char* subject, EVP_PKEY& key, const char* issuer, EVP_PKEY& issuer_key,
                                long serial, int extension, const char* value) {
        X509Cert out{X509_new()};
        X509_set_version(out.get(), X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial);
        X509_gmtime_adj(X509_getm_notBefore(out.get()), -60);
        X509_gmtime_adj(X509_getm_notAfter(out.get()), 3600);
        name(X509_get_subject_name(out.get()), subject);
        name(X509_get_issuer_name(out.get()), issuer);
        X509_set_pubkey(out.get(), &key);
        auto* extra = X509V3_EXT_conf_nid(nullptr, nullptr, extension, value);
        X509_add_ext(out.get(), extra, -1);
        X509_EXTENSION_free(extra);
        X509_sign(out.get(), &issuer_key, EVP_sha256());
        return out;
    }

    std::filesystem::path folder_;
};

}  // namespace qscd::net
