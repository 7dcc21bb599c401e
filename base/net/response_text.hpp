// A Response as bytes. Private to this room. Thread rules: pure functions.
#pragma once

#include <optional>
#include <string>

#include "base/net/message.hpp"

namespace qscd::net {

struct Framed {
    bool tls = false, keeps_connection = true, answers_head = false;
};

// The head; the body follows it as it is, unless `answers_head` or the status has none. Nothing when the handler named a
// header that is not a token, a value that would break the line, a header of ours, or a status no handler may give.
std::optional<std::string> head_of(const Response& response, const Framed& framed);
bool has_body(const Response& response, const Framed& framed);

std::string_view reason_of(unsigned status);

}  // namespace qscd::net
