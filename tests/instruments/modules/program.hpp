// The programs that stand behind a module: run to their end, or kept running as long as the object lives.
// Thread rules: one thread, the one that made it: what runs on ends with that thread.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"

namespace qscd::instruments {

using Environment = std::map<std::string, std::string>;  // beside PATH and LC_ALL=C

// Errc::not_supported when the program is not there, Errc::internal with what it said when it fails.
Result<void> run(const std::vector<std::string>& words, const std::filesystem::path& log);

std::string said_in(const std::filesystem::path& log);  // empty when it said nothing

class Running {
public:
    Running(const std::vector<std::string>& words, const std::filesystem::path& log,
            const Environment& environment = {});
    ~Running();  // SIGTERM, and waits for its end
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;
    bool ended();

private:
    ::pid_t process_;
};

// False when the condition did not come to hold within 20 s.
bool eventually(const std::function<bool()>& condition);

}  // namespace qscd::instruments
