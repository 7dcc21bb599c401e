#include "qscd/audit/verifier.hpp"

#include <charconv>

#include "protocol/message.hpp"

namespace qscd::audit {
namespace {

constexpr std::string_view closing_type = "closing", started_type = "started", genesis_type = "genesis";

template <class Number>
std::optional<Number> number_of(std::string_view text) {
    Number out{};
    const auto [at, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (failed != std::errc{} || at != text.data() + text.size() || text.empty()) return std::nullopt;
    return std::to_string(out) == text ? std::optional{out} : std::nullopt;
}

std::string_view cut_at(std::string_view& text, char end) {
    const auto at = std::min(text.find(end), text.size());
    const auto out = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return out;
}

// The epoch that a head's signature line names; nothing proved.
std::optional<std::uint64_t> epoch_in(std::string_view head_text) {
    auto name = log::key_name_of(head_text);
    constexpr std::string_view prefix = "head-";
    if (!name.starts_with(prefix)) return std::nullopt;
    return number_of<std::uint64_t>(name.substr(prefix.size()));
}

std::optional<log::Head> unverified(std::string_view text) {
    log::Head out{std::string{cut_at(text, '\n')}, 0, sha256(ByteView{})};
    const auto size = number_of<std::uint64_t>(cut_at(text, '\n'));
    const auto bytes = from_base64(cut_at(text, '\n'));
    const auto root = bytes ? Sha256Digest::from(*bytes) : std::nullopt;
    if (!size || !root) return std::nullopt;
    out.size = *size;
    out.root = *root;
    return out;
}

}  // namespace

Verifier::Verifier(EVP_PKEY& attestation_key, Options options)
    : attestation_key_(attestation_key),
      options_(std::move(options)),
      findings_(options_.most_findings, options_.off),
      epochs_(attestation_key, findings_),
      credentials_(findings_) {
    if (options_.checkpoint) checkpoint_ = unverified(*options_.checkpoint);
}

void Verifier::take(std::string_view text) {
    while (!text.empty()) {
        const auto at = text.find('\n');
        const auto piece = text.substr(0, at);
        overlong_ = overlong_ || pending_.size() + piece.size() > longest_line;
        if (overlong_) pending_.clear();
        else pending_ += piece;
        if (at == std::string_view::npos) return;
        text.remove_prefix(at + 1);
        line(pending_);
        pending_.clear();
        overlong_ = false;
    }
}

void Verifier::line(std::string_view text) {
    findings_.at_line(++lines_);
    const Where here{Place::line, lines_};
    if (ended_) return findings_.add_once(Check::form, "behind the end", here, "stands behind the last line");
    auto content = text;
    const auto word = cut_at(content, ' ');
    const bool whole = !overlong_ && content.size() + word.size() + 1 == text.size();
    if (whole && word == end_word) return end(content);  // not in its own digest
    digest_.add(text);
    digest_.add("\n");
    if (lines_ == 1) {
        if (overlong_ || text != first_line) findings_.add(Check::form, here, "is not \"qscd-log 1\"");
        return;
    }
    struct WordRow {
        std::string_view word;
        void (Verifier::*take)(std::string_view);
    };
    static constexpr std::array words{WordRow{genesis_word, &Verifier::genesis},
                                      WordRow{record_word, &Verifier::record}, WordRow{head_word, &Verifier::head}};
    const auto row = std::ranges::find(words, word, &WordRow::word);
    if (!whole || row == words.end())
        return findings_.add(Check::form, here, overlong_ ? "is too long" : "is no line of an export");
    if ((row->word == genesis_word) != (lines_ == 2))
        findings_.add(Check::form, here, lines_ == 2 ? "is not the genesis" : "is a second genesis");
    if (row->word == genesis_word && lines_ != 2) return;
    (this->*row->take)(content);
}

void Verifier::genesis(std::string_view content) {
    const Where here{Place::line, lines_};
    const auto bytes = from_base64(content);
    if (!bytes) return findings_.add(Check::form, here, "is not base64");
    const auto body = protocol::decode<pb::Genesis>(*bytes);
    if (!body) return findings_.add(Check::genesis, here, "is not the one encoding of a genesis");
    genesis_ = sha256(*bytes);
    origin_ = "qscd/sam/" + genesis_->hex() + "/" + std::to_string(body.value().shard());
    trial_ = body.value().trial();
    if (!std::ranges::equal(view_of(body.value().attestation_key()), der_of(attestation_key_, i2d_PUBKEY)))
        findings_.add(Check::genesis, here, "the genesis names another attestation key than the given one");
}

void Verifier::record(std::string_view content) {
    ++record_lines_;
    const auto bytes = from_base64(content);
    if (!bytes) return findings_.add(Check::form, {Place::line, lines_}, "is not base64");
    tree_.append(*bytes);
    const auto decoded = protocol::decode<pb::LogRecord>(*bytes);
    if (!decoded) {
        findings_.add(Check::record, {Place::record, next_}, "is not the one encoding of a record");
        ++next_;
        closed_ = false;
    } else {
        const auto& record = decoded.value();
        number(record);
        parts_of(record);
        place_in_batch(record);
        time(record);
        credentials_.take(record);
        if (record.has_closing()) close(record);
    }
    compare_with_checkpoint();
}

void Verifier::number(const pb::LogRecord& record) {
    const Where here{Place::record, record.seq()};
    if (record.seq() > next_)
        findings_.add(Check::sequence, here,
                      record.seq() == next_ + 1 ? "record " + std::to_string(next_) + " is missing before it"
                                                : "records " + std::to_string(next_) + " to " +
                                                      std::to_string(record.seq() - 1) + " are missing before it");
    if (record.seq() < next_) findings_.add(Check::sequence, here, "stands behind record " + std::to_string(next_ - 1));
    next_ = std::max(next_, record.seq() + 1);
}

void Verifier::parts_of(const pb::LogRecord& record) {
    const Where here{Place::record, record.seq()};
    const auto wrong = [&](std::string what) { findings_.add(Check::record, here, std::move(what)); };
    if (record.salt().size() != salt_size) wrong("has no salt of 16 bytes");
    if (record.type().empty() || record.actor().empty() || record.time() <= 0)
        wrong("lacks its type, its actor or its time");
    if (!record.credential().empty() && record.credential().size() != id_size)
        wrong("names a credential of odd length");
    if (!record.request_id().empty() && record.request_id().size() != id_size) wrong("names a request of odd length");
    if (record.has_closing() != (record.type() == closing_type)) wrong("is a closing record in part");
    if (record.has_start() != (record.type() == started_type)) wrong("is the start of an epoch in part");
    if (record.result().empty() && !record.has_closing()) wrong("has no result");
    const bool opening = record.type() == genesis_type;
    if (opening != (record.seq() == 0))
        findings_.add(Check::genesis, here, opening ? "opens the log again" : "opens the log and is not the genesis");
    if (!opening || !genesis_) return;
    for (const auto& field : record.fields())
        if (field.name() == "digest" && field.value() != genesis_->hex())
            findings_.add(Check::genesis, here, "names another genesis");
}

// A start that people let go on sets the clock anew; it does not stand first in its batch.
void Verifier::time(const pb::LogRecord& record) {
    if (!batch_.back && record.time() + clock_tolerance.count() < newest_time_)
        batch_.back = Step{record.seq(), newest_time_ - record.time()};
    newest_time_ = batch_.time_accepted ? record.time() : std::max(newest_time_, record.time());
}

void Verifier::judge_time() {
    if (batch_.back && !batch_.time_accepted)
        findings_.add_once(Check::time, std::to_string(newest_time_), {Place::record, batch_.back->record},
                           "lies " + std::to_string(batch_.back->seconds) + " s before what stands before it");
    batch_.back.reset();
}

void Verifier::place_in_batch(const pb::LogRecord& record) {
    if (!batch_.open) batch_ = {.begin = record.seq(), .back = {}, .starts = 0, .open = true, .time_accepted = false};
    closed_ = false;
    if (!record.has_start()) return;
    if (++batch_.starts > 1)
        findings_.add(Check::batch, {Place::record, record.seq()}, "is a second start in one batch");
    const bool head_there = signed_head_ && signed_head_->size == batch_.begin;
    const auto* epoch = epochs_.start(record, genesis_,
                                      {batch_.begin, head_there ? std::optional{signed_head_->digest} : std::nullopt});
    batch_.time_accepted = batch_.time_accepted || (epoch != nullptr && epoch->unsealed);
}

void Verifier::close(const pb::LogRecord& record) {
    const Where here{Place::record, record.seq()};
    const auto wrong = [&](std::string what) { findings_.add(Check::batch, here, std::move(what)); };
    const auto& closing = record.closing();
    const auto* epoch = epochs_.newest();
    const auto in_force = epoch == nullptr ? 0 : epoch->number;
    if (closing.epoch() != in_force)
        findings_.add_once(Check::batch, "epoch " + std::to_string(closing.epoch()), here,
                           "closes a batch of epoch " + std::to_string(closing.epoch()) + ", and in force is " +
                               (epoch == nullptr ? "none" : "epoch " + std::to_string(in_force)));
    if (closing.time() != record.time()) wrong("names two times");
    if (genesis_ && closing.trial() != trial_)
        findings_.add_once(Check::batch, "trial", here, "has another trial bit than the genesis");
    if (closing.clock() == "unsynchronised") {
        if (unsynchronised_++ == 0) first_unsynchronised_ = record.seq();
    } else if (closing.clock() != "synchronised") {
        wrong("does not say whether the clock was synchronised");
    }
    cells(record);
    credentials_.compare_open(record);
    judge_time();
    closed_ = true;
    batch_.open = false;
}

void Verifier::cells(const pb::LogRecord& record) {
    const Where here{Place::record, record.seq()};
    const auto& closing = record.closing();
    std::map<std::uint64_t, Sha256Digest> changed;
    for (const auto& leaf : closing.changed()) {
        const auto digest = Sha256Digest::from(view_of(leaf.digest()));
        if (!digest || !changed.emplace(leaf.index(), *digest).second)
            findings_.add(
                Check::cells, here,
                "names the leaf of cell " + std::to_string(leaf.index()) + (digest ? " twice" : " in an odd length"));
    }
    for (const auto& [index, digest] : changed) {
        if (index > cells_.size()) {
            findings_.add(Check::cells, here,
                          "names cell " + std::to_string(index) + " of " + std::to_string(cells_.size()));
            break;
        }
        cells_.set(index, digest);
    }
    if (closing.cell_count() != cells_.size())
        findings_.add_once(Check::cells, "count", here,
                           "counts " + std::to_string(closing.cell_count()) + " cells, and the leaves make " +
                               std::to_string(cells_.size()));
    if (!std::ranges::equal(view_of(closing.cell_root()), cells_.root().bytes()))
        findings_.add_once(Check::cells, "root", here, "the cells' root is not that of the leaves");
}

// A head that its owner signed and the next epoch did not go on from: what it covered never was the log.
bool Verifier::abandoned(const Epoch& epoch, std::uint64_t size) const {
    const auto* next = epochs_.after(epoch.number);
    return next != nullptr && size > next->accepted_size && size > next->anchored_size;
}

void Verifier::head(std::string_view content) {
    ++head_lines_;
    const Where here{Place::head, next_ == 0 ? 0 : next_ - 1};
    const auto wrong = [&](std::string what) { findings_.add(Check::head, here, std::move(what)); };
    const auto bytes = from_base64(content);
    if (!bytes) return findings_.add(Check::form, {Place::line, lines_}, "is not base64");
    const std::string text{text_of(ByteView{*bytes})};
    const auto number = epoch_in(text);
    if (!number) return wrong("is no head of an epoch");
    const auto* epoch = epochs_.find(*number);
    if (epoch == nullptr)
        return findings_.add_once(
            Check::head, "epoch " + std::to_string(*number), here,
            "is signed for epoch " + std::to_string(*number) + ", which nothing before it brought in");
    if (!genesis_) return;
    const auto verified = log::verified_head(text, origin_, epoch->key_name(), *epoch->head_key);
    if (!verified) return wrong(verified.error().detail);
    const auto size = verified.value().size;
    if (size != next_ || size == 0)
        return wrong("covers " + std::to_string(size) + " records and stands behind " + std::to_string(next_));
    if (verified.value().root != tree_.root()) {
        if (epochs_.newest() != epoch && abandoned(*epoch, size))
            return findings_.note(here, "epoch " + std::to_string(*number) + " signed another head here, which epoch " +
                                            std::to_string(epochs_.after(*number)->number) + " did not go on from");
        signed_head_ = SignedHead{size, sha256(*bytes)};
        return findings_.add_once(
            Check::root, "root", here,
            "its root is not that of the records before it" +
                (covered_ == 0 ? std::string{}
                               : ": something was changed after record " + std::to_string(covered_ - 1)));
    }
    if (epochs_.newest() != epoch)
        return wrong("epoch " + std::to_string(*number) + " signs what belongs to epoch " +
                     std::to_string(epochs_.newest()->number));
    if (!closed_) wrong("does not stand behind a closing record");
    if (newest_ && newest_->size == size) return wrong("stands here twice");
    signed_head_ = SignedHead{size, sha256(*bytes)};
    covered_ = size;
    ++good_heads_;
    newest_ = Checkpoint{size, *number, text};
}

void Verifier::end(std::string_view content) {
    ended_ = true;
    const Where here{Place::line, lines_};
    const auto records = cut_at(content, ' '), heads = cut_at(content, ' ');
    if (number_of<std::uint64_t>(records) != record_lines_ || number_of<std::uint64_t>(heads) != head_lines_)
        findings_.add(Check::form, here,
                      "speaks of " + std::string{records.substr(0, 20)} + " records and " +
                          std::string{heads.substr(0, 20)} + " heads, and there are " + std::to_string(record_lines_) +
                          " and " + std::to_string(head_lines_));
    if (content != digest_.value().hex())
        findings_.add(Check::form, here, "the export was changed after it was written");
}

void Verifier::compare_with_checkpoint() {
    if (checkpoint_ && next_ == checkpoint_->size) root_at_checkpoint_ = tree_.root();
}

void Verifier::judge_checkpoint() {
    if (!options_.checkpoint) {
        findings_.note({}, "without a checkpoint from elsewhere it cannot be excluded that a later tail was cut off");
        return;
    }
    const auto wrong = [&](std::string what) { findings_.add(Check::checkpoint, {}, std::move(what)); };
    const auto number = epoch_in(*options_.checkpoint);
    if (!checkpoint_ || !number) return wrong("what was given as checkpoint is none");
    if (genesis_ && checkpoint_->origin != origin_) return wrong("the checkpoint is of another log");
    const auto size = checkpoint_->size;
    const auto spoken = "the checkpoint speaks of " + std::to_string(size) + " records";
    const auto* epoch = epochs_.find(*number);
    if (epoch == nullptr)
        return wrong(spoken + " and epoch " + std::to_string(*number) + ", which the export does not bring in" +
                     (size > next_
                          ? ": the tail after record " + std::to_string(next_ == 0 ? 0 : next_ - 1) + " is missing"
                          : ""));
    const auto verified = log::verified_head(*options_.checkpoint, origin_, epoch->key_name(), *epoch->head_key);
    if (!verified) return wrong("the checkpoint does not verify: " + verified.error().detail);
    const bool same = root_at_checkpoint_ && *root_at_checkpoint_ == checkpoint_->root;
    if (same) return;
    const auto* next = epochs_.after(*number);
    if (abandoned(*epoch, size))
        return findings_.note(
            {}, "the checkpoint is a head that epoch " + std::to_string(next->number) + " did not go on from");
    if (next != nullptr && size > next->accepted_size)
        return wrong(spoken + ", and epoch " + std::to_string(next->number) + " went on from " +
                     std::to_string(next->accepted_size));
    if (size > next_)
        return wrong(spoken + ", and the export has " + std::to_string(next_) + ": the tail after record " +
                     std::to_string(next_ == 0 ? 0 : next_ - 1) + " is missing");
    wrong(spoken + " with another root: something up to record " + std::to_string(size == 0 ? 0 : size - 1) +
          " is not what it was");
}

Report Verifier::finish() {
    if (!pending_.empty() || overlong_) {
        line(pending_);
        findings_.add(Check::form, {Place::line, lines_}, "has no end");
    }
    judge_time();
    findings_.at_line(0);
    if (lines_ < 2) findings_.add(Check::form, {}, "there is no genesis");
    if (!ended_) findings_.add(Check::form, {}, "the last line is missing: the export was cut");
    if (next_ == 0) findings_.add(Check::tail, {}, "there is no record");
    else if (covered_ < next_)
        findings_.add(Check::tail, {Place::record, covered_},
                      std::to_string(next_ - covered_) + " records from here on stand under no good head");
    judge_checkpoint();
    if (unsynchronised_ != 0)
        findings_.note({Place::record, first_unsynchronised_},
                       "from here on the clock followed no source in " + std::to_string(unsynchronised_) + " batches");
    credentials_.note_open();

    Report report;
    findings_.move_into(report);
    report.records = record_lines_;
    report.heads = good_heads_;
    report.epochs = epochs_.count();
    report.genesis = genesis_ ? genesis_->hex() : "";
    report.trial = trial_;
    report.newest = newest_;
    return report;
}

Report verify(std::string_view text, EVP_PKEY& attestation_key, Options options) {
    Verifier verifier{attestation_key, std::move(options)};
    verifier.take(text);
    return verifier.finish();
}

}  // namespace qscd::audit
