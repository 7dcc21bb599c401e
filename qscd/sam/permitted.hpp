// Who may ask what [SAM-10] [SAM-22]. The whole of it: a request not listed for the asker's role is refused.
// Thread rules: constants.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

#include "protocol/sam.pb.h"

namespace qscd::sam {

struct Rule {
    pb::SamRequest::RequestCase request;
    std::string_view role;
};
inline constexpr std::array rules{
    Rule{pb::SamRequest::kDescribe, "gatewayd"},
    Rule{pb::SamRequest::kList, "gatewayd"},
    Rule{pb::SamRequest::kOpenChallenge, "gatewayd"},
    Rule{pb::SamRequest::kAuthorise, "gatewayd"},
    Rule{pb::SamRequest::kSign, "gatewayd"},
    Rule{pb::SamRequest::kHealth, "gatewayd"},
    // The owner of the deployment at its own machine, until officers approve by quorum. Never sign or authorise [SAM-11].
    Rule{pb::SamRequest::kDescribe, "bootstrap"},
    Rule{pb::SamRequest::kList, "bootstrap"},
    Rule{pb::SamRequest::kBeginEnrolment, "bootstrap"},
    Rule{pb::SamRequest::kSetFactors, "bootstrap"},
    Rule{pb::SamRequest::kCreateKey, "bootstrap"},
    Rule{pb::SamRequest::kActivate, "bootstrap"},
    Rule{pb::SamRequest::kSetStatus, "bootstrap"},
    Rule{pb::SamRequest::kDestroy, "bootstrap"},
    Rule{pb::SamRequest::kReadLog, "bootstrap"},
    Rule{pb::SamRequest::kReadHeads, "bootstrap"},
    Rule{pb::SamRequest::kUnseal, "bootstrap"},
    Rule{pb::SamRequest::kRotateKeys, "bootstrap"},
    Rule{pb::SamRequest::kHealth, "bootstrap"},
};
constexpr bool permitted(pb::SamRequest::RequestCase request, std::string_view role) {
    return std::ranges::any_of(rules, [=](Rule rule) { return rule.request == request && rule.role == role; });
}
static_assert(!permitted(pb::SamRequest::kSign, "bootstrap") && !permitted(pb::SamRequest::kAuthorise, "bootstrap"));
static_assert(!permitted(pb::SamRequest::kCreateKey, "gatewayd") && !permitted(pb::SamRequest::kReadLog, "gatewayd") &&
              !permitted(pb::SamRequest::kReadHeads, "gatewayd"));

}  // namespace qscd::sam
