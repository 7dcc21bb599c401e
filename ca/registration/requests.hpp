// What rad answers, and to whom. Thread rules: safe from every thread.
#pragma once

#include <google/protobuf/message.h>

#include "ca/registration/registration.hpp"

namespace qscd::ca {

class RaRequests {
public:
    struct Parts {
        Registration& registration;
        std::function<bool()> token_reachable;
    };
    explicit RaRequests(Parts parts) : parts_(std::move(parts)) {}

    using Reply = std::unique_ptr<google::protobuf::Message>;
    // add_account and find_signer → Account, create_request → RequestCreated, record_acceptance → AcceptanceRecorded,
    // approve and get_grant → SignedPaper, health → RaHealthReport. "bootstrap" may ask all of it, "gatewayd"
    // find_signer and health; Errc::access_denied otherwise.
    Result<Reply> answer(std::string_view role, ByteView request);

private:
    Result<Reply> answer_allowed(pb::RaRequest& request);
    Result<Reply> health();
    Parts parts_;
};

}  // namespace qscd::ca
