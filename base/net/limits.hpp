// What one stranger may cost a server, in one table [API-05]. Both sides of each limit are tested.
#pragma once

#include <chrono>
#include <cstddef>

namespace qscd::net {

struct Limits {
    // Sizes, in bytes. Beyond them:                                         the answer
    std::size_t header_bytes = 8 << 10;  // request line and header, with the empty line   431
    std::size_t header_fields = 64;      //                                                431
    std::size_t target_bytes = 2 << 10;  // path and query                                 414
    std::size_t body_bytes = 1 << 20;    // after chunked decoding                         413

    // Counts.
    std::size_t connections = 1024;     // one more is closed as soon as it is accepted
    std::size_t queued_requests = 256;  // waiting for a worker; one more                 503, Retry-After: 1

    // Times. Slow senders gain nothing by sending a byte now and then: each is counted from where it starts.
    std::chrono::milliseconds header_timeout{10'000};   // TLS handshake; then from a request's first byte (on a new
                                                        // connection: from the start) to the end of its header   408
    std::chrono::milliseconds body_timeout{20'000};     // from the end of the header                             408
    std::chrono::milliseconds idle_timeout{60'000};     // between requests; then closed without a word
    std::chrono::milliseconds handler_timeout{60'000};  // queueing and work; its outcome is then unknown         504
    std::chrono::milliseconds write_timeout{20'000};    // for a whole response; then cut
    std::chrono::milliseconds close_timeout{2'000};     // for the other end to read what was said last
};

}  // namespace qscd::net
