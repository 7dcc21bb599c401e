// The SAM's log: `qscd audit list` shows it, one record a line; `export` writes it for qscd-audit-verify; `checkpoint`
// gives its newest signed head, to be kept where this machine cannot rewrite it. [AUD-14]
#pragma once

#include <filesystem>

#include "qscd/cli/terminal.hpp"

namespace qscd::cli {

struct AuditList {
    std::uint64_t from = 0;
    std::string credential;  // hex; empty: all
    bool closings = false;   // closing records too
    std::string request;     // hex; empty: all
};
Result<void> list_records(const Options& options, const AuditList& wanted);

// While samd works on, too: up to the newest head when it began.
Result<void> export_log(const Options& options, const std::filesystem::path& file);
// Standard output when `file` is empty.
Result<void> write_checkpoint(const Options& options, const std::filesystem::path& file);

}  // namespace qscd::cli
