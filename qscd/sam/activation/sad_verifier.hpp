// SAD tokens: handed out after approval, each authorises every hash occurrence exactly once [SAM-01] [SAM-02] [SAM-06].
// Pure functions on a cell: who commits it decides. Thread rules: none shared.
#pragma once

#include "qscd/sam/activation/activation.hpp"
#include "qscd/sam/activation/random.hpp"
#include "qscd/sam/activation/requests.hpp"
#include "qscd/sam/cells/cell.pb.h"

namespace qscd::sam {

inline constexpr int live_sads_limit = 16;              // per credential
inline constexpr std::chrono::seconds sad_memory{600};  // an expired one is remembered so long, to be called expired

// Adds a fresh SAD token to the cell and returns it; the cell keeps a digest only.
SecretBytes issue_sad(cell::Credential& cell, const ClientId& client, const std::vector<DtbsR>& hashes,
                      TimePoint expires, const Random& random);
bool has_room_for_sad(const cell::Credential& cell, TimePoint now);
void forget_old_sads(cell::Credential& cell, TimePoint now);

// The answer that was given under this Idempotency-Key. Errc::parameter_invalid when it belonged to another request.
Result<cell::Answered*> answered(cell::Credential& cell, const SignRequest& request);

// What the SAD token's cell keeps for this Idempotency-Key; null for an empty key, or when it keeps nothing.
cell::Answered* answer_to(cell::Credential& cell, const Sha256Digest& sad, std::string_view key);
// The same key may ask again.
void forget_answer(cell::Credential& cell, const Sha256Digest& sad, std::string_view key);

class SadVerifier {
public:
    // Consumes each hash occurrence in the cell. Errc::parameter_invalid (SAD), sad_expired, hash_not_authorised.
    static Result<Activation> verify(cell::Credential& cell, const SignRequest& request, TimePoint now);
    // What never entered C_Sign is given back: the occurrences from `first_unused` on.
    static void give_back(cell::Credential& cell, const Activation& activation, std::size_t first_unused);
};

cell::Sad* find_sad(cell::Credential& cell, const Sha256Digest& digest);

}  // namespace qscd::sam
