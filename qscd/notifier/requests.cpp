#include "qscd/notifier/requests.hpp"

#include <algorithm>
#include <array>

#include "protocol/message.hpp"
#include "protocol/sam.pb.h"
#include "protocol/services.pb.h"

namespace qscd::notifier {
namespace {

struct Permission {
    std::string_view role;
    pb::NotifierRequest::RequestCase request;
};
constexpr std::array permissions{
    Permission{"samd", pb::NotifierRequest::kNotify},      Permission{"rad", pb::NotifierRequest::kNotify},
    Permission{"samd", pb::NotifierRequest::kHealth},      Permission{"rad", pb::NotifierRequest::kHealth},
    Permission{"bootstrap", pb::NotifierRequest::kHealth}, Permission{"gatewayd", pb::NotifierRequest::kHealth},
};

Result<Channel> channel_of(pb::Notify::Channel channel) {
    switch (channel) {
        case pb::Notify::SMS: return Channel::sms;
        case pb::Notify::MAIL: return Channel::mail;
        default: return Error{Errc::parameter_invalid, "there is no such channel", {"integer", "channel"}};
    }
}

}  // namespace

Result<NotifierRequests::Reply> NotifierRequests::answer(std::string_view role, ByteView request) {
    if (std::ranges::find(permissions, role, &Permission::role) == permissions.end())
        return Error{Errc::access_denied, "notifierd does not answer " + std::string{role}};
    QSCD_TRY(auto message, protocol::decode<pb::NotifierRequest>(request));
    if (std::ranges::none_of(permissions, [&](const Permission& each) {
            return each.role == role && each.request == message.request_case();
        }))
        return Error{Errc::access_denied, "notifierd does not answer this to " + std::string{role}};
    if (message.has_notify()) {
        auto& asked = *message.mutable_notify();
        QSCD_TRY(const auto channel, channel_of(asked.channel()));
        const Message out{channel, std::move(*asked.mutable_to()), std::move(*asked.mutable_text())};
        QSCD_TRY(outbox_.put(out, clock_.now()));
        return Reply{std::make_unique<pb::Done>()};
    }
    const auto healthy = outbox_.healthy();
    auto health = std::make_unique<pb::ServiceHealthReport>();
    health->set_good(healthy.has_value());
    health->set_detail(healthy ? "outbox" : describe(healthy.error()));
    return Reply{std::move(health)};
}

}  // namespace qscd::notifier
