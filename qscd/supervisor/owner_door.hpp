// run/qscd.sock, where the owner's commands ask a running supervisor. The mode keeps others out; each caller's user is
// checked all the same. Requests are in client.hpp's words: "connect DAEMON", "status". Thread rules: one thread.
#pragma once

#include "qscd/supervisor/run_folder.hpp"

namespace qscd::supervisor {

class OwnerDoor {
public:
    // `folder` outlives the door. Replaces a socket that a dead supervisor left: the caller holds the lock.
    static Result<OwnerDoor> open(const RunFolder& folder);
    OwnerDoor(OwnerDoor&&) = default;
    OwnerDoor& operator=(OwnerDoor&&) = delete;
    ~OwnerDoor();  // removes the socket

    int listener() const { return listener_.get(); }
    // A caller of the supervisor's user or root; empty for anyone else, who is told "error …".
    Descriptor accept() const;

private:
    OwnerDoor(const RunFolder& folder, Descriptor listener) : folder_(&folder), listener_(std::move(listener)) {}
    const RunFolder* folder_;
    Descriptor listener_;
};

}  // namespace qscd::supervisor
