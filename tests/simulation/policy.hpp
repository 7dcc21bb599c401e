// The policy of all runs: two kinds of apps, and SMS. Thread rules: made at first use, then constant.
#pragma once

#include "policy/policy.hpp"

namespace qscd::sam::simulation {

const policy::Policy& trial_policy();

}  // namespace qscd::sam::simulation
