#include "tests/attack/spied_trial.hpp"

#include <cstdlib>
#include <set>
#include <unistd.h>

#include "qscd/genesis/genesis.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::attack {
namespace {

// One for the process: the spy keeps the file that it was given first.
const std::filesystem::path& log_file() {
    static const auto path = std::filesystem::temp_directory_path() /
                             ("qscd-attack-calls-" + std::to_string(::getpid()));
    static const bool removed = std::atexit([] { ::unlink(path.c_str()); }) == 0;
    (void)removed;
    return path;
}

}  // namespace

SpiedTrial::SpiedTrial() {
    stop();
    tokens.module.reset();
    load_spied();
    start();
}

void SpiedTrial::load_spied() {
    ::setenv("QSCD_SPY_TARGET", hsm::SoftToken::library().c_str(), 1);
    ::setenv("QSCD_SPY_LOG", log_file().c_str(), 1);
    tokens.module = hsm::Module::load({QSCD_SPY_LIBRARY,
                                       "",
                                       {{"SOFTHSM2_CONF", (tokens.folder / "softhsm2.conf").string()}},
                                       tokens.folder / "tokens"})
                        .value();
}

void SpiedTrial::start_counting() { std::filesystem::resize_file(log_file(), 0); }

std::vector<spy::Call> SpiedTrial::calls() { return spy::calls_in(log_file()); }

std::size_t SpiedTrial::pin_evaluations() {
    std::set<std::string> zeros;
    for (std::size_t size = 0; size <= 1024; ++size) zeros.insert(sha256(Bytes(size)).hex());
    return static_cast<std::size_t>(std::ranges::count_if(calls(), [&](const spy::Call& call) {
        return call["call"] == "C_Sign-entered" && call["label"].starts_with(genesis::pin_key_label) &&
               !zeros.contains(call["in"]);
    }));
}

Wire SpiedTrial::gateway() {
    auto [near, far] = socket_pair();
    running->server.serve(std::move(far), "gatewayd");
    return Wire{std::move(near)};
}

}  // namespace qscd::attack
