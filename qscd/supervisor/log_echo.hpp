// Copies what the daemons write into their logs to standard error as well. The daemons write to the files themselves,
// so nothing is lost when the supervisor ends first. Thread rules: one thread.
#pragma once

#include <map>

#include "base/file.hpp"

namespace qscd::supervisor {

class LogEcho {
public:
    // Follows files in `folder`. Not following anything is no error: the files have it all.
    explicit LogEcho(const std::filesystem::path& folder);
    void follow(const std::filesystem::path& log);  // from its present end
    int events() const { return events_.get(); }    // readable when there is something; -1 when not following
    void copy();

private:
    Descriptor events_;
    std::map<std::filesystem::path, off_t> copied_;
};

}  // namespace qscd::supervisor
