// What the deployment's owner decides of samd's state, until officers approve by quorum. Each is recorded in its log.
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

// Lets a sealed state go on. Errc::out_of_order when it is not sealed; Errc::sealed when nobody may let it go on.
Result<void> unseal(const Options& options, const std::string& reason);

// New K_cell and K_pin; the old ones are destroyed once nothing hangs on them.
Result<void> rotate_keys(const Options& options, const std::string& reason);

}  // namespace qscd::cli
