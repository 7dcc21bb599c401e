// Canaries: no PIN, code, password, client secret, access token or SAD token that was ever used stands in a log or a
// store, as text or as the bytes that its text encodes. The outbox is not looked at: codes go there.
// Thread rules: one thread.
#pragma once

#include "tests/integration/running_deployment.hpp"

namespace qscd::integration {

void expect_no_secret_was_written(const RunningDeployment& deployment);

}  // namespace qscd::integration
