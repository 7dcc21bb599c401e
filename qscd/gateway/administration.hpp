// What the owner of the deployment asks at its own machine: clients, service tokens, health. Thread rules: safe from
// every thread.
#pragma once

#include <google/protobuf/message.h>
#include <memory>

#include "policy/policy.hpp"
#include "qscd/gateway/access.hpp"
#include "qscd/gateway/health.hpp"

namespace qscd::gateway {

inline constexpr std::chrono::seconds longest_service_token{86'400};

class Administration {
public:
    Administration(Access& access, Health& health, const policy::Policy& policy)
        : access_(access), health_(health), policy_(policy) {}

    using Reply = std::unique_ptr<google::protobuf::Message>;
    // For the role "bootstrap" alone: add_client → Done, issue_token → ServiceToken (Errc::access_denied where no
    // profile runs under `trial`), health → ServiceHealthReport.
    Result<Reply> answer(std::string_view role, ByteView request);

private:
    Access& access_;
    Health& health_;
    const policy::Policy& policy_;
};

}  // namespace qscd::gateway
