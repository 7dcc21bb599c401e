// A trial whose module is watched: what the token was asked for, call by call.
#pragma once

#include "tests/attack/sam_process.hpp"
#include "tests/instruments/pkcs11_spy/call_log.hpp"

namespace qscd::attack {

struct SpiedTrial : sam::TrialSam {
    SpiedTrial();       // starts its SAM again, with the spy before the module
    void load_spied();  // the module with the spy before it; again after tokens.module.reset()
    static void start_counting();
    static std::vector<spy::Call> calls();
    // HMACs under the PIN key over a real input since start_counting(): PIN evaluations. The same work done after a wrong
    // code is over zeros and does not count.
    static std::size_t pin_evaluations();
    // A connection of its own, to ask many things at once.
    Wire gateway();
};

}  // namespace qscd::attack
