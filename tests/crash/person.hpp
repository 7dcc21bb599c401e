// People under load, and their authenticator apps. Test data, nobody's. Thread rules: values.
#pragma once

#include "tests/integration/running_deployment.hpp"

namespace qscd::crash {

using integration::RunningDeployment;

struct Person {
    explicit Person(unsigned number);  // below 1,000,000
    std::string username, phone, email, pin, password, serial_number;
    std::string signer = {};  // 16 bytes, once the account is there
    Bytes app_secret = {};
    unsigned app_period = 30, app_digits = 6;
    std::int64_t last_step = 0;  // of the app, used in an answered or unanswered request

    std::int64_t step_at(TimePoint at) const { return unix_seconds(at) / app_period; }
    std::string app_code(std::int64_t step) const;  // [RFC 6238]
};

// The newest code sent to the phone; empty when there is none.
std::string code_sent_to(const RunningDeployment& deployment, const std::string& phone);

}  // namespace qscd::crash
