// How the command line reaches a running deployment. Waits 10 seconds at most. Thread rules: safe from every thread.
// Errors: Errc::service_away when the deployment is not running, or the daemon is not; Errc::access_denied when it is
// another user's; Errc::parameter_invalid when there is no daemon of that name.
#pragma once

#include "base/file.hpp"
#include "policy/deployment.hpp"

namespace qscd::supervisor {

// Our end of a new connection to `daemon`, which serves it under the role "bootstrap": a protocol::Client takes it.
Result<Descriptor> connect_to(const policy::Deployment& deployment, std::string_view daemon);

// JSON: {"separation":"on|off","separation_reason":…,"daemons":[{"name","pid","state":"starting|ready|waiting",
// "restarts","uid","delay_ms"}]}. `pid` is 0 while waiting; `delay_ms` is the pause before the last or next restart.
Result<std::string> status(const policy::Deployment& deployment);

}  // namespace qscd::supervisor
