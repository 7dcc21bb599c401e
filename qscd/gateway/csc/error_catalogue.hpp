// What the outside hears of an Error: the only place that maps an Errc to status, `error` and `error_description`, byte
// for byte [CSC API v2.0.0.2, 10.1 and the table of each method] [API-07]. Thread rules: pure functions.
#pragma once

#include "base/net/message.hpp"
#include "base/result.hpp"

namespace qscd::gateway {

struct Said {
    unsigned status;
    std::string error, description;
    std::string_view challenge;  // WWW-Authenticate; none when empty [RFC 9110, 11.6.1]
};

// Every Errc has a row; a number that is none (from a newer daemon) is said as Errc::internal.
Said said(const Error& error);
bool has_row(Errc code);

net::Response response_of(const Error& error);

// For what HTTP itself refuses: a path or a verb that is not ours, and requests that never became one.
net::Response http_refusal(unsigned status);

}  // namespace qscd::gateway
