#include "qscd/sam/roll_call.hpp"

#include "base/diagnostics.hpp"

namespace qscd::sam {
namespace {

using cell::Credential;

constexpr std::size_t cells_a_step = 200;    // between the requests of others
constexpr std::size_t most_findings = 1000;  // told of one comparison; the rest with the next

bool holds_a_key(Credential::State state) {
    return state == Credential::KEY || state == Credential::ACTIVE || state == Credential::DISABLED;
}

std::string number_of(const Shard& shard) { return std::to_string(shard.settings().number); }

}  // namespace

bool is_being_destroyed(Ledger& ledger, const CredentialId& credential) {
    const auto cell = ledger.credential(credential);
    return cell && cell.value() && cell.value()->state() == Credential::DESTROYING;
}

void put_destroyed(Ledger& ledger, const Shard& shard, const CkaId& key, const CredentialId& credential,
                   std::string_view reason) {
    auto cell = ledger.credential(credential);
    if (cell && cell.value() && cell.value()->state() != Credential::DESTROYED) {
        cell.value()->set_state(Credential::DESTROYED);
        ledger.put(*cell.value());
    }
    Fields fields{{"cka_id", key.hex()}, {"shard", number_of(shard)}};
    if (!reason.empty()) fields.emplace_back("reason", std::string{reason});
    ledger.record({Event::key_destroyed, "samd", credential, "ok", std::move(fields)});
}

void RollCall::begin() {
    for (const auto& shard : sam_.shards.all()) shard->call_with([this](Shard& each) { call(each); });
}

void RollCall::call(Shard& shard) {
    const auto again = [&shard](const Error&) { shard.call_again(); };
    sam_.core->post(
        [this, &shard](Ledger& ledger) {
            shard.write(
                [this, &shard, genesis = ledger.custody().genesis_digest()](hsm::Token&) { list(shard, genesis); },
                [] {});
        },
        again);
}

void RollCall::list(Shard& shard, const Sha256Digest& genesis) {
    const auto claim = shard.check_claim(genesis);
    if (!claim) return;  // away again: called when it is back
    auto keys = claim.value() == Claim::another ? std::vector<CkaId>{} : shard.token().private_keys();
    if (!keys) return shard.call_again();
    shard.counted(keys.value().size());
    const auto pass = std::make_shared<Pass>(
        Pass{shard, claim.value(), {keys.value().begin(), keys.value().end()}, 0, true, false, {}, {}, {}, {}});
    sam_.core->post([this, pass](Ledger& ledger) { compare(ledger, pass); },
                    [pass](const Error&) { pass->shard.call_again(); });
}

void RollCall::compare(Ledger& ledger, const std::shared_ptr<Pass>& pass) {
    auto& shard = pass->shard;
    if (pass->claim == Claim::another) return record(ledger, shard, {{}, {}, {{"belongs to another SAM"}}});
    const auto next = ledger.walk_credentials(pass->next, cells_a_step, [&](const Result<Credential>& cell) {
        if (cell) look_at(sam_.shards, cell.value(), *pass);
        else pass->complete = false;
    });
    const auto again = [pass](const Error&) { pass->shard.call_again(); };
    if (!next) return again(next.error());
    pass->next = next.value();
    if (pass->next < ledger.cell_count())
        return sam_.core->post([this, pass](Ledger& later) { compare(later, pass); }, again);
    // People let go on from a state that may have forgotten keys which are still wanted.
    pass->history_lost = ledger.floors().locked_before() != 0;
    shard.write(
        [this, pass, again](hsm::Token& token) {
            auto outcome = std::make_shared<Outcome>(act(*pass, token));
            sam_.core->post([this, pass, outcome](Ledger& later) { record(later, pass->shard, *outcome); }, again);
        },
        [] {});
}

void RollCall::look_at(const Shards& shards, const Credential& cell, Pass& pass) {
    const auto key = CkaId::from(view_of(cell.cka_id()));
    const auto credential = CredentialId::from(view_of(cell.id()));
    if (!key || !credential) return;
    const bool there = pass.strange.erase(*key) != 0;
    const auto* recorded = shards.find(cell);
    if (recorded != &pass.shard) {
        if (there && cell.state() != Credential::RESERVED && cell.state() != Credential::FACTORS)
            pass.elsewhere.push_back({*key, *credential});
        return;
    }
    if (cell.state() == Credential::DESTROYING) pass.to_destroy.push_back({*key, *credential});
    else if (cell.state() == Credential::DESTROYED && there) pass.back_again.push_back({*key, *credential});
    else if (holds_a_key(cell.state()) && !there) pass.absent.push_back({*key, *credential});
}

RollCall::Outcome RollCall::act(Pass& pass, hsm::Token& token) {
    Outcome out;
    const auto destroyed = [&](const CkaId& key) {
        const auto gone = token.destroy(key);
        if (!gone) pass.shard.saw(gone.error());
        return gone.has_value();
    };
    if (pass.claim == Claim::fresh) out.findings.push_back({"claimed"});
    for (const auto& each : pass.to_destroy)
        if (destroyed(each.key)) out.destroyed.push_back(each);
    for (const auto& each : pass.back_again)  // it may have been destroyed since the list
        if (token.find_private(each.key) && destroyed(each.key)) out.destroyed_again.push_back(each);
    const bool orphans_go = !pass.shard.adopted() && pass.complete && !pass.history_lost;
    for (const auto& key : pass.strange) {
        if (orphans_go && !destroyed(key)) continue;
        out.findings.push_back({orphans_go ? "orphan destroyed" : "orphan left alone", key});
    }
    for (const auto& each : pass.elsewhere) out.findings.push_back({"key of another shard", each.key, each.credential});
    for (const auto& each : pass.absent) {  // it may have been made since the list
        const auto found = token.find_private(each.key);
        if (!found && found.error().code == Errc::key_gone)
            out.findings.push_back({"key not there", each.key, each.credential});
    }
    return out;
}

void RollCall::record(Ledger& ledger, Shard& shard, const Outcome& outcome) {
    for (const auto& each : outcome.destroyed)
        if (is_being_destroyed(ledger, each.credential)) put_destroyed(ledger, shard, each.key, each.credential);
    for (const auto& each : outcome.destroyed_again) {
        note(Level::alarm, "destroyed-key-came-back", {{"shard", number_of(shard)}, {"cka_id", each.key.hex()}});
        put_destroyed(ledger, shard, each.key, each.credential, "it was in the token again");
    }
    auto& told = told_[shard.settings().number];
    std::size_t count = 0;
    for (const auto& each : outcome.findings) {
        const auto key = each.key ? each.key->hex() : std::string{};
        if (count == most_findings || !told.insert(std::string{each.finding} + key).second) continue;
        ++count;
        Fields fields{
            {"shard", number_of(shard)}, {"token", shard.settings().token}, {"finding", std::string{each.finding}}};
        if (each.key) fields.emplace_back("cka_id", key);
        ledger.record({Event::shard_finding, "samd", each.credential, "ok", std::move(fields)});
        note(each.finding == "claimed" ? Level::info : Level::alarm, "shard-finding",
             {{"shard", number_of(shard)}, {"finding", std::string{each.finding}}, {"cka_id", key}});
    }
}

}  // namespace qscd::sam
