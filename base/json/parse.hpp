// Strict JSON [API-06] [RFC 8259] [RFC 7493]: a text has one meaning or none. Refused with Errc::body_malformed: text that
// is not JSON, comments, a byte order mark, anything behind the value, duplicate member names, invalid UTF-8 and lone
// surrogates, numbers that do not fit (1e999, integers beyond 64 bits), and what exceeds the limits.
// The tree's memory is wiped when it is freed: a body may hold a PIN. Copying a value to the default storage gives that up.
// Thread rules: pure function; the result is a value.
#pragma once

#include <boost/json/value.hpp>
#include <string_view>

#include "base/json/limits.hpp"
#include "base/result.hpp"

namespace qscd::json {

Result<boost::json::value> parse(std::string_view text, Limits limits = {});

}  // namespace qscd::json
