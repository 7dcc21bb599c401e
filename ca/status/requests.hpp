// What statusd answers to our own daemons. Thread rules: safe from every thread.
#pragma once

#include <google/protobuf/message.h>

#include "ca/status/publications.hpp"

namespace qscd::ca {

class StatusRequests {
public:
    StatusRequests(Publications& publications, const Clock& clock) : publications_(publications), clock_(clock) {}

    using Reply = std::unique_ptr<google::protobuf::Message>;
    // publish → Done, from "cad" alone; health → ServiceHealthReport, also to "bootstrap" and "gatewayd".
    Result<Reply> answer(std::string_view role, ByteView request);

private:
    Publications& publications_;
    const Clock& clock_;
};

}  // namespace qscd::ca
