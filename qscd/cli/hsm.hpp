// `qscd hsm`: what modules can do, tried out, and what the tokens of a deployment hold. Changes nothing in them.
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct ProbeSettings {
    std::string module;  // path of a PKCS#11 library, or an entry of the module registry; empty: the deployment's
    std::string token;   // label; empty: all of the deployment, or the module's only one
    std::filesystem::path modules;  // folder of the module registry; empty: the deployment's
    std::filesystem::path pin_file;
    int pin_descriptor = -1;
    std::string reserved;                  // pReserved, in place of the entry's
    std::vector<std::string> environment;  // NAME=VALUE, in place of the entry's
    bool quick = false;                    // as a daemon does at its start
};

// A module needs no deployment. Its user PIN is tried once. Errc::configuration when a token is not fit for use, after all
// have been shown.
Result<void> probe_modules(const Options& options, const ProbeSettings& settings);

// Every key and data object of the deployment's tokens, with its purpose and attributes. While samd runs, keys of signers
// with their credential and its state; a key that no record of the log knows is marked as an orphan. Empty `token`: all.
Result<void> list_keys(const Options& options, const std::string& token);

}  // namespace qscd::cli
