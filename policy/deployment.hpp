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
#include "policy/module_registry.hpp"

namespace qscd::policy {

struct Address {
    std::string host;
    std::uint16_t port;
};

// A token with signers' keys. Its number stands in every key's record: it is given once and never changed or reused,
// whatever the order of the tables. [QSCD-21] [OPS-16]
struct Shard {
    unsigned number;                    // 1 to 9999
    std::string token;                  // label
    std::string module;                 // entry of the module registry
    bool accepts_new = true;            // false: its keys go on signing, new ones go elsewhere
    std::uint64_t limit = 10'000;       // keys: what it may be filled up to
    std::vector<std::string> profiles;  // whose keys it takes; empty: all
};

// A module as one daemon uses it: what the registry says of it, and how it is started.
struct ModuleWiring {
    ModuleEntry entry;
    ModuleStart start;
    unsigned signing_threads;  // of each signers' token: as qscd.toml says, else the entry's concurrency, at most 64
};

struct Deployment {
    std::filesystem::path folder;
    Address api, status;                              // HTTPS for portals; plain HTTP for CRLs and CA certificates
    std::string public_url;                           // of the API, such as https://localhost:8443
    std::string name, description, region, language;  // what `info` says
    std::string module;                               // the entry of the module registry
    std::filesystem::path library;                    // instead of the entry's; empty: the entry's
    std::optional<std::string> reserved;              // instead of the entry's; "{tokens}" as there
    std::map<std::string, std::string> environment;   // besides the entry's, and stronger; "{tokens}" as there
    std::vector<Shard> shards;                        // by number; at least one
    std::optional<unsigned> signing_threads;          // of each shard; see ModuleWiring
    bool own_users;                                   // daemons under users of their own, when started as root
    bool require_confinement;                         // samd does not start when a restriction is missing [SAM-20]
    unsigned first_user;                              // numeric user id of the first daemon; the others follow
    unsigned registration_days;                       // life of a Grant

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
    // The module registry's entry of that name; `entry` empty: [module]'s, with what stands there changed. Errc::configuration
    // with file, line and key, or when there is no such entry.
    Result<ModuleWiring> wiring(std::string_view daemon, std::string_view entry = {}) const;
    Result<SecretBytes> token_pin(const std::string& token) const;  // from secrets/, under trial only
};

// Who has a store, and how roles and schemas are named where qscd.toml does not: qscd_samd.
inline constexpr std::array<const char*, 4> daemons_with_stores{"samd", "rad", "cad", "gatewayd"};
inline constexpr const char* store_prefix = "qscd_";

// Token labels and key labels, one purpose each [QSCD-18].
inline constexpr const char* sam_token = "qscd-sam";
inline constexpr const char* first_signer_token = "qscd-signers-1";
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
