// `qscd sign FILE` and `qscd verify FILE`: the reference client of the public API. CAdES-B-B, detached.
#pragma once

#include "qscd/cli/portal.hpp"
#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct SignSettings {
    std::filesystem::path file, output;  // output: FILE.p7s when empty
    std::filesystem::path portal;        // JSON with base_url_v2, tls_ca, client_id, trust_root; other options win
    std::string url, client_id, user, credential;
    std::filesystem::path tls_ca, trust_root;
    int client_secret_descriptor = -1, token_descriptor = -1, pin_descriptor = -1, code_descriptor = -1;
    std::string hash = "SHA-256";
};
Result<void> sign(const Options& options, SignSettings settings);

struct VerifySettings {
    std::filesystem::path file, signature, trust_root;
};
Result<void> verify(const Options& options, const VerifySettings& settings);

}  // namespace qscd::cli
