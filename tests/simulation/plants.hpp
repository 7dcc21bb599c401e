// Bugs to plant: what samd or what it stands on would do wrong. Each must be found, or the simulation is blind.
// Thread rules: constants.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace qscd::sam::simulation {

enum class Plant : std::uint8_t {
    none,
    answer_before_commit,         // an answer leaves when its records are only staged
    sign_before_intent,           // the module is asked when the intent is only staged
    tries_back_at_restart,        // a start fills up the PIN tries of whoever comes first
    ignored_anchor,               // a start takes the store's word for where the log ends
    step_accepted_twice,          // the app's last step is forgotten
    old_owner_keeps_its_key,      // a takeover leaves the older head keys in the token
    conflicts_are_overwritten,    // and the store takes whatever is written last
    used_when_entered_forgotten,  // a C_Sign that failed counts as never entered
    store_not_synced,             // the store answers before the disk has it
    anchor_not_written,           // the anchor is answered and not written
    result_not_awaited,           // a signature leaves when its result is only staged
    pin_whatever_the_code,        // the PIN is evaluated after a wrong code, too
    sads_kept_by_officer,  // SAD tokens of a rolled-back state count again once an officer vouched for the credential
    floor_forgotten,       // credentials of a rolled-back state are not locked
};

struct PlantRow {
    Plant plant;
    std::string_view name;
};
inline constexpr std::array plant_rows{
    PlantRow{Plant::none, "none"},
    PlantRow{Plant::answer_before_commit, "answer-before-commit"},
    PlantRow{Plant::sign_before_intent, "sign-before-intent"},
    PlantRow{Plant::tries_back_at_restart, "tries-back-at-restart"},
    PlantRow{Plant::ignored_anchor, "ignored-anchor"},
    PlantRow{Plant::step_accepted_twice, "step-accepted-twice"},
    PlantRow{Plant::old_owner_keeps_its_key, "old-owner-keeps-its-key"},
    PlantRow{Plant::conflicts_are_overwritten, "conflicts-are-overwritten"},
    PlantRow{Plant::used_when_entered_forgotten, "used-when-entered-forgotten"},
    PlantRow{Plant::store_not_synced, "store-not-synced"},
    PlantRow{Plant::anchor_not_written, "anchor-not-written"},
    PlantRow{Plant::result_not_awaited, "result-not-awaited"},
    PlantRow{Plant::pin_whatever_the_code, "pin-whatever-the-code"},
    PlantRow{Plant::sads_kept_by_officer, "sads-kept-by-officer"},
    PlantRow{Plant::floor_forgotten, "floor-forgotten"},
};
constexpr std::string_view name_of(Plant plant) { return plant_rows[static_cast<std::size_t>(plant)].name; }
constexpr std::optional<Plant> plant_named(std::string_view name) {
    for (const auto& row : plant_rows)
        if (row.name == name) return row.plant;
    return std::nullopt;
}

}  // namespace qscd::sam::simulation
