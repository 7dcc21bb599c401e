#include "qscd/sam/activation/sad_verifier.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t sad_size = 32;  // bytes of randomness

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

Error invalid(std::string_view name) { return {Errc::parameter_invalid, "", {"string", std::string{name}}}; }

Sha256Digest digest_of(const SignRequest& request) {
    const std::array<std::uint8_t, 2> how{static_cast<std::uint8_t>(request.scheme),
                                          static_cast<std::uint8_t>(request.hashes.front().algorithm())};
    Bytes all{how.begin(), how.end()};
    const auto sad = sha256(request.sad.reveal());
    all.insert(all.end(), sad.bytes().begin(), sad.bytes().end());
    for (const auto& hash : request.hashes) all.insert(all.end(), hash.bytes().begin(), hash.bytes().end());
    return sha256(all);
}

}  // namespace

cell::Sad* find_sad(cell::Credential& cell, const Sha256Digest& digest) {
    for (auto& sad : *cell.mutable_sads())
        if (std::ranges::equal(view_of(sad.digest()), digest.bytes())) return &sad;
    return nullptr;
}

void forget_old_sads(cell::Credential& cell, TimePoint now) {
    auto& sads = *cell.mutable_sads();
    for (int i = sads.size(); i-- > 0;)
        if (from_unix(sads[i].expires_at()) + sad_memory <= now) sads.DeleteSubrange(i, 1);
}

bool has_room_for_sad(const cell::Credential& cell, TimePoint now) {
    return std::ranges::count_if(cell.sads(), [&](const auto& sad) { return from_unix(sad.expires_at()) > now; }) <
           live_sads_limit;
}

SecretBytes issue_sad(cell::Credential& cell, const ClientId& client, const std::vector<DtbsR>& hashes,
                      TimePoint expires, const Random& random) {
    auto token = secret_from(random, sad_size);
    auto& sad = *cell.add_sads();
    sad.set_digest(string_of(sha256(token.reveal()).bytes()));
    sad.set_client(client.text());
    sad.set_expires_at(unix_seconds(expires));
    sad.set_hash_algorithm(static_cast<unsigned>(hashes.front().algorithm()));
    for (const auto& hash : hashes) sad.add_hashes()->set_hash(string_of(hash.bytes()));
    return token;
}

Result<cell::Answered*> answered(cell::Credential& cell, const SignRequest& request) {
    if (request.idempotency_key.empty()) return nullptr;
    for (auto& sad : *cell.mutable_sads()) {
        if (sad.client() != request.client.text()) continue;
        for (auto& answer : *sad.mutable_answered()) {
            if (answer.key() != request.idempotency_key) continue;
            if (!std::ranges::equal(view_of(answer.request_digest()), digest_of(request).bytes()))
                return invalid("Idempotency-Key");
            return &answer;
        }
    }
    return nullptr;
}

cell::Answered* answer_to(cell::Credential& cell, const Sha256Digest& sad, std::string_view key) {
    auto* kept = find_sad(cell, sad);
    if (kept == nullptr || key.empty()) return nullptr;
    const auto found = std::ranges::find(*kept->mutable_answered(), key, &cell::Answered::key);
    return found == kept->mutable_answered()->end() ? nullptr : &*found;
}

void forget_answer(cell::Credential& cell, const Sha256Digest& sad, std::string_view key) {
    auto* kept = find_sad(cell, sad);
    if (kept == nullptr) return;
    auto& all = *kept->mutable_answered();
    all.erase(std::remove_if(all.begin(), all.end(), [&](const auto& answer) { return answer.key() == key; }),
              all.end());
}

Result<Activation> SadVerifier::verify(cell::Credential& cell, const SignRequest& request, TimePoint now) {
    const auto digest = sha256(request.sad.reveal());
    auto* sad = find_sad(cell, digest);
    const auto credential = CredentialId::from(view_of(cell.id()));
    if (sad == nullptr || sad->client() != request.client.text() || credential != request.credential)
        return invalid("SAD");
    if (now >= from_unix(sad->expires_at())) return Error{Errc::sad_expired};
    if (request.hashes.empty()) return Error{Errc::hashes_empty};
    auto left = *sad;
    for (const auto& hash : request.hashes) {
        const auto occurrence = std::ranges::find_if(*left.mutable_hashes(), [&](const auto& each) {
            return !each.used() && std::ranges::equal(view_of(each.hash()), hash.bytes());
        });
        if (left.hash_algorithm() != static_cast<unsigned>(hash.algorithm()) ||
            occurrence == left.mutable_hashes()->end())
            return Error{Errc::hash_not_authorised};
        occurrence->set_used(true);
    }
    if (!request.idempotency_key.empty()) {
        auto& answer = *left.add_answered();
        answer.set_key(request.idempotency_key);
        answer.set_request_digest(string_of(digest_of(request).bytes()));
    }
    *sad = std::move(left);
    return Activation{request.credential, digest, request.hashes, request.scheme};
}

void SadVerifier::give_back(cell::Credential& cell, const Activation& activation, std::size_t first_unused) {
    auto* sad = find_sad(cell, activation.sad());
    if (sad == nullptr) return;
    for (auto i = first_unused; i < activation.hashes().size(); ++i) {
        const auto occurrence = std::ranges::find_if(*sad->mutable_hashes(), [&](const auto& each) {
            return each.used() && std::ranges::equal(view_of(each.hash()), activation.hashes()[i].bytes());
        });
        if (occurrence != sad->mutable_hashes()->end()) occurrence->set_used(false);
    }
}

}  // namespace qscd::sam
