// `qscd client …`: the portals that may use the API, and for which signers.
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct AddClient {
    std::string client, name, redirect_uri;
    std::vector<std::string> usernames;  // the signers it may act for
};
// Answers a fresh client_secret, shown once; the server keeps a digest.
Result<void> add_client(const Options& options, const AddClient& wanted);
// A bearer token for try-outs; under a trial policy only.
Result<void> issue_token(const Options& options, const std::string& client, unsigned seconds);

}  // namespace qscd::cli
