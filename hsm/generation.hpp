// Making keys in a token, and reading back what the token says of them. Private to the room. [QSCD-01] [QSCD-02]
#pragma once

#include "hsm/session.hpp"

namespace qscd::hsm {

// Where a key lives: in the token, as long as the session that made it (the probe's), or until it is wrapped. The last is
// the one key that may leave the module, and only under a wrapping key [QSCD-30].
enum class Lifetime { token, session, until_wrapped };

// The caller holds the module's gate and syncs afterwards. A key whose attributes read back differently is destroyed;
// where that fails, the session is closed.
Result<GeneratedKey> generate_key_pair(Session& session, KeyKind kind, const CkaId& id, const std::string& label,
                                       Lifetime lifetime = Lifetime::token);
Result<std::shared_ptr<KeyObject>> generate_secret_key(Session& session, const CkaId& id, const std::string& label,
                                                       Lifetime lifetime = Lifetime::token);

}  // namespace qscd::hsm
