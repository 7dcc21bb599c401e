// A deployment's directory and its qscd.toml, as every daemon and the command line read it. The layout:
//   qscd.toml  policy/policy.toml  modules/*.toml  db/<daemon>/<daemon>.sqlite  tokens/<daemon>/{softhsm2.conf,tokens/}
//   tls/{ca,gateway,gateway.key}.pem  pki/…  secrets/{<token>.pin (trial only),store-<daemon>}  log/  outbox/  run/qscd.sock
// Thread rules: values, read once at start.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <vector>

#include "base/store/location.hpp"

namespace qscd::policy {

struct Address {
    std::string host;
    std::uint16_t port;
};

struct Deployment {
    std::filesystem::path folder;
    Address api, status;                              // HTTPS for portals; plain HTTP for CRLs and CA certificates
    std::string public_url;                           // of the API, such as https://localhost:8443
    std::string name, description, region, language;  // what `info` says
    std::string module;                               // the entry of the module registry
    std::filesystem::path library;
    std::vector<std::string> signer_tokens;
    unsigned signing_threads;
    bool own_users;              // daemons under users of their own, when started as root
    bool require_confinement;    // samd does not start when a restriction is missing [SAM-20]
    unsigned first_user;         // numeric user id of the first daemon; the others follow
    unsigned registration_days;  // life of a Grant

    // Errc::configuration with file, line and key.
    static Result<Deployment> load(const std::filesystem::path& folder);

    std::map<std::string, store::Server, std::less<>> servers;  // whose store is a server's; the others' is a file

    // db/<daemon>/<daemon>.sqlite, or the server that [store] names with the password in secrets/store-<daemon>, if any.
    Result<store::Location> database(std::string_view daemon) const;
    std::filesystem::path daemon_folder(std::string_view daemon) const;  // for what a daemon keeps beside its store
    static std::string store_secret(std::string_view daemon) { return "secrets/store-" + std::string{daemon}; }
    std::filesystem::path token_folder(std::string_view daemon) const;  // where softhsm2.conf stands
    std::filesystem::path pki(std::string_view file) const;
    std::filesystem::path policy_file() const { return folder / "policy" / "policy.toml"; }
    std::map<std::string, std::string> module_environment(std::string_view daemon) const;
    std::filesystem::path durable_folder(std::string_view daemon) const;  // empty when the module syncs by itself
    Result<SecretBytes> token_pin(const std::string& token) const;        // from secrets/, under trial only
};

// Who has a store, and how roles and schemas are named where qscd.toml does not: qscd_samd.
inline constexpr std::array<const char*, 4> daemons_with_stores{"samd", "rad", "cad", "gatewayd"};
inline constexpr const char* store_prefix = "qscd_";

// Token labels and key labels, one purpose each [QSCD-18].
inline constexpr const char* sam_token = "qscd-sam";
inline constexpr const char* ra_token = "qscd-ra";
inline constexpr const char* ca_token = "qscd-ca";
inline constexpr const char* root_token = "qscd-root";

// Files in pki/.
inline constexpr const char* root_certificate = "root.pem";
inline constexpr const char* root_crl = "root.crl";  // DER
inline constexpr const char* lcp_certificate = "issuing-lcp.pem";
inline constexpr const char* qualified_certificate = "issuing-qualified.pem";
inline constexpr const char* attestation_key = "sam-attestation.pub.pem";
inline constexpr const char* rule_key = "ra-rule.pub.pem";
inline constexpr const char* officer_keys = "registration-officers";  // folder of *.pub.pem

}  // namespace qscd::policy
