// What a token must be before a daemon works with it: of the model that its registry entry names, and fit for what it
// shall hold, as the probe finds. [QSCD-04] [QSCD-29]
// Thread rules: what require() answers is called on threads of the Token that it was given to, one at a time.
#pragma once

#include "hsm/probe/probe.hpp"
#include "hsm/token.hpp"

namespace qscd::hsm {

struct Requirements {
    // Asked each time the token comes (back). Errc::configuration refuses it.
    std::function<Result<void>(const TokenInfo&)> model = {};
    // It must be fit for one of these; probed at Depth::start, once, when it is first there. Empty: not probed.
    std::vector<Use> one_of = {};
};

// Refuses with Errc::configuration, naming the findings, and writes down what was found ("token-probed") or why the token
// is refused ("token-unfit"). Errc::token_away when the token went away meanwhile: then it is asked again.
Admission require(Requirements wanted);

}  // namespace qscd::hsm
