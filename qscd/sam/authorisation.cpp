#include "qscd/sam/authorisation.hpp"

#include "protocol/message.hpp"
#include "protocol/record.pb.h"
#include "qscd/sam/flow_ring.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t page = 1000, page_bytes = 1 << 20;

Result<std::vector<pb::LogRecord>> records_from(Ledger& ledger, std::uint64_t seq, std::size_t count) {
    QSCD_TRY(auto rows, ledger.records(seq, count, page_bytes));
    std::vector<pb::LogRecord> out;
    for (const auto& row : rows) {
        QSCD_TRY(auto record, protocol::decode<pb::LogRecord>(row));
        out.push_back(std::move(record));
    }
    return out;
}

// As the flows told the limits when it happened.
bool is_failed_check(const pb::LogRecord& record) {
    if (record.type() == name_of(Event::authorisation_failed)) return true;
    return record.type() == name_of(Event::refused) &&
           (record.result() == name_of(Errc::parameter_invalid) ||
            record.result() == name_of(Errc::credential_locked)) &&
           std::ranges::any_of(record.fields(), [](const auto& field) {
               return field.name() == "request" && (field.value() == "authorize" || field.value() == "getChallenge");
           });
}

PinEvaluated evaluated(Custody& custody, const EvaluatePin& pin) {
    PinEvaluated out{custody.pin_mac(pin.key, pin.input)};
    if (!pin.renewal) return out;
    if (auto renewed = custody.pin_mac(pin.renewal->key, pin.renewal->input)) out.renewed = std::move(renewed.value());
    return out;
}

}  // namespace

Result<void> Authorisation::recall(Ledger& ledger) {
    if (std::exchange(recalled_, true)) return success();
    const auto minute = std::chrono::floor<std::chrono::minutes>(sam_.clock.now());
    std::uint64_t first = 0, end = ledger.size();
    while (first < end) {  // the first record of the minute: the log is in the order of time
        const auto middle = first + (end - first) / 2;
        QSCD_TRY(auto found, records_from(ledger, middle, 1));
        if (found.empty() || from_unix(found.front().time()) < minute) first = middle + 1;
        else end = middle;
    }
    while (first < ledger.size() && !limits_.tripped(sam_.clock.now()).service) {
        QSCD_TRY(auto some, records_from(ledger, first, page));
        if (some.empty()) break;
        for (const auto& record : some)
            if (const auto portal = ClientId::from(record.actor()); portal && is_failed_check(record))
                limits_.failed(portal.value(), from_unix(record.time()));
        first += some.size();
    }
    return success();
}

GivenForFactors Authorisation::given(Ledger& ledger) {
    return {{sam_.clock.now(), ledger.next_seq()},
            sam_.policy,
            sam_.process_key,
            sam_.secrets.random(),
            limits_,
            ledger.pin_key(),
            from_unix(ledger.floors().app_steps())};
}

void Authorisation::open_challenge(Ledger& ledger, std::shared_ptr<ChallengeRequest> request,
                                   Reply<std::chrono::seconds> reply) {
    if (const auto ready = sam_.secrets.ready(*sam_.core, ledger); !ready)
        return refuse(sam_, ledger, request->client.text(), request->credential, "getChallenge", ready.error(),
                      std::move(reply));
    drive(ledger, std::make_shared<Opening>(Opening{ChallengeFlow{std::move(request)}, std::move(reply)}), Begin{});
}

void Authorisation::drive(Ledger& ledger, const std::shared_ptr<Opening>& opening, Stimulus stimulus) {
    const RequestScope scope{opening->request};
    auto next = step(ledger, opening->flow, std::move(stimulus), given(ledger));
    if (const auto answer = answer_in(next)) return opening->reply(*answer);
    if (auto* message = std::get_if<SendCode>(&next)) {
        auto sent = [this, &core = *sam_.core, opening](const Result<void>& outcome) {  // `this` is for the core alone
            core.post([this, opening, outcome](Ledger& after) { drive(after, opening, Sent{outcome}); },
                      [opening](const Error& error) { opening->reply(error); });
        };
        return sam_.messenger.send_sms(std::move(message->phone), std::move(message->text), std::move(sent));
    }
    sam_.core->after_commit(
        [this, opening](Ledger& after, const Result<void>& committed) { drive(after, opening, Committed{committed}); });
}

void Authorisation::authorise(Ledger& ledger, std::shared_ptr<AuthoriseRequest> request, Reply<AuthorisedSad> reply) {
    if (const auto ready = sam_.secrets.ready(*sam_.core, ledger); !ready)  // before a try is spent for nothing
        return refuse(sam_, ledger, request->client.text(), request->credential, "authorize", ready.error(),
                      std::move(reply));
    auto attempt = std::make_shared<Attempt>(Attempt{AuthorisationFlow{std::move(request)}, std::move(reply)});
    auto& strand = strands_[attempt->flow.request().credential];
    strand.push_back(attempt);
    if (strand.size() == 1) drive(ledger, attempt, Begin{});
}

void Authorisation::drive(Ledger& ledger, const std::shared_ptr<Attempt>& attempt, Stimulus stimulus) {
    const RequestScope scope{attempt->request};  // not that of whoever held the strand before
    auto next = step(ledger, attempt->flow, std::move(stimulus), given(ledger));
    if (const auto answer = answer_in(next)) {
        attempt->reply(*answer);
        const auto strand = strands_.find(attempt->flow.request().credential);
        strand->second.pop_front();
        if (strand->second.empty()) strands_.erase(strand);
        else drive(ledger, std::shared_ptr{strand->second.front()}, Begin{});
        return;
    }
    if (const auto* pin = std::get_if<EvaluatePin>(&next)) {
        // What follows draws the SAD token. Sources that died meanwhile are as a module that does not answer.
        const auto ready = sam_.secrets.ready(*sam_.core, ledger);
        return drive(ledger, attempt, ready ? evaluated(ledger.custody(), *pin) : PinEvaluated{ready.error()});
    }
    sam_.core->after_commit(
        [this, attempt](Ledger& after, const Result<void>& committed) { drive(after, attempt, Committed{committed}); });
}

}  // namespace qscd::sam
