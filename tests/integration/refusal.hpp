// What a refusal looks like from all sides: to the portal, in the gateway's log, in the SAM's log. And that nothing was
// signed. Thread rules: one thread.
#pragma once

#include <gtest/gtest.h>

#include "tests/integration/cast.hpp"

namespace qscd::integration {

inline constexpr const char* invalid_request_text =
    "The request is missing a required parameter, includes an invalid parameter value, includes a parameter more than "
    "once, or is otherwise malformed.";
inline constexpr const char* temporarily_unavailable_text =
    "The authorization server is currently unable to handle the request due to a temporary overloading or maintenance "
    "of the server.";

struct Refusal {
    unsigned status;
    std::string error, description;
    std::string reason;   // in the gateway's line: the name of an Errc
    bool by_sam = false;  // then the SAM's last record names it, too; otherwise it wrote nothing
    std::string client = "portal-1";
};
inline Refusal invalid_request(std::string description, std::string reason) {
    return {400, "invalid_request", std::move(description), std::move(reason)};
}
inline Refusal malformed() { return invalid_request(invalid_request_text, "body_malformed"); }
inline Refusal missing(const std::string& type, const std::string& name) {
    return invalid_request("Missing (or invalid type) " + type + " parameter " + name, "parameter_missing");
}
inline Refusal invalid(const std::string& name) {
    return invalid_request("Invalid parameter " + name, "parameter_invalid");
}
inline Refusal wrong_factors() {
    return {400, "invalid_authentication_data", "The authentication data is invalid", "factors_wrong"};
}
inline Refusal from_sam(Refusal refusal) {
    refusal.by_sam = true;
    return refusal;
}

// `evidence` began right before the request.
void expect_refusal(const Evidence& evidence, const Answer& answer, const Refusal& expected);

inline constexpr const char* unknown_credential = "00112233445566778899aabbccddeeff";

// For INSTANTIATE_TEST_SUITE_P over cases that have a `name`.
std::string name_of_case(const auto& info) { return info.param.name; }

}  // namespace qscd::integration
