#include "qscd/sam/placement.hpp"

namespace qscd::sam {
namespace {

__extension__ using Wide = unsigned __int128;

// left.keys / left.limit < right.keys / right.limit, exactly.
bool less_filled(const ShardLoad& left, const ShardLoad& right) {
    return static_cast<Wide>(left.keys) * right.limit < static_cast<Wide>(right.keys) * left.limit;
}

}  // namespace

std::optional<unsigned> place(std::span<const ShardLoad> shards, const KeyWish& wish, unsigned last) {
    const auto in_turn = [&](const ShardLoad& left, const ShardLoad& right) {
        const bool left_waits = left.number > last, right_waits = right.number > last;
        return left_waits != right_waits ? left_waits : left.number < right.number;
    };
    const auto better = [&](const ShardLoad& left, const ShardLoad& right) {
        if (left.busy != right.busy) return right.busy;
        if (less_filled(left, right)) return true;
        if (less_filled(right, left)) return false;
        return in_turn(left, right);
    };
    const ShardLoad* best = nullptr;
    for (const auto& each : shards)
        if (takes(each, wish) && (best == nullptr || better(each, *best))) best = &each;
    return best == nullptr ? std::nullopt : std::optional{best->number};
}

}  // namespace qscd::sam
