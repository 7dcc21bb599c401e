#include "tests/simulation/books.hpp"

#include <openssl/hmac.h>

#include "protocol/message.hpp"
#include "qscd/sam/activation/challenge.hpp"

namespace qscd::sam::simulation {
namespace {

// Where the credential and the PIN stand in what the module computes over: domain, key, credential, salt, policy, length.
constexpr std::size_t credential_at = 7 + 16, length_at = credential_at + 16 + 32 + 32;

const std::string* field(const pb::LogRecord& record, std::string_view name) {
    for (const auto& each : record.fields())
        if (each.name() == name) return &each.value();
    return nullptr;
}

// Why an answer may come without a record: the batch was not committed, or nothing was asked of the state at all.
bool excused(Errc code) {
    return code == Errc::token_away || code == Errc::store_away || code == Errc::fenced || code == Errc::service_away;
}

// RFC 6962, 2.1, as it is written there.
Sha256Digest tree_hash(std::span<const Sha256Digest> leaves) {
    if (leaves.size() == 1) return leaves[0];
    std::size_t half = 1;
    while (2 * half < leaves.size()) half *= 2;
    const std::uint8_t node = 1;
    const auto left = tree_hash(leaves.first(half)), right = tree_hash(leaves.subspan(half));
    return sha256({ByteView{&node, 1}, left.bytes(), right.bytes()});
}

}  // namespace

std::string totp_code(ByteView secret, std::int64_t step) {
    std::array<std::uint8_t, 8> counter{};
    for (std::size_t i = 0; i < 8; ++i) counter[7 - i] = static_cast<std::uint8_t>(step >> (8 * i));
    std::array<std::uint8_t, 20> mac{};
    HMAC(EVP_sha1(), secret.data(), static_cast<int>(secret.size()), counter.data(), counter.size(), mac.data(),
         nullptr);
    const auto at = mac[19] & 15U;
    const auto number = (mac[at] & 127U) << 24 | static_cast<unsigned>(mac[at + 1]) << 16 |
                        static_cast<unsigned>(mac[at + 2]) << 8 | mac[at + 3];
    const auto text = std::to_string(number % 1'000'000);
    return std::string(6 - text.size(), '0') + text;
}

void Books::fail(Check check, std::string_view what) {
    throw Violation{std::string{check_names[static_cast<std::size_t>(check)]} + ": " + std::string{what}};
}

std::uint64_t Books::checked() const {
    std::uint64_t out = 0;
    for (const auto count : counts_) out += count;
    return out;
}

void Books::enrolled(const Enrolled& signer) { credentials_.insert_or_assign(signer.credential, Credential{signer}); }

bool Books::is_blocked(const CredentialId& credential) const {
    const auto& known = credentials_.at(credential);
    return known.evaluated >= known.signer.tries;
}

std::uint64_t Books::anchored_size() const {
    const auto* anchor = token_.newest_anchor();
    return anchor == nullptr ? 0 : anchor->size();
}

void Books::anchored() { kept_ = std::max(kept_, anchored_size()); }

// Of intents with equal hashes nobody can say which one was entered, only how many: so the mark moves on.
void Books::forget(std::vector<Intent>& intents, std::vector<Intent>::iterator ended) {
    if (!ended->entered)
        for (auto& other : intents)
            if (other.entered && other.hash_set == ended->hash_set) {
                other.entered = false;
                break;
            }
    intents.erase(ended);
}

void Books::committed(unsigned owner, const std::vector<const Bytes*>& records) {
    // What was signed before the older keys went may be written until the newer owner writes.
    require(owner >= newest_writer_, Check::old_owner_fenced, "committed a batch");
    newest_writer_ = owner;
    history_.resize(disk_.tables().log.size() - records.size());
    pb::LogRecord record;
    for (const auto* bytes : records) {
        const auto seq = history_.size();
        history_.push_back(bytes);
        if (!record.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())))
            fail(Check::log_verifies, "no record");
        if (record.credential().empty()) continue;
        const auto id = *CredentialId::from(view_of(record.credential()));
        auto found = credentials_.find(id);
        if (found == credentials_.end()) {
            Credential stranger{{id, "", 0, {}, 0}};
            found = credentials_.emplace(id, std::move(stranger)).first;
        }
        auto& credential = found->second;
        const auto& type = record.type();
        if (record.result() != "ok" || type == "authorised" || type == "challenge-opened") {
            if (credential.told.size() >= 64) credential.told.erase(credential.told.begin());
            credential.told.push_back({seq, record.result() == "ok" ? type : record.result()});
        }
        if (type == "authorised" || type == "credential-enabled") credential.evaluated = 0;
        if (type == "credential-enabled") credential.rolled_back = false;
        if (type == "sign-intent") {
            const auto* set = field(record, "hash_set");
            credential.intents.push_back({seq, set == nullptr ? "" : *set});
        }
        if (const auto* intent = field(record, "intent"); intent != nullptr) {
            const auto open = std::ranges::find(credential.intents, std::stoull(*intent), &Intent::seq);
            require(open != credential.intents.end() && !open->ended, Check::log_verifies, "a result of no intent");
            // What a start found may stand in the module's queue still: signed, perhaps, but never released.
            if (const auto* reason = field(record, "reason"); reason != nullptr && !open->entered) open->ended = true;
            else forget(credential.intents, open);
            if (const auto* digest = field(record, "digest"); digest != nullptr) results_[*digest] = seq;
        }
    }
}

