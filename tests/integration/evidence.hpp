// What was written down since a moment: the SAM's log by `qscd audit list`, and the gateway's own lines.
// Thread rules: one thread.
#pragma once

#include "tests/integration/running_deployment.hpp"

namespace qscd::integration {

struct Record {
    std::uint64_t seq = 0;
    std::string type, actor, credential, result, request;
    std::map<std::string, std::string> fields;
};
std::ostream& operator<<(std::ostream& out, const Record& record);

struct GatewayLine {
    std::string event, status, error, client;
};
std::ostream& operator<<(std::ostream& out, const GatewayLine& line);

class Evidence {
public:
    explicit Evidence(RunningDeployment& deployment);  // from now on
    std::vector<Record> records() const;               // closing records left out
    std::vector<GatewayLine> gateway() const;          // of requests alone
    std::size_t count(std::string_view type) const;
    std::size_t intents() const { return count("sign-intent"); }

private:
    RunningDeployment& deployment_;
    std::uint64_t first_;
    std::size_t log_size_;
};

}  // namespace qscd::integration
