// The form that the three flows of an activation share: stimuli in, decisions out. A flow holds the state of one request;
// all other state is in the cells that it is handed with a stimulus and hands back in a decision. No I/O, no clock, no
// randomness of its own: whoever drives a flow, samd's core or a simulation, brings them.
//
// How to drive one:
//   1. Make it from its request; the first stimulus is Begin.
//   2. For each stimulus read the cells that the flow's row in phases.hpp names, in the same uninterrupted action, and call
//      on(). Put the decision's cells and records into the open batch, before any other flow reads.
//   3. Do what `next` says, and bring its outcome back as the next stimulus. What was staged is durable or gone before
//      Committed comes. A flow in Phase::ended may be dropped at any time; in Phase::unrecorded it is kept for TryAgain.
//   4. A crash drops all flows. Nothing else needs to be undone: what the cells say is what is true.
// One authorisation at a time for each credential: the driver lets the others wait.
// Thread rules: a flow is its driver's; values are moved along.
#pragma once

#include <memory>
#include <optional>
#include <variant>

#include "policy/policy.hpp"
#include "qscd/sam/activation/challenge.hpp"
#include "qscd/sam/activation/credential_rules.hpp"
#include "qscd/sam/activation/limits.hpp"
#include "qscd/sam/activation/module_answer.hpp"
#include "qscd/sam/activation/phases.hpp"
#include "qscd/sam/cells/entry.hpp"

namespace qscd::sam {

// ── In ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

struct Begin {};
// The batch with what the flow staged is durable, or the reason why it is not: then nothing of it was kept.
struct Committed {
    Result<void> outcome;
};
struct Sent {
    Result<void> outcome;
};
// HMAC under K_pin over what EvaluatePin named.
struct PinEvaluated {
    Result<Bytes> mac;
    std::optional<Bytes> renewed = {};  // under the key of EvaluatePin's renewal; absent when it could not be made
};
struct ModuleAnswered {
    ModuleAnswer answer;
};
// Something can be recorded again: the result that could not.
struct TryAgain {};
using Stimulus = std::variant<Begin, Committed, Sent, PinEvaluated, ModuleAnswered, TryAgain>;

constexpr StimulusKind kind_of(const Stimulus& stimulus) { return static_cast<StimulusKind>(stimulus.index()); }
static_assert(std::variant_size_v<Stimulus> == static_cast<std::size_t>(StimulusKind::try_again) + 1);
static_assert(std::is_same_v<Committed, std::variant_alternative_t<1, Stimulus>> &&
              std::is_same_v<Sent, std::variant_alternative_t<2, Stimulus>> &&
              std::is_same_v<PinEvaluated, std::variant_alternative_t<3, Stimulus>> &&
              std::is_same_v<ModuleAnswered, std::variant_alternative_t<4, Stimulus>>);

// The cells as staged or last committed. Nothing: the array does not know it. An error: an alarm, not an absence.
struct Cells {
    Result<std::optional<cell::Credential>> credential = std::optional<cell::Credential>{};
    Result<std::optional<cell::Device>> held_device = std::optional<cell::Device>{};  // see held_device_of()
    // Its counters may have been put back behind our back, and nobody vouched for them since: it is as blocked, and no SAD
    // token of it counts. [sam-state 4]
    bool locked_by_floor = false;
};

// The moment of a stimulus.
struct Given {
    TimePoint now;
    std::uint64_t next_seq;  // the number of the next record in the log
};
// What checking factors takes besides. The policy outlives every flow.
struct GivenForFactors : Given {
    const policy::Policy& policy;
    const ProcessKey& process_key;
    const Random& random;
    Limits& limits;              // asked before anything is spent, told about every failed check
    CkaId pin_key;               // of new verifiers, and of cells that name none
    TimePoint steps_spent = {};  // whatever app code could be accepted up to this time is spent, whatever its cell says
};

// ── Out ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Next: Committed, once the open batch is durable.
struct Commit {};
// Next: PinEvaluated. The call is made whichever factor failed: then its input means nothing.
struct EvaluatePin {
    CkaId key;
    SecretBytes input;
    // Of a verifier whose key is being retired: a second call, whichever factor failed [QSCD-19].
    struct Renewal {
        CkaId key;
        SecretBytes input;
    };
    std::optional<Renewal> renewal = std::nullopt;
};
// Next: Sent.
struct SendCode {
    std::string phone;
    SecretBytes text;
};
// The one permission to enter C_Sign with a signer's key, for these hashes. Next: ModuleAnswered.
struct EnterModule {
    Activation activation;
    CkaId key;
    Bytes public_key;  // the certified one, DER
    unsigned shard;    // where the key is, as its cell says: number and label
    std::string token;
};
template <class T>
struct Answer {
    Result<T> result;
};
// Nothing is left to do.
struct Rest {};
// The stimulus had no row: the driver's mistake, and nothing changed. Errc::out_of_order.
struct OutOfPhase {
    Error error;
};
template <class T>
using Next = std::variant<Commit, EvaluatePin, SendCode, EnterModule, Answer<T>, Rest, OutOfPhase>;

using Cell = std::variant<cell::Credential, cell::Device>;
// For the operator, now; what must be evidence is a record.
struct Alarm {
    std::string_view event;
    std::string reason;
};
template <class T>
struct Decision {
    std::vector<Cell> cells = {};     // to put
    std::vector<Entry> records = {};  // to write, in this order
    std::vector<Alarm> alarms = {};
    Next<T> next = Rest{};
};

// Tells the limits that a check failed; returns the alarms to raise.
std::vector<Alarm> failed_check(Limits& limits, const ClientId& portal, TimePoint now);

// ── What all flows have ─────────────────────────────────────────────────────────────────────────────────────────────

template <Flow which, class Request, class T>
class FlowOf {
public:
    static constexpr Flow flow = which;
    using AnswerType = T;
    using DecisionType = Decision<T>;

