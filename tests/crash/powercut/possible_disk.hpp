// A power cut: from what a disk surely has (Shadow) and what was written since, one of the disks that may be found
// afterwards. Each page of 4,096 bytes, or each sector of 512, that was written and not synced is old or new; so is a
// file's length; a name made, removed or moved since its folder's sync is there or not, a rename wholly or not at all.
// Nobody may write below the root meanwhile. Thread rules: none shared.
#pragma once

#include <random>

#include "tests/crash/powercut/shadow.hpp"

namespace qscd::crash {

struct Loss {
    std::size_t pages = 0, torn = 0, lengths = 0, names = 0;  // that are not as they were written
    std::size_t total() const { return pages + lengths + names; }
};

// Puts the disk in place; all of it is durable then.
Loss cut_power(const Shadow& shadow, std::mt19937_64& random);

}  // namespace qscd::crash
