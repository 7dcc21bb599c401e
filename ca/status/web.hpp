// What anyone may read over plain HTTP: the published paths, exactly, and /health/live. [RFC 9110] [RFC 5280, 4.2.1.13]
// Thread rules: pure functions.
#pragma once

#include "base/net/message.hpp"
#include "ca/status/publications.hpp"

namespace qscd::ca {

// GET and HEAD (the server drops the body); 304 for an If-None-Match that names what is there, 404, 405. A publication
// may be kept until its next update, and for an hour at most: a revocation must be seen soon.
net::Response answer_web(const Publications& publications, const net::Request& request, TimePoint now);

// "Fri, 20 Nov 2026 11:30:00 GMT" [RFC 9110, 5.6.7].
std::string http_date(TimePoint at);

}  // namespace qscd::ca
