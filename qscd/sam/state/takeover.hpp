// Every start is a takeover: a new head key, every older one destroyed, and only then the store is read and compared with
// the anchors. Restart, fail-over and recovery from a commit of unknown outcome are this one path. [sam-state 4] [SAM-23]
// [AUD-05] [AUD-07] [OPS-03]  Thread rules: the core's thread.
#pragma once

#include <map>

#include "base/clock.hpp"
#include "base/log/array_tree.hpp"
#include "base/log/log_tree.hpp"
#include "qscd/sam/state/custody.hpp"
#include "qscd/sam/state/state_store.hpp"

namespace qscd::sam {

// Why a start does not go on by itself.
enum class SealReason {
    no_anchor,
    store_empty,
    store_invalid,
    store_behind,
    other_history,
    clock_back,
    unclean_starts
};

struct SealRow {
    SealReason reason;
    std::string_view text;
    bool people_may_go_on;  // by an unseal, on record
    bool locks_pins;        // what happened since is lost: each credential waits until an officer enables it
};
inline constexpr std::array seal_rows{
    SealRow{SealReason::no_anchor, "the token has no valid anchor", false, false},
    SealRow{SealReason::store_empty, "the store is empty and the anchor is not", false, false},
    SealRow{SealReason::store_invalid, "the store does not match its signed head", false, false},
    SealRow{SealReason::store_behind, "the store is older than its anchor", true, true},
    SealRow{SealReason::other_history, "the store tells another history than the anchor", true, true},
    SealRow{SealReason::clock_back, "the clock is behind the last signed head", true, false},
    SealRow{SealReason::unclean_starts, "more than three unclean starts in a day", true, false},
};
constexpr const SealRow& row_of(SealReason reason) { return seal_rows[static_cast<std::size_t>(reason)]; }

inline constexpr std::size_t unclean_starts_a_day = 3;
inline constexpr std::chrono::seconds clock_tolerance{2};           // of a clock that is being disciplined
inline constexpr std::uint64_t records_checked_at_start = 100'000;  // the newest; the others in the background

// The word of people that a sealed state may go on. Until officers approve by quorum: of the deployment's owner.
struct Unseal {
    std::string reason;
};

// Keys that the new epoch begins with: of a rotation within one process.
struct NewKeys {
    CkaId cell_key, pin_key;
};

struct Takeover {
    pb::EpochStart start;  // of the new epoch; to be attested and committed before anything is served
    std::optional<HeadRow> accepted;
    log::LogTree log;
    std::vector<Leaf> leaves;
    log::ArrayTree cells;
    std::map<std::uint64_t, pb::OpenIntent> open;  // by seq: intents without a result
    std::optional<SealReason> overridden;          // what people let go on
    bool unclean = false;
};

// Errc::sealed with the reason's text; Errc::token_away, store_away. Without `unseal` nothing of seal_rows goes on.
Result<Takeover> take_over(Custody& custody, StateStore& store, TimePoint now, const std::optional<Unseal>& unseal,
                           const std::optional<NewKeys>& keys = {});

// The head key that an epoch's paper brings in. Errc::sealed when the paper does not verify.
Result<pb::EpochStart> epoch_start(const Custody& custody, StateStore& store, std::uint64_t epoch);

}  // namespace qscd::sam
