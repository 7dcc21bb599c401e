// The types of the log's records, one row each [AUD-01]. Thread rules: constants.
#pragma once

#include <array>
#include <string_view>

namespace qscd::sam {

enum class Event {
    genesis,
    started,
    stopped,
    closing,
    grant_accepted,
    code_wrong,
    factors_set,
    key_intended,
    key_created,
    key_swept,
    credential_active,
    credential_disabled,
    credential_enabled,
    challenge_opened,
    factors_spent,
    authorised,
    authorisation_failed,
    credential_blocked,
    sign_intent,
    signed_hashes,
    sign_failed,
    sign_unknown,
    signature_bad,
    refused,
    unsealed,
    key_rotated,
    key_destroyed,
    randomness_failed,
    destruction_intended,
    shard_finding,
};

struct EventRow {
    Event event;
    std::string_view name;
};
inline constexpr std::array event_rows{
    EventRow{Event::genesis, "genesis"},
    EventRow{Event::started, "started"},
    EventRow{Event::stopped, "stopped"},
    EventRow{Event::closing, "closing"},
    EventRow{Event::grant_accepted, "grant-accepted"},
    EventRow{Event::code_wrong, "enrolment-code-wrong"},
    EventRow{Event::factors_set, "factors-set"},
    EventRow{Event::key_intended, "key-intended"},
    EventRow{Event::key_created, "key-created"},
    EventRow{Event::key_swept, "key-swept"},
    EventRow{Event::credential_active, "credential-active"},
    EventRow{Event::credential_disabled, "credential-disabled"},
    EventRow{Event::credential_enabled, "credential-enabled"},
    EventRow{Event::challenge_opened, "challenge-opened"},
    EventRow{Event::factors_spent, "factors-spent"},
    EventRow{Event::authorised, "authorised"},
    EventRow{Event::authorisation_failed, "authorisation-failed"},
    EventRow{Event::credential_blocked, "credential-blocked"},
    EventRow{Event::sign_intent, "sign-intent"},
    EventRow{Event::signed_hashes, "signed"},
    EventRow{Event::sign_failed, "sign-failed"},
    EventRow{Event::sign_unknown, "sign-outcome-unknown"},
    EventRow{Event::signature_bad, "signature-does-not-verify"},
    EventRow{Event::refused, "refused"},
    EventRow{Event::unsealed, "unsealed"},
    EventRow{Event::key_rotated, "key-rotated"},
    EventRow{Event::key_destroyed, "key-destroyed"},
    EventRow{Event::randomness_failed, "randomness-failed"},
    EventRow{Event::destruction_intended, "destruction-intended"},
    EventRow{Event::shard_finding, "shard-finding"},
};
constexpr std::string_view name_of(Event event) { return event_rows[static_cast<std::size_t>(event)].name; }
static_assert(name_of(Event::refused) == "refused" && name_of(Event::shard_finding) == "shard-finding" &&
              event_rows.size() == static_cast<std::size_t>(Event::shard_finding) + 1);

}  // namespace qscd::sam
