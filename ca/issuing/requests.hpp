// What cad answers, and to whom. [design, section 5] Thread rules: safe from every thread.
#pragma once

#include <google/protobuf/message.h>

#include "ca/issuing/issuing.hpp"
#include "protocol/ca.pb.h"

namespace qscd::ca {

class CaRequests {
public:
    struct Parts {
        Issuing& issuing;
        Register& register_of_certificates;
        std::function<bool()> token_reachable;
    };
    explicit CaRequests(Parts parts) : parts_(std::move(parts)) {}

    using Reply = std::unique_ptr<google::protobuf::Message>;
    // issue → IssuedCertificate, receipt → Done, list → RegisterEntries, health → CaHealthReport. Only "bootstrap" may
    // ask: Errc::access_denied for every other role, before anything is parsed.
    Result<Reply> answer(std::string_view role, ByteView request);

private:
    Result<Reply> issue(const pb::IssueCertificate& request);
    Result<Reply> receipt(const pb::RecordReceipt& request);
    Result<Reply> list(const pb::ListCertificates& request);
    Result<Reply> health();
    Parts parts_;
};

}  // namespace qscd::ca
