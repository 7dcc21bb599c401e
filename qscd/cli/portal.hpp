// A signature portal's side of the CSC API, version 2: what `qscd sign` uses, and nothing but the public API.
// [CSC API v2.0.0.2] Thread rules: one thread.
#pragma once

#include <filesystem>

#include "base/clock.hpp"
#include "base/digest.hpp"
#include "base/json/object.hpp"
#include "base/key_kind.hpp"
#include "base/net/client.hpp"
#include "base/secret.hpp"

namespace qscd::cli {

struct PortalSettings {
    std::string base_url;  // ending in /csc/v2
    std::filesystem::path tls_ca;
    std::string client_id;
};

struct Credential {
    std::string id;
    bool enabled;
    std::vector<std::string> algorithms;  // key/algo
    std::vector<Bytes> chain;             // DER, leaf first
    struct Factor {
        std::string id, type, label;
    };
    std::vector<Factor> factors;
};

class Portal {
public:
    static Result<Portal> open(const PortalSettings& settings);
    Result<void> log_in(const SecretBytes& client_secret);  // oauth2/token, client credentials
    void use_token(SecretBytes bearer) { bearer_ = std::move(bearer); }

    Result<std::vector<std::string>> credentials_of(const std::string& user);
    Result<Credential> credential(const std::string& id);
    Result<void> challenge(const Credential& credential, const std::string& factor, const DtbsR& hash);
    struct Answer {
        std::string id;
        SecretBytes value;
    };
    Result<SecretBytes> authorise(const Credential& credential, const DtbsR& hash, const std::vector<Answer>& answers);
    Result<Bytes> sign(const Credential& credential, const SecretBytes& sad, const DtbsR& hash,
                       std::string_view algorithm);

private:
    explicit Portal(net::Client client, std::string base_path, PortalSettings settings)
        : client_(std::move(client)), base_path_(std::move(base_path)), settings_(std::move(settings)) {}
    Result<std::optional<json::Object>> call(std::string_view method, std::string body, net::Headers extra = {});
    Result<std::optional<json::Object>> post(std::string_view method, std::string body, net::Headers headers);
    net::Client client_;
    std::string base_path_;
    PortalSettings settings_;
    SecretBytes bearer_{std::string_view{}};
};

// The scheme behind a CSC signAlgo OID that fits the hash, out of those the key offers; PKCS#1 before PSS.
struct Algorithm {
    std::string_view oid;
    Scheme scheme;
};
Result<Algorithm> algorithm_for(const Credential& credential, HashAlgorithm hash);

}  // namespace qscd::cli
