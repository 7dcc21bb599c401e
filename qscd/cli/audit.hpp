// `qscd audit list`: the SAM's log as it stands, one record a line.
#pragma once

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct AuditList {
    std::uint64_t from = 0;
    std::string credential;  // hex; empty: all
    bool closings = false;   // closing records too
};
Result<void> list_records(const Options& options, const AuditList& wanted);

}  // namespace qscd::cli
