// The whole of it: which stimulus each phase of each flow permits, what the flow is then handed to read, and where it may
// go. A stimulus that has no row is refused and changes nothing [SAM-07]. The rows are what the flows do, no more and no
// less: the tests walk all of them. Thread rules: constants.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>

namespace qscd::sam {

enum class Flow : std::uint8_t { challenge, authorisation, signing };

enum class Phase : std::uint8_t {
    asked,             // nothing was looked at yet
    challenge_staged,  // an open challenge is in the cell, and must be durable before its code leaves
    code_sending,      // the message is with the messenger
    factors_staged,    // the code is spent, and the PIN try with it when the code was right: this must be durable first
    pin_in_module,     // the module computes the PIN's HMAC, or one of nothing
    intent_staged,     // the occurrences are used up, and the intent must be durable before the module is asked
    in_module,         // the module may sign
    result_staged,     // the result must be durable before a signature is released
    unrecorded,        // it could not be made durable: answered so; what happened goes on record when it can
    late_result_staged,  // on its way there
    answer_staged,       // the answer is decided, and its records must be durable before it is given
    ended,
};
inline constexpr std::size_t phase_count = static_cast<std::size_t>(Phase::ended) + 1;

// In the order of the alternatives of Stimulus (flow.hpp).
enum class StimulusKind : std::uint8_t {
    begin,
    committed,  // or not
    sent,       // or not
    pin_evaluated,
    module_answered,
    try_again,
};

class PhaseSet {
public:
    constexpr PhaseSet(std::initializer_list<Phase> phases) {
        for (const auto phase : phases) bits_ |= 1U << static_cast<unsigned>(phase);
    }
    constexpr bool has(Phase phase) const { return (bits_ >> static_cast<unsigned>(phase) & 1U) != 0; }

private:
    std::uint32_t bits_ = 0;
};

// Cells that a stimulus comes with.
enum class Reads : std::uint8_t { nothing, credential, credential_and_device };

struct PhaseRow {
    Flow flow;
    Phase phase;
    StimulusKind stimulus;
    Reads reads;
    PhaseSet leads_to;
};
inline constexpr auto phase_rows = [] {
    using enum Flow;
    using enum Phase;
    using enum StimulusKind;
    using enum Reads;
    return std::array{
        // A code is drawn for frozen hashes; durable; then it leaves.
        PhaseRow{challenge, asked, begin, credential_and_device, {challenge_staged, answer_staged}},
        PhaseRow{challenge, challenge_staged, committed, nothing, {code_sending, ended}},
        PhaseRow{challenge, code_sending, sent, nothing, {ended}},
        PhaseRow{challenge, answer_staged, committed, nothing, {ended}},

        // [threat model 6.2] Steps 1 to 4; durable (5); 6; 7; durable; 8.
        PhaseRow{authorisation, asked, begin, credential_and_device, {factors_staged, answer_staged}},
        PhaseRow{authorisation, factors_staged, committed, credential, {pin_in_module, answer_staged, ended}},
        PhaseRow{authorisation, pin_in_module, pin_evaluated, credential, {answer_staged}},
        PhaseRow{authorisation, answer_staged, committed, nothing, {ended}},

        // Intent; durable; C_Sign; result; durable; release.
        PhaseRow{signing, asked, begin, credential, {intent_staged, answer_staged}},
        PhaseRow{signing, intent_staged, committed, nothing, {in_module, ended}},
        PhaseRow{signing, in_module, module_answered, credential, {result_staged}},
        PhaseRow{signing, result_staged, committed, nothing, {ended, unrecorded}},
        PhaseRow{signing, unrecorded, try_again, credential, {late_result_staged}},
        PhaseRow{signing, late_result_staged, committed, nothing, {ended, unrecorded}},
        PhaseRow{signing, answer_staged, committed, nothing, {ended}},
    };
}();

// Null: not permitted.
constexpr const PhaseRow* row_of(Flow flow, Phase phase, StimulusKind stimulus) {
    for (const auto& row : phase_rows)
        if (row.flow == flow && row.phase == phase && row.stimulus == stimulus) return &row;
    return nullptr;
}
constexpr bool permitted(Flow flow, Phase phase, StimulusKind stimulus) {
    return row_of(flow, phase, stimulus) != nullptr;
}

// What the table promises, checked where it stands.
namespace phases {

// Can `flow` get from `asked` to `wanted` without being in `avoided`?
constexpr bool reachable(Flow flow, Phase wanted, PhaseSet avoided = {}) {
    std::array<bool, phase_count> at{};
    at[0] = true;
    for (std::size_t round = 0; round < phase_count; ++round)
        for (const auto& row : phase_rows)
            for (std::size_t next = 0; next < phase_count; ++next)
                if (row.flow == flow && at[static_cast<std::size_t>(row.phase)] &&
                    row.leads_to.has(static_cast<Phase>(next)) && !avoided.has(static_cast<Phase>(next)))
                    at[next] = true;
    return at[static_cast<std::size_t>(wanted)];
}
// Is `wanted` entered by this one row alone, in all flows?
constexpr bool entered_only_by(Phase wanted, Phase from, StimulusKind stimulus) {
    return std::ranges::all_of(phase_rows, [=](const PhaseRow& row) {
        return !row.leads_to.has(wanted) || (row.phase == from && row.stimulus == stimulus);
    });
}

// The module signs only what a durable intent speaks of [AUD-03], and computes a PIN's HMAC only after the tries were
// spent durably [AUTHN-08]; a code leaves only when its challenge is durable.
static_assert(entered_only_by(Phase::in_module, Phase::intent_staged, StimulusKind::committed));
static_assert(entered_only_by(Phase::pin_in_module, Phase::factors_staged, StimulusKind::committed));
static_assert(entered_only_by(Phase::code_sending, Phase::challenge_staged, StimulusKind::committed));
// No flow but the one it belongs to reaches the module.
static_assert(reachable(Flow::signing, Phase::in_module) && !reachable(Flow::challenge, Phase::in_module) &&
              !reachable(Flow::authorisation, Phase::in_module) && !reachable(Flow::signing, Phase::pin_in_module));
static_assert(!reachable(Flow::signing, Phase::in_module, {Phase::intent_staged}));
static_assert(!reachable(Flow::authorisation, Phase::pin_in_module, {Phase::factors_staged}));
// A signature was asked for, so its result is staged before the flow can end [AUD-03].
static_assert(
    row_of(Flow::signing, Phase::in_module, StimulusKind::module_answered)->leads_to.has(Phase::result_staged));
static_assert(!row_of(Flow::signing, Phase::in_module, StimulusKind::module_answered)->leads_to.has(Phase::ended));
// Nobody is answered before a commit; the one other way out is what became of a message whose challenge was committed.
static_assert(std::ranges::all_of(phase_rows, [](const PhaseRow& row) {
    return !row.leads_to.has(Phase::ended) || row.stimulus == StimulusKind::committed ||
           row.stimulus == StimulusKind::sent;
}));
// One row for each flow, phase and stimulus; none out of the end; none into the beginning; every row can be reached.
static_assert(std::ranges::all_of(phase_rows, [](const PhaseRow& row) {
    return row_of(row.flow, row.phase, row.stimulus) == &row && row.phase != Phase::ended &&
           !row.leads_to.has(Phase::asked) && reachable(row.flow, row.phase);
}));

}  // namespace phases
}  // namespace qscd::sam
