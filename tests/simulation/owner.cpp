#include "tests/simulation/owner.hpp"

#include "base/random.hpp"
#include "qscd/sam/activation/sad_verifier.hpp"

namespace qscd::sam::simulation {
namespace {

// The store's own word for where its log ends.
pb::Anchor word_of(const Tables& tables) {
    pb::Anchor out;
    if (tables.heads.empty()) return out;
    const auto& head = *tables.heads.rbegin()->second;
    out.set_epoch(epoch_of_key_name(log::key_name_of(head.text)));
    out.set_size(head.size);
    out.set_head(std::string{text_of(sha256(view_of(head.text)).bytes())});
    return out;
}

}  // namespace

Owner::Owner(unsigned number, Surroundings& around)
    : number_(number),
      around_(around),
      store_(around.disk, around.fate, number),
      custody_(around.token, around.fate, number, [&disk = around.disk] { return word_of(disk.tables()); }) {}

Result<void> Owner::start(const std::optional<Unseal>& unseal) {
    QSCD_TRY(ledger_, Ledger::open(store_, custody_, around_.clock, {unseal, {}}));
    auto done = end_intents();
    if (done) done = ledger_->commit();
    if (!done) ledger_.reset();
    return done;
}

// An intent without a result: its outcome is not known, and its occurrences stay used.
Result<void> Owner::end_intents() {
    for (const auto& [seq, intent] : std::map{ledger_->open_intents()}) {
        const auto id = *CredentialId::from(view_of(intent.credential()));
        ledger_->record({Event::sign_unknown,
                         "samd",
                         id,
                         std::string{name_of(Errc::internal)},
                         {{"intent", std::to_string(seq)}, {"reason", "found at start"}}});
        QSCD_TRY(auto cell, ledger_->credential(id));
        if (!cell) continue;
        for (auto& sad : *cell->mutable_sads())
            for (auto& answer : *sad.mutable_answered()) answer.set_done(true);
        ledger_->put(*cell);
    }
    return success();
}

void Owner::stop() {
    while (round() != 0) {}
    if (!serves()) return;
    ledger_->record({Event::stopped, "samd"});
    if (const auto stopped = ledger_->commit(); !stopped) lost_ = stopped.error();
    ledger_.reset();
}

void Owner::post(std::function<void(Ledger&)> step) { waiting_.push_back(std::move(step)); }

std::size_t Owner::round() {
    if (!serves()) return 0;
    auto steps = std::exchange(waiting_, {});
    for (auto& each : steps) each(*ledger_);
    if (!ledger_->dirty() && after_.empty()) return steps.size();
    const auto committed = ledger_->dirty() ? ledger_->commit() : Result<void>{success()};
    const auto count = steps.size() + after_.size();
    for (auto& action : std::exchange(after_, {})) action(committed);
    if (!committed && (committed.error().code == Errc::store_away || committed.error().code == Errc::fenced)) {
        while (!after_.empty())
            for (auto& action : std::exchange(after_, {})) action(committed);
        ledger_->discard();
        lost_ = committed.error();
    }
    return count;
}

void Owner::silence() {
    if (!serves() || ledger_->dirty()) return;
    const auto closed = ledger_->commit();
    if (!closed && (closed.error().code == Errc::store_away || closed.error().code == Errc::fenced))
        lost_ = closed.error();
}

// ── The flows ───────────────────────────────────────────────────────────────────────────────────────────────────────

GivenForFactors Owner::given() {
    return {
        {around_.clock.now(), ledger_->next_seq()}, around_.policy, process_key_, random_, limits_, ledger_->pin_key(),
        from_unix(ledger_->floors().app_steps())};
}

Cells Owner::cells_for(const CredentialId& credential, Reads reads) {
    Cells cells;
    if (reads == Reads::nothing) return cells;
    cells.credential = ledger_->credential(credential);
    if (!cells.credential || !cells.credential.value()) return cells;
    auto& cell = *cells.credential.value();
    cells.locked_by_floor = cell.vouched_epoch() < ledger_->floors().locked_before();
    if (around_.plant == Plant::floor_forgotten) cells.locked_by_floor = false;
    if (around_.plant == Plant::tries_back_at_restart && filled_up_.insert(credential).second)
        cell.set_pin_tries_left(around_.policy.find(cell.profile())->pin().tries);
    if (reads == Reads::credential) return cells;
    if (const auto device = held_device_of(cell)) cells.held_device = ledger_->device(*device);
    if (around_.plant == Plant::step_accepted_twice && cells.held_device && cells.held_device.value())
        cells.held_device.value()->set_last_step(0);
    return cells;
}

template <class DrivenType>
auto Owner::step(DrivenType& driven, Stimulus stimulus) {
    auto cells = cells_for(driven.flow.request().credential, driven.flow.reads(kind_of(stimulus)));
    auto decision = driven.flow.on(std::move(stimulus), std::move(cells), given());
    for (const auto& cell : decision.cells) std::visit([&](const auto& each) { ledger_->put(each); }, cell);
    for (auto& record : decision.records) ledger_->record(std::move(record));
    if (std::holds_alternative<OutOfPhase>(decision.next)) throw Violation{"a flow out of phase"};
    return std::move(decision.next);
}

template <class DrivenType>
void Owner::go_on_after_commit(const std::shared_ptr<DrivenType>& driven) {
    const auto phase = driven->flow.phase();
    const bool hasty = (around_.plant == Plant::answer_before_commit && phase == Phase::answer_staged) ||
                       (around_.plant == Plant::sign_before_intent && phase == Phase::intent_staged) ||
                       (around_.plant == Plant::result_not_awaited && phase == Phase::result_staged);
    if (hasty) return drive(driven, Committed{success()});
    after_commit([this, driven](const Result<void>& committed) { drive(driven, Committed{committed}); });
}

void Owner::ask(std::shared_ptr<const ChallengeRequest> request, Answerer<std::chrono::seconds> answer) {
    const auto opening = std::make_shared<Opening>(
        Opening{ChallengeFlow{request}, std::move(answer), {request->credential}, {}});
    post([this, opening](Ledger&) {
        opening->attempt.begun = around_.clock.now();
        drive(opening, Begin{});
    });
}

void Owner::drive(const std::shared_ptr<Opening>& opening, Stimulus stimulus) {
    auto next = step(*opening, std::move(stimulus));
    if (auto* answer = std::get_if<Answer<std::chrono::seconds>>(&next)) {
        around_.books.answered(opening->flow.request(), answer->result);
        return opening->answer(answer->result);
    }
    if (auto* message = std::get_if<SendCode>(&next)) {
        std::string text{text_of(message->text.reveal())};
        const auto& sms = *around_.policy.find("sms")->sms();
        around_.books.sent(opening->flow.request(), text, around_.clock.now(), opening->attempt.begun + sms.life,
                           number_);
        return to_phone(std::move(message->phone), std::move(text), [this, opening](bool sent) {
            post([this, opening, sent](Ledger&) {
                drive(opening,
                      Sent{sent ? Result<void>{success()} : Result<void>{Error{Errc::service_away, "notifierd"}}});
            });
        });
    }
    go_on_after_commit(opening);
}

void Owner::ask(std::shared_ptr<const AuthoriseRequest> request, Answerer<AuthorisedSad> answer) {
    Attempt attempt{request->credential, request->client.text(), request->hashes, {}, {}, number_};
    for (const auto& factor : request->factors)
        if (factor.id != "PIN") attempt.code = std::string{text_of(factor.value.reveal())};
    const auto authorising = std::make_shared<Authorising>(
        Authorising{AuthorisationFlow{request}, std::move(answer), std::move(attempt), {}});
    post([this, authorising](Ledger&) {
        auto& strand = strands_[authorising->flow.request().credential];
        strand.push_back(authorising);
        if (strand.size() == 1) drive(authorising, Begin{});
    });
}

void Owner::drive(const std::shared_ptr<Authorising>& authorising, Stimulus stimulus) {
    if (std::holds_alternative<Begin>(stimulus)) authorising->attempt.begun = around_.clock.now();
    const bool concludes = std::holds_alternative<PinEvaluated>(stimulus);
    const auto now = around_.clock.now();
    auto next = step(*authorising, std::move(stimulus));
    if (concludes) authorising->attempt.begun = now;  // a SAD token's life begins here
    if (auto* answer = std::get_if<Answer<AuthorisedSad>>(&next)) {
        const auto& request = authorising->flow.request();
        const auto life = answer->result ? answer->result.value().expires_in : std::chrono::seconds{};
        around_.books.answered(request, answer->result, authorising->attempt.begun + life);
        authorising->answer(answer->result);
        const auto strand = strands_.find(request.credential);
        strand->second.pop_front();
        if (strand->second.empty()) strands_.erase(strand);
        else drive(std::shared_ptr{strand->second.front()}, Begin{});
        return;
    }
    if (auto* pin = std::get_if<EvaluatePin>(&next)) {
        if (around_.plant == Plant::pin_whatever_the_code) {  // over the PIN that came
            const auto cell = ledger_->credential(authorising->flow.request().credential).value();
            Bytes input = bytes_of(std::string_view{"pin/v1\0", 7});
            const auto append = [&](ByteView part) { input.insert(input.end(), part.begin(), part.end()); };
            append(pin->key.bytes());
            append(authorising->flow.request().credential.bytes());
            append(view_of(cell->pin_salt()));
            append(view_of(cell->pin_policy()));
            for (const auto& factor : authorising->flow.request().factors) {
                if (factor.id != "PIN") continue;
                input.push_back(static_cast<std::uint8_t>(factor.value.size()));
                append(factor.value.reveal());
            }
            pin->input = SecretBytes{ByteView{input}};
        }
        asking_ = &authorising->attempt;
        auto mac = custody_.pin_mac(pin->key, pin->input);
        asking_ = nullptr;
        return drive(authorising, PinEvaluated{std::move(mac)});
    }
    go_on_after_commit(authorising);
}

void Owner::ask(std::shared_ptr<const SignRequest> request, Answerer<SignatureList> answer) {
    const auto signing = std::make_shared<Signing>(
        Signing{SigningFlow{request}, std::move(answer), {request->credential}, {}});
    post([this, signing](Ledger&) {
        for (const auto& each : std::exchange(unrecorded_, {})) drive(each, TryAgain{});
        signing->attempt.begun = around_.clock.now();
        drive(signing, Begin{});
    });
}

void Owner::drive(const std::shared_ptr<Signing>& signing, Stimulus stimulus) {
    auto next = step(*signing, std::move(stimulus));
    const auto& request = signing->flow.request();
    if (auto* answer = std::get_if<Answer<SignatureList>>(&next)) {
        around_.books.answered(request, *CkaId::from(request.credential.bytes()), answer->result);
        signing->answer(answer->result);
    }
    if (signing->flow.phase() == Phase::unrecorded) {
        unrecorded_.push_back(signing);
        return;
    }
    if (auto* permission = std::get_if<EnterModule>(&next)) {
        to_module(std::make_shared<ModuleJob>(
            ModuleJob{&request, signing->attempt.begun, std::move(permission->activation), permission->key,
                      [this, signing](ModuleAnswer came) {
                          const auto kept = std::make_shared<ModuleAnswer>(std::move(came));
                          post([this, signing, kept](Ledger&) { drive(signing, ModuleAnswered{std::move(*kept)}); });
                      }}));
        return;
    }
    if (std::holds_alternative<Commit>(next)) go_on_after_commit(signing);
}

}  // namespace qscd::sam::simulation
