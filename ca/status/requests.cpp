#include "ca/status/requests.hpp"

#include <algorithm>
#include <array>

#include "protocol/message.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"

namespace qscd::ca {
namespace {

struct Permission {
    std::string_view role;
    pb::StatusRequest::RequestCase request;
};
constexpr std::array permissions{
    Permission{"cad", pb::StatusRequest::kPublish},
    Permission{"cad", pb::StatusRequest::kHealth},
    Permission{"bootstrap", pb::StatusRequest::kHealth},
    Permission{"gatewayd", pb::StatusRequest::kHealth},
};

}  // namespace

Result<StatusRequests::Reply> StatusRequests::answer(std::string_view role, ByteView request) {
    if (std::ranges::find(permissions, role, &Permission::role) == permissions.end())
        return Error{Errc::access_denied, "statusd does not answer " + std::string{role}};
    QSCD_TRY(const auto message, protocol::decode<pb::StatusRequest>(request));
    if (std::ranges::none_of(permissions, [&](const Permission& each) {
            return each.role == role && each.request == message.request_case();
        }))
        return Error{Errc::access_denied, "statusd does not answer this to " + std::string{role}};
    if (message.has_publish()) {
        const auto& asked = message.publish();
        QSCD_TRY(publications_.publish(asked.path(), asked.content_type(), asked.content(), asked.next_update(),
                                       clock_.now()));
        return Reply{std::make_unique<pb::Done>()};
    }
    auto health = std::make_unique<pb::ServiceHealthReport>();
    health->set_good(true);
    health->set_detail(std::to_string(publications_.size()) + " published");
    return Reply{std::move(health)};
}

}  // namespace qscd::ca
