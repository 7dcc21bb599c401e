// `qscd hsm probe`: what the tokens of a deployment can do, tried out. Changes nothing in them.
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

// Every token of the deployment when `token` is empty. Errc::configuration when one of them is not fit for use, after
// all have been shown.
Result<void> probe_tokens(const Options& options, const std::string& token);

}  // namespace qscd::cli
