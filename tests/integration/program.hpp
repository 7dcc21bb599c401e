// Programs as people and scripts run them: arguments, secrets on descriptors, what they print, how they end.
// Thread rules: one thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

namespace qscd::integration {

struct Finished {
    int exit_code = -1;  // minus the signal that ended it
    std::string out, err;
};

// Runs to the end. `inputs`: what stands on which descriptor, 0 included; without it standard input is /dev/null.
Finished run_program(const std::vector<std::string>& words, const std::map<int, std::string>& inputs = {});

// Runs on; its output goes to `log`. It gets SIGTERM when this process ends.
pid_t start_program(const std::vector<std::string>& words, const std::filesystem::path& log);

// Runs to the end at a terminal of its own, as a person would: each answer is typed when the next prompt, a text that
// ends in ": ", has come. `out` is what stood on the screen, echoes included.
Finished run_at_terminal(const std::vector<std::string>& words, const std::vector<std::string>& answers);

// Until the condition holds; false when it did not within `patience`.
bool eventually(const std::function<bool()>& condition, std::chrono::seconds patience = std::chrono::seconds{30});

// For what a test cannot go on without: throws what GoogleTest reports as the test's failure.
void require(bool condition, const std::string& what);

template <class Result>
auto required(Result result, const std::string& what) {
    if (!result) require(false, what + ": " + result.error().detail);
    return std::move(result).value();
}

}  // namespace qscd::integration
