// Which shard a new key goes to: not where people sign now, then to the least filled, then in turn. What excludes a shard
// and what ranks it stand here and nowhere else. [QSCD-21] Pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace qscd::sam {

// A shard as it is at one moment.
struct ShardLoad {
    unsigned number;
    bool usable = true;                      // its token is there and ours
    bool accepts_new = true;                 // not being drained
    bool for_qscd = true;                    // its module's entry may carry keys under QcSSCD
    std::vector<std::string> profiles = {};  // whose keys it takes; empty: all
    std::uint64_t keys = 0, limit = 1;       // there and being made; what it may be filled up to
    bool busy = false;                       // signatures were asked of it within the last second
};

struct KeyWish {
    std::string_view profile;
    bool for_qscd;  // the certificate will say QcSSCD
};

// Whether the shard could ever take such a key, whatever its state is now.
inline bool suits(const ShardLoad& shard, const KeyWish& wish) {
    return (shard.for_qscd || !wish.for_qscd) &&
           (shard.profiles.empty() || std::ranges::find(shard.profiles, wish.profile) != shard.profiles.end());
}
inline bool takes(const ShardLoad& shard, const KeyWish& wish) {
    return suits(shard, wish) && shard.usable && shard.accepts_new && shard.keys < shard.limit;
}

// The number of the shard; nothing when none takes it. `last` is the shard that got the last key, 0 at the beginning.
std::optional<unsigned> place(std::span<const ShardLoad> shards, const KeyWish& wish, unsigned last);

}  // namespace qscd::sam
