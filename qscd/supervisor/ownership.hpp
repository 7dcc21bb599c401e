// Who may read and write what in a deployment's folder, before the daemons start: the table stands in ownership.cpp.
// Thread rules: one thread; no daemon of this deployment runs.
#pragma once

#include <span>

#include "qscd/supervisor/separation.hpp"

namespace qscd::supervisor {

// Creates what is missing (0700) and keeps PINs at 0600. With separation on, gives each daemon what is its own, opens
// what all read, and leaves the rest, such as the root token's PIN, with the owner. What a daemon could have planted to
// be given more, symbolic and hard links, is refused. `daemons` in the order of their users. Errc::configuration names
// the path.
Result<void> settle_ownership(const policy::Deployment& deployment, std::span<const std::string_view> daemons,
                              const Separation& separation);

}  // namespace qscd::supervisor
