// `qscd up`: starts the daemons of a deployment, connects them as the table of links says, watches them, and starts
// again what ends. Thread rules: one thread runs all of it and belongs to it until the end; SIGTERM, SIGINT and SIGCHLD
// must not be handled elsewhere in the process, whose other threads have them blocked.
#pragma once

#include <functional>
#include <span>

#include "policy/deployment.hpp"
#include "qscd/supervisor/daemons.hpp"

namespace qscd::supervisor {

struct Options {
    bool test_binaries = false;  // qscd-NAME-test, whose clock is a file
    bool verbose = false;        // the daemons' logs to standard error as well
    Pauses pauses = {};
    std::function<void()> on_ready = {};  // once, when all have said "ready" for the first time
    std::span<const std::string_view> daemons = product_daemons;
    std::span<const Link> links = product_links;
};

// Returns success after SIGTERM or SIGINT and a clean stop: last started first stopped, 10 s each. Daemons that end
// meanwhile are started again with all their links, after a pause that doubles from `first` to `longest` and starts over
// once one lived for 30 s.
// Errc::out_of_order: this deployment runs already. Errc::configuration: a binary is absent, or a daemon gave up (an
// exit code, no signal) before it was ever ready, and its reason is the detail; the others are stopped then.
Result<void> up(const policy::Deployment& deployment, const std::filesystem::path& binaries,
                const Options& options = {});

}  // namespace qscd::supervisor
