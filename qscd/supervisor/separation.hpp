// Whether each daemon can run under a user of its own [SAM-20]. Where it cannot, it is said, not hidden: `reason` stands
// in the status and in health. Thread rules: forks; call from one thread.
#pragma once

#include <optional>
#include <span>

#include "policy/deployment.hpp"

namespace qscd::supervisor {

struct Separation {
    bool on = false;
    std::string reason = {};  // why it is off
    unsigned first_user = 0;

    // uid and gid of the daemon at this place of the table.
    std::optional<unsigned> user_of(std::size_t place) const {
        if (!on) return std::nullopt;
        return first_user + static_cast<unsigned>(place);
    }
};

// Off unless we are root, the deployment wants it, and each daemon's user can enter the deployment and run its binary
// (tried in a process that really is that user). Opens the deployment's folder (0755) for the trial; closed again when
// the answer is no. `binaries` in the order of the daemons.
Separation decide_separation(const policy::Deployment& deployment, std::span<const std::filesystem::path> binaries);

}  // namespace qscd::supervisor
