// What the drivers of the activation's flows share: cells out of the ledger, decisions into it. The rules of driving stand
// in activation/flow.hpp. Thread rules: inside a step of the core.
#pragma once

#include "base/diagnostics.hpp"
#include "qscd/sam/activation/flow.hpp"
#include "qscd/sam/sam.hpp"

namespace qscd::sam {

// What the flow's row in phases.hpp reads.
Cells cells_for(Ledger& ledger, const CredentialId& credential, Reads reads);

// Puts the decision's cells and records into the open batch, and raises its alarms; returns what comes next.
template <class T>
Next<T> stage(Ledger& ledger, Decision<T> decision) {
    for (const auto& cell : decision.cells) std::visit([&](const auto& each) { ledger.put(each); }, cell);
    for (auto& record : decision.records) ledger.record(std::move(record));
    for (const auto& alarm : decision.alarms) note(Level::alarm, alarm.event, {{"reason", alarm.reason}});
    return std::move(decision.next);
}

// One stimulus for a flow, in one uninterrupted action: read, decide, stage.
template <class FlowType, class GivenType>
auto step(Ledger& ledger, FlowType& flow, Stimulus stimulus, const GivenType& given) {
    auto cells = cells_for(ledger, flow.request().credential, flow.reads(kind_of(stimulus)));
    return stage(ledger, flow.on(std::move(stimulus), std::move(cells), given));
}

// The answer, when `next` is one. A stimulus out of phase is our own mistake: it is told, and changed nothing.
template <class T>
std::optional<Result<T>> answer_in(Next<T>& next) {
    if (auto* answer = std::get_if<Answer<T>>(&next)) return std::move(answer->result);
    if (auto* mistake = std::get_if<OutOfPhase>(&next)) {
        note(Level::alarm, "flow-out-of-phase", {{"reason", describe(mistake->error)}});
        return Result<T>{Error{Errc::internal, "a flow out of phase"}};
    }
    return std::nullopt;
}

}  // namespace qscd::sam
