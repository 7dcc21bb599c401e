#include "qscd/sam/destruction.hpp"

#include "qscd/sam/activation/credential_rules.hpp"
#include "qscd/sam/roll_call.hpp"

namespace qscd::sam {

using cell::Credential;

void Destruction::destroy(Ledger& ledger, const std::string& actor, const CredentialId& id, const std::string& reason,
                          const Reply<pb::Done>& reply) {
    const auto refused = [&](Error error) { refuse(sam_, ledger, actor, id, "destroy", std::move(error), reply); };
    auto found = active_credential(ledger.credential(id));
    if (!found) return refused(found.error());
    auto& cell = found.value();
    if (cell.state() == Credential::DESTROYED) return answer_after_commit<pb::Done>(sam_, {}, reply);
    const auto shard = sam_.shards.of(cell);
    if (!shard) return refused(shard.error());
    const auto key = CkaId::from(view_of(cell.cka_id()));
    if (!key) return refused({Errc::internal, "the cell has no key"});
    if (cell.state() != Credential::DESTROYING) {
        cell.set_state(Credential::DESTROYING);
        cell.clear_sads();
        cell.clear_challenge();
        ledger.put(cell);
        ledger.record({Event::destruction_intended,
                       actor,
                       id,
                       "ok",
                       {{"cka_id", key->hex()},
                        {"shard", std::to_string(shard.value()->settings().number)},
                        {"reason", reason}}});
    }
    const auto away = [reply](const Error& error) { reply(error); };
    const auto dropped = [reply] { reply(Error{Errc::service_away, "the SAM stops"}); };
    sam_.core->after_commit([this, actor, id, key = *key, where = shard.value(), reply, away, dropped,
                             request = current_request()](Ledger&, const Result<void>& committed) {
        if (!committed) return reply(committed.error());
        where->write(
            [=, this](hsm::Token& token) {
                const RequestScope scope{request};
                const auto gone = token.destroy(key);
                sam_.core->post(
                    [=, this](Ledger& after) {
                        if (!gone) {
                            where->saw(gone.error());
                            return refuse(sam_, after, actor, id, "destroy", gone.error(), reply);
                        }
                        if (is_being_destroyed(after, id)) put_destroyed(after, *where, key, id);
                        answer_after_commit<pb::Done>(sam_, {}, reply);
                    },
                    away);
            },
            dropped);
    });
}

}  // namespace qscd::sam
