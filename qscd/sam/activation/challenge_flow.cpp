#include "qscd/sam/activation/challenge_flow.hpp"

namespace qscd::sam {
namespace {

constexpr std::string_view asked = "getChallenge";  // in records of refusals

}  // namespace

auto ChallengeFlow::on(Stimulus stimulus, Cells cells, const GivenForFactors& given) -> DecisionType {
    if (!permits(kind_of(stimulus))) return refused_as_out_of_phase();
    if (const auto* committed = std::get_if<Committed>(&stimulus))
        return phase_ == Phase::challenge_staged ? send(*committed) : answer_committed(*committed);
    if (const auto* sent = std::get_if<Sent>(&stimulus)) {
        if (!sent->outcome) return answer_now(sent->outcome.error());
        return answer_now(life_);
    }
    return open(std::move(cells), given);
}

Result<void> ChallengeFlow::admissible(const cell::Credential& cell, const policy::Profile& profile,
                                       TimePoint now) const {
    QSCD_TRY(usable(cell, now));
    if (!profile.allows(policy::Mode::explicit_mode)) return Error{Errc::access_denied};
    if (held_factor_of(cell) != policy::Factor::sms || request_->factor != policy::row_of(policy::Factor::sms).name ||
        !profile.sms())
        return Error{Errc::parameter_invalid, "", {"string", "authObjectID"}};
    if (!request_->hashes.empty()) return countable(request_->hashes, profile);
    if (profile.regime() != policy::Regime::trial) return Error{Errc::hashes_empty};
    return success();
}

auto ChallengeFlow::open(Cells cells, const GivenForFactors& given) -> DecisionType {
    const auto& client = request_->client;
    const auto now = given.now;
    if (const auto limit = given.limits.ask(client, now))
        return refuse(asked, {Errc::too_many_requests}, name_of(*limit));
    auto found = active_credential(std::move(cells.credential));
    if (!found)
        return refuse(asked, found.error(), {},
                      found.error().code == Errc::parameter_invalid ? failed_check(given.limits, client, now)
                                                                    : std::vector<Alarm>{});
    auto& cell = found.value();
    const auto* profile = given.policy.find(cell.profile());
    if (profile == nullptr) return refuse(asked, {Errc::internal, "the policy has no profile " + cell.profile()});
    if (const auto good = admissible(cell, *profile, now); !good) return refuse(asked, good.error());
    if (!cells.held_device || !cells.held_device.value())
        return refuse(asked, {Errc::internal, "the credential's phone is not there"});
    auto& phone = *cells.held_device.value();
    auto limit = too_many(cell, client, tries_of_a_challenge, profile->otp_failures_a_day(), now);
    if (!limit) limit = too_many_messages(phone, now);
    if (limit) return refuse(asked, {Errc::too_many_requests}, name_of(*limit));

    count_failed(cell, client, tries_of_a_challenge, now);  // until its authorisation succeeds
    count_message(phone, now);
    auto opened = open_challenge(cell, given.process_key, *profile->sms(), client, request_->hashes, now, given.random);
    life_ = profile->sms()->life;
    message_.emplace(phone.phone(), std::move(opened.text));
    DecisionType decision;
    decision.records.push_back({Event::challenge_opened,
                                client.text(),
                                request_->credential,
                                "ok",
                                {{"factor", request_->factor},
                                 {"hashes", std::to_string(request_->hashes.size())},
                                 {"document_code", opened.document_code}}});
    decision.cells.emplace_back(std::move(cell));
    decision.cells.emplace_back(std::move(phone));
    return staged(Phase::challenge_staged, std::move(decision));
}

auto ChallengeFlow::send(const Committed& committed) -> DecisionType {
    if (!committed.outcome) return answer_now(committed.outcome.error());
    phase_ = Phase::code_sending;
    return {.next = std::move(*message_)};
}

}  // namespace qscd::sam
