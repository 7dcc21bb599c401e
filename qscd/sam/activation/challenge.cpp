#include "qscd/sam/activation/challenge.hpp"

#include <openssl/hmac.h>

namespace qscd::sam {
namespace {

constexpr std::string_view crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t document_code_length = 8;

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

Bytes sorted_hashes(const std::vector<DtbsR>& hashes) {
    auto sorted = hashes;
    std::ranges::sort(sorted);
    Bytes out;
    for (const auto& hash : sorted) out.insert(out.end(), hash.bytes().begin(), hash.bytes().end());
    return out;
}

}  // namespace

ProcessKey::ProcessKey(const Random& random)
    : process_(string_of(fixed_from<FixedBytes<struct ProcessTag, 16>>(random).bytes())),
      key_(secret_from(random, 32)) {}

Bytes ProcessKey::mac(ByteView nonce, const SecretBytes& code) const {
    Bytes message{nonce.begin(), nonce.end()};
    message.reserve(message.size() + code.size());
    message.insert(message.end(), code.reveal().begin(), code.reveal().end());
    Bytes out(32);
    const auto key = key_.reveal();
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(), out.data(), nullptr);
    wipe(message);
    return out;
}

Sha256Digest hash_set_of(const std::vector<DtbsR>& hashes) {
    const auto algorithm = static_cast<std::uint8_t>(hashes.front().algorithm());
    return sha256({ByteView{&algorithm, 1}, sorted_hashes(hashes)});
}

std::string document_code(const Nonce& nonce, const std::vector<DtbsR>& hashes) {
    const auto count = hashes.size();
    const std::array<std::uint8_t, 5> head{static_cast<std::uint8_t>(hashes.front().algorithm()),
                                           static_cast<std::uint8_t>(count >> 24),
                                           static_cast<std::uint8_t>(count >> 16),
                                           static_cast<std::uint8_t>(count >> 8), static_cast<std::uint8_t>(count)};
    const auto digest = sha256({view_of("doc/v1"), nonce.bytes(), head, sorted_hashes(hashes)});
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < 5; ++i) bits = bits << 8 | digest.bytes()[i];
    std::string out;
    for (std::size_t i = 0; i < document_code_length; ++i) out += crockford[bits >> (35 - 5 * i) & 31];
    return out;
}

OpenedChallenge open_challenge(cell::Credential& cell, const ProcessKey& key, const policy::SmsRules& rules,
                               const ClientId& client, const std::vector<DtbsR>& hashes, TimePoint now,
                               const Random& random) {
    const auto nonce = fixed_from<Nonce>(random);
    const auto code = digits_from(random, rules.digits);
    auto& challenge = *cell.mutable_challenge();
    challenge.Clear();
    challenge.set_process(key.process());
    challenge.set_nonce(string_of(nonce.bytes()));
    challenge.set_client(client.text());
    challenge.set_verifier(string_of(key.mac(nonce.bytes(), code)));
    challenge.set_expires_at(unix_seconds(now + rules.life));
    challenge.set_tries_left(rules.tries);
    std::string documents = "No documents are named.", shown;
    if (!hashes.empty()) {
        challenge.set_hash_algorithm(static_cast<unsigned>(hashes.front().algorithm()));
        challenge.set_hash_set(string_of(hash_set_of(hashes).bytes()));
        shown = document_code(nonce, hashes);
        documents = std::to_string(hashes.size()) + (hashes.size() == 1 ? " document, " : " documents, ") +
                    shown.substr(0, 4) + "-" + shown.substr(4) + ".";
    }
    std::string text = client.text() + " asks for your signature: " + documents + " Code: ";
    text.reserve(text.size() + code.size());
    text += text_of(code.reveal());
    OpenedChallenge out{SecretBytes{text}, shown};
    wipe(text);
    return out;
}

bool spend_challenge(cell::Credential& cell, const ProcessKey& key, const ClientId& client,
                     const std::vector<DtbsR>& hashes, const SecretBytes& code, TimePoint now) {
    if (!cell.has_challenge()) return false;
    auto& challenge = *cell.mutable_challenge();
    const bool live = challenge.process() == key.process() && now < from_unix(challenge.expires_at()) &&
                      challenge.tries_left() > 0;
    if (!live) {
        cell.clear_challenge();
        return false;
    }
    challenge.set_tries_left(challenge.tries_left() - 1);
    const auto hash_set = hash_set_of(hashes);
    if (challenge.hash_algorithm() == 0) {  // opened without hashes: bound to the first authorise, whatever comes of it
        challenge.set_hash_algorithm(static_cast<unsigned>(hashes.front().algorithm()));
        challenge.set_hash_set(string_of(hash_set.bytes()));
    }
    const bool bound = challenge.client() == client.text() &&
                       std::ranges::equal(view_of(challenge.hash_set()), hash_set.bytes());
    const bool right = equal_in_constant_time(key.mac(view_of(challenge.nonce()), code), view_of(challenge.verifier()));
    const bool accepted = bound && right;
    if (accepted || challenge.tries_left() == 0) cell.clear_challenge();
    return accepted;
}

}  // namespace qscd::sam
