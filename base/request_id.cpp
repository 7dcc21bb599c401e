#include "base/request_id.hpp"

#include <utility>

#include "base/random.hpp"

namespace qscd {
namespace {

thread_local std::optional<RequestId> current;

}  // namespace

RequestId new_request_id() { return random_fixed<RequestId>(); }

std::optional<RequestId> current_request() { return current; }

RequestScope::RequestScope(std::optional<RequestId> id) : before_(std::exchange(current, id)) {}

RequestScope::~RequestScope() { current = before_; }

}  // namespace qscd