// ── PIN and code ────────────────────────────────────────────────────────────────────────────────────────────────────

void Books::accept_code(Credential& credential, const Attempt& attempt) {
    if (credential.signer.totp_secret.empty()) {
        auto hashes = attempt.hashes;
        std::ranges::sort(hashes);
        const auto message = std::ranges::find_if(credential.messages, [&](const Message& each) {
            return each.client == attempt.client && each.code == attempt.code &&
                   (each.hashes.empty() || each.hashes == hashes) && attempt.begun < each.expires &&
                   each.owner == attempt.owner && (!each.followed || attempt.begun <= *each.followed);
        });
        require(message != credential.messages.end(), Check::code_before_pin,
                "not the code of this owner's newest message for these hashes");
        require(!message->used, Check::code_used_once, "a message's code");
        message->used = true;
        return;
    }
    const auto now = unix_seconds(attempt.begun) / totp_period;
    auto& used = steps_[credential.signer.device];
    bool right = false, fresh = false;
    for (auto step = now - totp_tolerance; step <= now + totp_tolerance && !fresh; ++step) {
        if (totp_code(credential.signer.totp_secret, step) != attempt.code) continue;
        right = true;
        fresh = std::ranges::find(used, step) == used.end();
        if (fresh) used.push_back(step);
    }
    require(right, Check::code_before_pin, "not a code of this time");
    require(fresh, Check::code_used_once, "an app's code");
}

void Books::pin_evaluated(ByteView input, const Attempt* attempt) {
    if (std::ranges::all_of(input, [](auto byte) { return byte == 0; })) return;
    if (attempt == nullptr || input.size() <= length_at) fail(Check::code_before_pin, "nobody asked");
    auto& credential = credentials_.at(*CredentialId::from(input.subspan(credential_at, 16)));
    if (credential.signer.credential != attempt->credential) fail(Check::code_before_pin, "another one's PIN");
    accept_code(credential, *attempt);
    require(++credential.evaluated <= credential.signer.tries, Check::pin_tries,
            std::to_string(credential.evaluated) + " of " + std::to_string(credential.signer.tries));
}

// ── Signatures ──────────────────────────────────────────────────────────────────────────────────────────────────────

void Books::entered_module(const SignRequest& request, TimePoint begun, const Activation& activation,
                           const DtbsR& hash) {
    auto& credential = credentials_.at(request.credential);
    const auto sad = sads_.find(sha256(request.sad.reveal()));
    require(sad != sads_.end() && activation.sad() == sad->first && activation.credential() == request.credential &&
                sad->second.credential == request.credential && sad->second.client == request.client.text() &&
                begun < sad->second.expires,
            Check::sad_of_its_client_and_time, "another's, nobody's, or too late");
    const auto occurrences = std::ranges::find(sad->second.hashes, hash, &Occurrences::hash);
    require(occurrences != sad->second.hashes.end() && ++occurrences->entered <= occurrences->allowed,
            Check::occurrence_signed_once, "once more than authorised");
    // The intent of these hashes: entered once, for all of them.
    if (&hash != &activation.hashes().front()) return;
    const auto set = hash_set_of(request.hashes).hex();
    const auto intent = std::ranges::find_if(credential.intents, [&](const Intent& each) {
        return !each.entered && each.seq < anchored_size() && each.hash_set == set;
    });
    if (intent == credential.intents.end()) {
        std::string what = "credential " + credential.signer.credential.hex() + ", anchored " +
                           std::to_string(anchored_size()) + ", intents:";
        for (const auto& each : credential.intents)
            what += " " + std::to_string(each.seq) +
                    (each.entered ? " entered"
                     : each.ended ? " ended"
                                  : "") +
                    (each.hash_set == set ? "" : " of others");
        fail(Check::intent_before_signature, what);
    }
    require(true, Check::intent_before_signature, {});
    intent->entered = true;
}

// ── Answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void Books::rest_on_record(const CredentialId& credential, std::string_view result) {
    const auto known = credentials_.find(credential);
    if (known != credentials_.end()) {
        auto& told = known->second.told;
        const auto found = std::ranges::find_if(
            told, [&](const Told& each) { return each.seq < anchored_size() && each.result == result; });
        if (found != told.end()) {
            told.erase(found);
            return require(true, Check::record_before_answer, {});
        }
    }
    require(false, Check::record_before_answer, std::string{result} + ", of credential " + credential.hex());
}

void Books::sent(const ChallengeRequest& request, std::string_view text, TimePoint now, TimePoint expires,
                 unsigned owner) {
    rest_on_record(request.credential, "challenge-opened");
    auto hashes = request.hashes;
    std::ranges::sort(hashes);
    auto& messages = credentials_.at(request.credential).messages;
    for (auto& each : messages)
        if (each.owner == owner && !each.followed) each.followed = now;
    if (messages.size() >= 8) messages.erase(messages.begin());
    messages.push_back(
        {request.client.text(), std::string{text.substr(text.size() - 6)}, std::move(hashes), expires, owner});
}

void Books::answered(const ChallengeRequest& request, const Result<std::chrono::seconds>& answer) {
    if (answer || excused(answer.error().code)) return;  // what was sent was on record then
    rest_on_record(request.credential, name_of(answer.error().code));
}

void Books::answered(const AuthoriseRequest& request, const Result<AuthorisedSad>& answer, TimePoint expires) {
    if (!answer) {
        if (!excused(answer.error().code)) rest_on_record(request.credential, name_of(answer.error().code));
        return;
    }
    rest_on_record(request.credential, "authorised");
    Sad sad{request.credential, request.client.text(), expires, {}};
    for (const auto& hash : request.hashes) {
        const auto known = std::ranges::find(sad.hashes, hash, &Occurrences::hash);
        if (known == sad.hashes.end()) sad.hashes.push_back({hash, 1});
        else ++known->allowed;
    }
    sads_.emplace(sha256(answer.value().sad.reveal()), std::move(sad));
}

void Books::answered(const SignRequest& request, const CkaId& key, const Result<SignatureList>& answer) {
    if (!answer) {
        if (!excused(answer.error().code)) rest_on_record(request.credential, name_of(answer.error().code));
        return;
    }
    const auto& signatures = answer.value();
    Bytes all;
    bool good = signatures.size() == request.hashes.size();
    for (std::size_t i = 0; good && i < signatures.size(); ++i) {
        good = signatures[i] == VirtualToken::signature(key, request.hashes[i]);
        all.insert(all.end(), signatures[i].begin(), signatures[i].end());
    }
    const auto result = results_.find(sha256(all).hex());
    require(good && result != results_.end() && result->second < anchored_size(), Check::result_before_release,
            "none on record");
}

// ── Starts ──────────────────────────────────────────────────────────────────────────────────────────────────────────

void Books::opened(bool touched) {
    require(!touched, Check::rollback_sealed, "an older store was accepted");
    const auto& log = disk_.tables().log;
    require(log.size() >= kept_ && history_.size() >= kept_ &&
                std::equal(history_.begin(), history_.begin() + static_cast<std::ptrdiff_t>(kept_), log.begin()),
            Check::anchored_kept, "a start lost some");
    history_ = log;
}

void Books::refused_to_open(const Error& error, bool touched, bool excuse) {
    if (error.code != Errc::sealed) return;
    require(touched || excuse, Check::sealed_for_a_reason, error.detail);
}

void Books::let_go_on() {
    const auto& log = disk_.tables().log;
    std::size_t common = 0;
    while (common < log.size() && common < history_.size() && log[common] == history_[common]) ++common;
    history_ = log;
    kept_ = std::min<std::uint64_t>(kept_, common);
    for (auto& [id, credential] : credentials_) {
        credential.intents.clear();
        std::erase_if(credential.told, [&](const Told& each) { return each.seq >= common; });
        credential.rolled_back = true;
    }
    std::erase_if(results_, [&](const auto& each) { return each.second >= common; });
    pb::LogRecord record;  // intents that are open in this log
    for (std::size_t seq = 0; seq < log.size(); ++seq) {
        record.ParseFromArray(log[seq]->data(), static_cast<int>(log[seq]->size()));
        const auto id = CredentialId::from(view_of(record.credential()));
        if (!id) continue;
        auto& intents = credentials_.at(*id).intents;
        if (record.type() == "sign-intent") intents.push_back({seq, *field(record, "hash_set")});
        if (const auto* intent = field(record, "intent"); intent != nullptr)
            std::erase_if(intents, [ended = std::stoull(*intent)](const Intent& each) { return each.seq == ended; });
    }
}

