// The tokens of a deployment, each with the daemon in whose folder it lies and the module that it is in.
#pragma once

#include "policy/deployment.hpp"

namespace qscd::cli {

enum class Role { sam, signers, registration, authority };

struct Home {
    std::string token;
    std::string_view daemon;
    std::string module;  // entry of the module registry; empty: the deployment's own
    Role role;
};

// Of the label only, when there is one; Errc::configuration when the deployment has no such token.
Result<std::vector<Home>> homes_in(const policy::Deployment& deployment, const std::string& label);

}  // namespace qscd::cli
