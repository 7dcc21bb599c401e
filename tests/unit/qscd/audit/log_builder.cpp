#include "tests/unit/qscd/audit/log_builder.hpp"

#include <algorithm>

#include "base/random.hpp"
#include "protocol/message.hpp"

namespace qscd::audit {
namespace {

std::string string_of(ByteView bytes) { return std::string{qscd::text_of(bytes)}; }
std::string digest_of(std::string_view text) { return string_of(sha256(view_of(text)).bytes()); }

}  // namespace

LogBuilder::LogBuilder(bool trial) {
    genesis_.set_attestation_key(string_of(der_of(*attestation_, i2d_PUBKEY)));
    genesis_.set_shard(1);
    genesis_.set_trial(trial);
    genesis_.set_policy_version(string_of(random_bytes(32)));
    genesis_.set_nonce(string_of(random_bytes(32)));
    genesis_bytes_ = protocol::encode(genesis_);
    lines_ = {"qscd-log 1", "genesis " + to_base64(genesis_bytes_)};
}

void LogBuilder::start(const Start& how) {
    const auto size = log_.size();
    if (size == 0) record("genesis", "samd", "", {{"digest", sha256(genesis_bytes_).hex()}});
    if (!how.unsealed.empty()) record("unsealed", "bootstrap", "", {{"reason", how.unsealed}});
    pb::EpochStart start;
    start.set_genesis(string_of(sha256(genesis_bytes_).bytes()));
    start.set_epoch(++epoch);
    head_keys_[epoch] = generate_p256();
    start.set_head_key(string_of(der_of(*head_keys_[epoch], i2d_PUBKEY)));
    start.set_accepted_size(size);
    if (size != 0) start.set_accepted_head(digest_of(head_));
    start.set_time(now);
    start.set_anchored_size(size);
    start.set_unsealed(how.unsealed);
    if (how.lie) how.lie(start);
    auto& signer = how.signed_by != nullptr ? *how.signed_by : *attestation_;
    const auto paper = protocol::to_paper(start);
    pb::LogRecord record;
    record.set_type("started");
    record.set_actor("samd");
    record.set_result("ok");
    *record.mutable_start() = protocol::assemble(paper, protocol::key_id_of(signer),
                                                 sign_message(signer, paper.message).value());
    add(std::move(record));
    close();
}

void LogBuilder::add(pb::LogRecord record) {
    record.set_seq(log_.size());
    record.set_time(now);
    record.set_salt(string_of(random_bytes(16)));
    if (!record.has_closing() && record.actor() != "samd") record.set_request_id(string_of(random_bytes(16)));
    lie_in_record(record);
    const auto bytes = protocol::encode(record);
    log_.append(bytes);
    lines_.push_back("record " + to_base64(bytes));
}

std::uint64_t LogBuilder::record(const std::string& type, const std::string& actor, const std::string& credential,
                                 const Fields& fields, const std::string& result) {
    pb::LogRecord record;
    record.set_type(type);
    record.set_actor(actor);
    record.set_result(result);
    for (const auto& [name, value] : fields) {
        auto& field = *record.add_fields();
        field.set_name(name);
        field.set_value(value);
        if (name == "intent") open_.erase(std::stoull(value));
    }
    const auto seq = log_.size();
    if (!credential.empty()) {
        record.set_credential(credential);
        record.set_predecessor(newest_[credential]);
        newest_[credential] = seq + 1;
        if (std::ranges::count(touched_, credential) == 0) touched_.push_back(credential);
        if (type == "sign-intent" || type == "key-intended") {
            auto& open = open_[seq];
            open.set_seq(seq);
            open.set_credential(credential);
            open.set_key(type == "key-intended");
        }
    }
    add(std::move(record));
    return seq;
}

void LogBuilder::close(bool with_head) {
    pb::LogRecord record;
    record.set_type("closing");
    record.set_actor("samd");
    auto& closing = *record.mutable_closing();
    for (const auto& credential : touched_) {
        const auto at = index_.emplace(credential, index_.size()).first->second;
        const auto leaf = log::ArrayTree::leaf(random_bytes(73));
        cells_.set(at, leaf);
        auto& changed = *closing.add_changed();
        changed.set_index(at);
        changed.set_digest(string_of(leaf.bytes()));
    }
    touched_.clear();
    closing.set_epoch(epoch);
    closing.set_cell_count(cells_.size());
    closing.set_cell_root(string_of(cells_.root().bytes()));
    closing.set_time(now);
    closing.set_trial(genesis_.trial());
    closing.set_clock("synchronised");
    for (const auto& [seq, intent] : open_) *closing.add_open() = intent;
    lie_in_closing(closing);
    add(std::move(record));
    ++now;
    if (!with_head) return;
    head_ = head_over(log_.size(), log_.root(), epoch);
    lines_.push_back("head " + to_base64(view_of(head_)));
}

std::string LogBuilder::head_over(std::uint64_t covered, const Sha256Digest& root, std::uint64_t by) {
    log::Head head{"qscd/sam/" + sha256(genesis_bytes_).hex() + "/1", covered, root};
    lie_in_head(head);
    auto& key = head_signer != nullptr ? *head_signer : *head_keys_.at(by);
    return log::with_signature(head, "head-" + std::to_string(by), protocol::key_id_of(key),
                               sign_message(key, view_of(log::body_of(head))).value());
}

void LogBuilder::enrol(const std::string& credential) {
    record("grant-accepted", "bootstrap", credential);
    close(false);
    record("factors-set", "bootstrap", credential);
    close(!sparse);
    const auto intent = record("key-intended", "bootstrap", credential);
    close(false);
    record("key-created", "samd", credential, {{"intent", std::to_string(intent)}});
    close(!sparse);
    record("credential-active", "bootstrap", credential);
    close();
}

void LogBuilder::sign(const std::string& credential, const std::string& portal, unsigned hashes) {
    const auto count = std::to_string(hashes);
    record("factors-spent", portal, credential, {{"hashes", count}});
    close(false);
    record("authorised", portal, credential, {{"hashes", count}});
    close(!sparse);
    const auto intent = record("sign-intent", portal, credential, {{"hashes", count}});
    close(false);
    record("signed", portal, credential, {{"intent", std::to_string(intent)}, {"signatures", count}});
    close();
}

std::string LogBuilder::sealed(const std::vector<std::string>& lines) {
    std::string out;
    std::size_t records = 0, heads = 0;
    for (const auto& line : lines) {
        out += line + "\n";
        records += line.starts_with("record ");
        heads += line.starts_with("head ");
    }
    const auto sum = sha256(view_of(out)).hex();
    return out + "end " + std::to_string(records) + " " + std::to_string(heads) + " " + sum + "\n";
}

}  // namespace qscd::audit
