// What notifierd answers: that a message was taken. Thread rules: safe from every thread.
#pragma once

#include <google/protobuf/message.h>
#include <memory>

#include "base/bytes.hpp"
#include "qscd/notifier/outbox.hpp"

namespace qscd::notifier {

class NotifierRequests {
public:
    NotifierRequests(Outbox& outbox, const Clock& clock) : outbox_(outbox), clock_(clock) {}

    using Reply = std::unique_ptr<google::protobuf::Message>;
    // notify → Done, from "samd" and "rad" alone; health → ServiceHealthReport, to these, "bootstrap" and "gatewayd".
    Result<Reply> answer(std::string_view role, ByteView request);

private:
    Outbox& outbox_;
    const Clock& clock_;
};

}  // namespace qscd::notifier
