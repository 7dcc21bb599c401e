// A real program, run to its end with an environment of its own. Thread rules: one thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace qscd::hsm {

struct Ended {
    int status;  // its exit status, or minus the signal that ended it
    std::string out, err;
    std::string all() const { return out + err; }
};

// In `folder`, with PATH and `environment` alone, and `input` on its standard input. It has no terminal.
Ended run(const std::filesystem::path& folder, const std::vector<std::string>& words,
          const std::map<std::string, std::string>& environment, const std::string& input = {});

}  // namespace qscd::hsm