// ── The end ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void Books::agrees(const CredentialId& id, const CellView& cell) {
    const auto& known = credentials_.at(id);
    if (known.rolled_back) return;  // nothing is served from it until somebody vouches
    require(cell.tries_left <= known.signer.tries - known.evaluated, Check::cells_agree, "PIN tries came back");
    if (const auto steps = steps_.find(known.signer.device); steps != steps_.end() && !known.signer.totp_secret.empty())
        require(std::ranges::all_of(steps->second, [&](auto step) { return step <= cell.last_step; }),
                Check::cells_agree, "an app's step came back");
    for (const auto& [digest, hashes] : cell.sads) {
        const auto sad = sads_.find(digest);
        if (sad == sads_.end()) continue;  // made, and its answer was lost
        for (const auto& occurrences : sad->second.hashes) {
            const auto used = std::ranges::count_if(hashes, [&](const auto& each) {
                return each.second && std::ranges::equal(each.first, occurrences.hash.bytes());
            });
            require(used >= static_cast<std::ptrdiff_t>(occurrences.entered), Check::cells_agree,
                    "a used occurrence came back");
        }
    }
}

void Books::missing(const CredentialId& id) {
    require(credentials_.at(id).rolled_back, Check::cells_agree, "a credential is gone");
}

void Books::whole_log_verifies(const std::string& origin) {
    const auto& tables = disk_.tables();
    const auto check = [&](bool holds, std::string_view what) { require(holds, Check::log_verifies, what); };
    check(!tables.heads.empty() && tables.heads.rbegin()->first == tables.log.size(), "the newest head covers the log");
    std::vector<Sha256Digest> leaves;
    std::unordered_map<std::string, std::uint64_t> newest;  // by credential
    std::unordered_map<std::uint64_t, std::string> intents;
    std::map<std::uint64_t, Bytes> head_keys;
    std::uint64_t epoch = 0;
    const std::uint8_t leaf = 0;
    for (std::size_t seq = 0; seq < tables.log.size(); ++seq) {
        const auto& bytes = *tables.log[seq];
        leaves.push_back(sha256({ByteView{&leaf, 1}, bytes}));
        const auto decoded = protocol::decode<pb::LogRecord>(bytes);
        check(static_cast<bool>(decoded) && decoded.value().seq() == seq, "a record in its place");
        const auto& record = decoded.value();
        // From its enrolment on; before, it was a name that somebody asked for.
        if (const auto before = newest.find(record.credential()); before != newest.end()) {
            check(record.predecessor() == before->second, "a credential's records name each other");
            before->second = seq + 1;
        } else if (record.type() == "credential-active") {
            newest.emplace(record.credential(), seq + 1);
        }
        if (record.type() == "sign-intent") intents.emplace(seq, record.credential());
        if (const auto* intent = field(record, "intent"); intent != nullptr) {
            const auto found = intents.find(std::stoull(*intent));
            check(found != intents.end() && found->second == record.credential(), "a result has its intent, once");
            intents.erase(found);
        }
        if (record.has_start()) {
            const auto start = protocol::verify_epoch_start(record.start(), token_.attestation_keys());
            check(static_cast<bool>(start) && start.value()->epoch() > epoch, "epochs go up");
            epoch = start.value()->epoch();
            head_keys[epoch] = bytes_of(start.value()->head_key());
        }
        if (record.has_closing()) check(record.closing().epoch() == epoch, "a batch is of its epoch");
    }
    for (auto head = tables.heads.rbegin(); head != tables.heads.rend(); ++head) {
        const auto name = log::key_name_of(head->second->text);
        const auto key = head_keys.find(epoch_of_key_name(name));
        check(key != head_keys.end(), "a head's epoch is in the log");
        const auto public_key = public_key_from_der(key->second);
        const auto verified = log::verified_head(head->second->text, origin, name, *public_key.value());
        check(verified && verified.value().size == head->first &&
                  verified.value().root == tree_hash(std::span{leaves}.first(head->first)),
              "a head is the root of its log");
        if (std::distance(tables.heads.rbegin(), head) >= 3) break;
    }
}

}  // namespace qscd::sam::simulation
