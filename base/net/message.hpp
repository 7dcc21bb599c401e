// An HTTP request that passed the strict checks, and the answer to it. Thread rules: values.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace qscd::net {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
    std::string method;  // upper case
    std::string target;  // origin form, as sent
    std::string path;    // the target up to its question mark; percent-encoding as sent
    std::string query;   // what stands behind it, without it
    Headers headers;     // names in lower case, values without surrounding blanks, in the order sent
    std::string body;    // chunks put together
    std::string peer;    // address of the other end, without its port
    std::optional<std::string_view> header(std::string_view lower_case_name) const;  // the first of that name
};

// The server adds Content-Length, Connection and, under TLS, Strict-Transport-Security; a handler names none of them.
struct Response {
    unsigned status = 200;
    std::string content_type = {};  // none when empty
    std::string body = {};
    Headers headers = {};
};

using Handler = std::function<Response(const Request&)>;

}  // namespace qscd::net
