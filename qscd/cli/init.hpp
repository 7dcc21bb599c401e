// `qscd init`: sets up a deployment on this machine: tokens and their keys, root and issuing CAs, TLS, policy, and with
// --store the daemons' roles and schemas on a PostgreSQL server. The file qscd.toml is written last: a folder without it
// is not a deployment, and is set up from the beginning, unless its keys were made in ceremonies.
#pragma once

#include "policy/deployment.hpp"
#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

// In the deployment's folder: the records of its ceremonies, each in a folder with a journal. `init` does not begin such a
// deployment anew.
inline constexpr const char *ceremonies_folder = "ceremonies", *ceremony_journal = "journal.jsonl";

struct InitSettings {
    std::filesystem::path policy;     // the policy file to start from
    std::filesystem::path modules;    // folder of module registry entries
    std::string module = "softhsm2";  // the registry entry of the module to use
    std::filesystem::path library;    // empty: the one that the entry names, or where the distribution puts it
    std::string name = "qscd trial service", region = "EU", country = "EU", organisation = "qscd TEST";
    std::string store;                                // the administrator's URL; empty: SQLite
    std::string store_prefix = policy::store_prefix;  // of the roles and schemas made there
    int store_password_descriptor = -1;               // the administrator's password; -1: none is sent
    unsigned api_port = 8443, status_port = 8080;
    unsigned shards = 1;            // tokens for signers' keys: qscd-signers-1 and on
    bool after_ceremonies = false;  // tokens, keys and certificates are there: made in ceremonies [QSCD-17]
};

Result<void> init(const Options& options, const InitSettings& settings);

}  // namespace qscd::cli
