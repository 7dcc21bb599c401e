// The id of the request that a thread works on: it goes along with what is asked of other daemons, into each record of the
// log and each line of the diagnostics that the request causes, and into the HTTP answer. 16 random bytes, 32 hex digits.
// It ties records together and is no proof: whoever asks may say any. [AUD-02]
// Thread rules: a scope belongs to the thread that made it; work that goes on elsewhere takes the id along.
#pragma once

#include <optional>

#include "base/identifier.hpp"

namespace qscd {

RequestId new_request_id();

// What this thread works on at the moment; nothing: its own housekeeping.
std::optional<RequestId> current_request();

// From here to its end this thread works on `id`; then on what it worked on before.
class RequestScope {
public:
    explicit RequestScope(std::optional<RequestId> id);
    ~RequestScope();
    RequestScope(const RequestScope&) = delete;
    RequestScope& operator=(const RequestScope&) = delete;

private:
    std::optional<RequestId> before_;
};

}  // namespace qscd
