#include "qscd/sam/activation/flow.hpp"

namespace qscd::sam {

std::vector<Alarm> failed_check(Limits& limits, const ClientId& portal, TimePoint now) {
    std::vector<Alarm> alarms;
    for (const auto reached : limits.failed(portal, now))
        alarms.push_back({"limit-reached", std::string{name_of(reached)} + ", last by " + portal.text()});
    return alarms;
}

}  // namespace qscd::sam