    Phase phase() const { return phase_; }
    const Request& request() const { return *request_; }
    bool permits(StimulusKind stimulus) const { return permitted(which, phase_, stimulus); }
    // What to read for this stimulus; nothing where it is not permitted.
    Reads reads(StimulusKind stimulus) const {
        const auto* row = row_of(which, phase_, stimulus);
        return row == nullptr ? Reads::nothing : row->reads;
    }

protected:
    explicit FlowOf(std::shared_ptr<const Request> request) : request_(std::move(request)) {}

    DecisionType refused_as_out_of_phase() const {
        return {.next = OutOfPhase{{Errc::out_of_order, "not in this phase"}}};
    }
    DecisionType staged(Phase next, DecisionType decision) {
        phase_ = next;
        decision.next = Commit{};
        return decision;
    }
    // Stages what `decision` holds, and gives the answer once it is durable.
    DecisionType answer_later(DecisionType decision, Result<T> answer) {
        pending_.emplace(std::move(answer));
        return staged(Phase::answer_staged, std::move(decision));
    }
    DecisionType answer_now(Result<T> answer, Phase next = Phase::ended) {
        phase_ = next;
        return {.next = Answer<T>{std::move(answer)}};
    }
    // On the record, and answered once that is durable [AUD-01]. `why` is for the sealed field.
    DecisionType refuse(std::string_view asked, Error error, std::string_view why = {},
                        std::vector<Alarm> alarms = {}) {
        DecisionType decision{.alarms = std::move(alarms)};
        decision.records.push_back({Event::refused,
                                    request_->client.text(),
                                    request_->credential,
                                    std::string{name_of(error.code)},
                                    {{"request", std::string{asked}}},
                                    std::string{why}});
        return answer_later(std::move(decision), std::move(error));
    }
    // What was staged for the answer is durable, or it is not.
    DecisionType answer_committed(const Committed& committed) {
        if (!committed.outcome) return answer_now(committed.outcome.error());
        return answer_now(std::move(*pending_));
    }

    Phase phase_ = Phase::asked;
    std::shared_ptr<const Request> request_;
    std::optional<Result<T>> pending_;
};

}  // namespace qscd::sam
