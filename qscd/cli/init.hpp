// `qscd init`: sets up a deployment on this machine: tokens and their keys, root and issuing CAs, TLS, policy. The file
// qscd.toml is written last: a folder without it is not a deployment, and is set up from the beginning.
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct InitSettings {
    std::filesystem::path policy;     // the policy file to start from
    std::filesystem::path modules;    // folder of module registry entries
    std::string module = "softhsm2";  // the registry entry of the module to use
    std::filesystem::path library;    // empty: the one that the entry names, or where the distribution puts it
    std::string name = "qscd trial service", region = "EU", country = "EU", organisation = "qscd TEST";
    unsigned api_port = 8443, status_port = 8080;
};

Result<void> init(const Options& options, const InitSettings& settings);

}  // namespace qscd::cli
