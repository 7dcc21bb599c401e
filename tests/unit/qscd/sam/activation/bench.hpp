// A driver of the three flows without a ledger, a module or a clock: cells in memory, durable and staged, and faults on
// request. A value: copying it copies the whole SAM, so that tests can go on from one state in many ways.
#pragma once

#include <gtest/gtest.h>

#include "qscd/sam/activation/authorisation_flow.hpp"
#include "qscd/sam/activation/challenge_flow.hpp"
#include "qscd/sam/activation/sad_verifier.hpp"
#include "qscd/sam/activation/signing_flow.hpp"

namespace qscd::sam::bench {

using namespace std::chrono_literals;

inline const TimePoint noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h;
inline const ClientId portal = ClientId::from("portal").value(), other_portal = ClientId::from("other").value();
inline const std::string right_pin = "48151623", wrong_pin = "00000000";
inline constexpr unsigned pin_tries = 3;

const policy::Policy& trial_policy();  // profiles: totp, sms, lcp (qualified regime), page
DtbsR hash_of(char document);
template <std::uint8_t n, class Id>
Id id() {
    std::array<std::uint8_t, Id::size> bytes{};
    bytes.fill(n);
    return Id{bytes};
}
inline const CredentialId anna = id<1, CredentialId>(), boris = id<2, CredentialId>();
inline const CkaId pin_key = id<3, CkaId>();
std::string totp(std::int64_t step);  // of everybody's app: period 30, 6 digits

// What goes wrong while one request is served. A crash loses what is not durable and all that is in memory, and the
// process starts again.
enum class Fault {
    none,
    first_commit_fails,
    second_commit_fails,  // and can be made later
    crash_at_first_commit,
    crash_at_second_commit,
    mac_fails,
    code_not_sent,
    token_away,          // before C_Sign was entered
    module_fails,        // after C_Sign was entered
    crash_in_module,     // after C_Sign
    module_lies,         // its signature does not verify
    disabled_meanwhile,  // after the first commit
};

// Bugs to plant: what a flow or its driver would do wrong. Tests show that they are found.
enum class Bug {
    none,
    code_is_not_spent,
    pin_try_is_not_spent,
    wrong_code_costs_a_pin_try,
    pin_is_evaluated_after_a_wrong_code,
    pin_is_remembered,
    wrong_pin_is_right,
    tries_come_back_at_start,
    challenge_survives_a_start,
    occurrence_is_not_used_up,
    occurrence_comes_back_after_a_crash,
    sad_lives_for_ever,
    disabled_signs,
    bad_signature_is_released,
    answered_before_the_commit,
    module_is_asked_before_the_commit,
    result_is_not_recorded,
};

struct CellSet {
    cell::Credential anna, boris;
    cell::Device device;  // Anna's: a phone or an app
};

struct Sam {
    explicit Sam(const std::string& profile = "totp");  // "totp": Anna's app; else her phone

    Result<std::chrono::seconds> open_challenge(std::vector<DtbsR> hashes = {hash_of('a')}, Fault fault = Fault::none,
                                                const ClientId& client = portal, const std::string& factor = "SMS");
    struct Ask {
        std::string pin = right_pin, code = {};
        std::vector<DtbsR> hashes{hash_of('a')};
        ClientId client = portal;
        std::vector<std::pair<std::string, std::string>> factors = {};  // instead of PIN and code
    };
    // The token that was given; a crash is Errc::service_away.
    Result<Bytes> authorise(const Ask& ask, Fault fault = Fault::none);
    struct SignAsk {
        Bytes sad;
        std::vector<DtbsR> hashes{hash_of('a')};
        std::string key = {};
        ClientId client = portal;
        CredentialId credential = anna;
        Scheme scheme = Scheme::ecdsa;
    };
    Result<SignatureList> sign(const SignAsk& ask, Fault fault = Fault::none);
    void restart();

    std::string current_code() const { return app ? totp(unix_seconds(now) / 30) : last_code; }
    std::string wrong_code() const { return current_code() == "999999" ? "999998" : "999999"; }
    cell::Credential& of(const CredentialId& credential) { return credential == anna ? durable.anna : durable.boris; }
    std::vector<Event> events() const;  // durable ones since the log was cleared

    // State.
    bool app;
    Bug bug = Bug::none;
    TimePoint now = noon;
    CellSet durable, staged;
    std::vector<Entry> log, staged_log;
    std::shared_ptr<const ProcessKey> process;
    Limits limits;
    TimePoint steps_spent{};
    bool locked_by_floor = false;
    std::uint64_t draws = 0;
    std::string last_code;  // in the newest message
    std::size_t alarms = 0;

    // What was seen.
    unsigned pins_evaluated = 0, nothing_evaluated = 0, messages = 0;
    std::vector<std::size_t> input_sizes;              // of what the module computed over
    std::vector<std::pair<CredentialId, DtbsR>> made;  // each C_Sign that was entered
    bool crashed = false;                              // in the last request

    // For tests of single flows.
    Cells cells_for(const CredentialId& credential, Reads reads) const;
    GivenForFactors given(const Random& source, TimePoint at) {
        return {{at, log_size + staged_log.size()}, trial_policy(), *process, source, limits, pin_key, steps_spent};
    }
    Random random();  // depends on how much was drawn
    static Bytes pin_mac(const CkaId& key, ByteView input);
    static Bytes signature(const CkaId& key, const DtbsR& hash);
    std::uint64_t log_size = 0;

private:
    template <class FlowType>
    Result<typename FlowType::AnswerType> drive(FlowType flow, Fault fault);
    template <class T>
    void stage(Decision<T>& decision, Phase before);
    void plant(Phase before);
    Result<void> commit();
    Result<Bytes> evaluate(const EvaluatePin& pin, Fault fault);
    ModuleAnswer enter(EnterModule permission, Fault fault);
    bool pin_was_right_ = false;
};

// Each change of phase that any flow made in this process.
struct Transition {
    Flow flow;
    Phase from;
    StimulusKind stimulus;
    Phase to;
};
bool was_seen(const Transition& transition);

// One stimulus, on the record of was_seen().
void saw(const Transition& transition);
template <class FlowType, class GivenType>
auto step(FlowType& flow, Stimulus stimulus, Cells cells, const GivenType& given) {
    const auto before = flow.phase();
    const auto kind = kind_of(stimulus);
    auto decision = flow.on(std::move(stimulus), std::move(cells), given);
    if (!std::holds_alternative<OutOfPhase>(decision.next)) saw({FlowType::flow, before, kind, flow.phase()});
    return decision;
}

}  // namespace qscd::sam::bench
