#include "qscd/sam/state/takeover.hpp"

#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "protocol/message.hpp"
#include "qscd/sam/cells/event.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t page = 10'000;             // records read at once
constexpr std::uint64_t widest_gap = 1'000'000;  // between the anchored epoch and what an unverified head claims
constexpr std::chrono::hours unclean_memory{24};

Error sealed(SealReason reason, std::string_view what = {}) {
    std::string text{row_of(reason).text};
    if (!what.empty()) text += ": " + std::string{what};
    return {Errc::sealed, text};
}
Error invalid(std::string_view what) { return sealed(SealReason::store_invalid, what); }

std::string digest_of(std::string_view text) { return std::string{text_of(sha256(view_of(text)).bytes())}; }

// The highest one of the newest epoch.
std::optional<pb::Anchor> newest(const std::vector<pb::Anchor>& anchors) {
    const auto rank = [](const pb::Anchor& anchor) { return std::pair{anchor.epoch(), anchor.size()}; };
    const auto best = std::ranges::max_element(anchors, {}, rank);
    return best == anchors.end() ? std::nullopt : std::optional{*best};
}

// One start: what it reads, in the order in which it reads.
class Start {
public:
    Start(Custody& custody, StateStore& store, TimePoint now, const std::optional<Unseal>& unseal,
          const std::optional<NewKeys>& keys)
        : custody_(custody), store_(store), now_(now), unseal_(unseal), keys_(keys) {}

    Result<Takeover> run() {
        QSCD_TRY(store_.prepare());
        QSCD_TRY(auto epoch, fence());
        QSCD_TRY(auto anchors, custody_.anchors());
        const auto anchor = newest(anchors);
        if (!anchor) return sealed(SealReason::no_anchor);
        anchor_ = *anchor;
        QSCD_TRY(read_head());
        if (out_.accepted) {
            QSCD_TRY(read_log());
            QSCD_TRY(read_cells());
        }
        QSCD_TRY(judge_clock());
        QSCD_TRY(begin(epoch));
        return std::move(out_);
    }

private:
    // People may let go on what the table says they may; then it is remembered as overridden.
    Result<void> judge(SealReason reason, std::string_view what = {}) {
        if (!unseal_ || !row_of(reason).people_may_go_on) return sealed(reason, what);
        if (!out_.overridden || row_of(reason).locks_pins) out_.overridden = reason;
        return success();
    }

    // The number is for people and for order; what fences is the key.
    Result<std::uint64_t> fence() {
        std::uint64_t last = 0;
        QSCD_TRY(auto anchors, custody_.anchors());
        if (const auto anchor = newest(anchors)) last = anchor->epoch();
        QSCD_TRY(auto head, store_.newest_head());
        if (head) {
            const auto claimed = epoch_of_key_name(log::key_name_of(head->text));
            if (claimed > last && claimed - last < widest_gap) last = claimed;
        }
        crash_point("samd.takeover.before-key");
        QSCD_TRY(auto key, custody_.begin_epoch(last + 1));
        out_.start.set_head_key(std::string{text_of(key)});
        return last + 1;
    }

    Result<log::Head> verified(const HeadRow& row) {
        const auto name = log::key_name_of(row.text);
        QSCD_TRY(auto start, epoch_start(custody_, store_, epoch_of_key_name(name)));
        auto key = public_key_from_der(view_of(start.head_key()));
        if (!key) return invalid("the head key of epoch " + std::to_string(start.epoch()));
        auto head = log::verified_head(row.text, custody_.origin(), name, *key.value());
        if (!head) return invalid(head.error().detail);
        if (head.value().size != row.size || row.base >= row.size) return invalid("the row of a head");
        return head;
    }

    Result<void> read_head() {
        QSCD_TRY(auto newest, store_.newest_head());
        QSCD_TRY(auto records, store_.log_size());
        if (!newest) {
            if (anchor_.size() != 0) return sealed(SealReason::store_empty);
            if (records != 0) return invalid("records without a head");
            return success();
        }
        QSCD_TRY(auto head, verified(*newest));
        if (records != head.size) return invalid("the number of records");
        head_ = head;
        if (head.size < anchor_.size()) {
            QSCD_TRY(judge(SealReason::store_behind, "it ends at " + std::to_string(head.size) + ", the anchor at " +
                                                         std::to_string(anchor_.size())));
        } else if (anchor_.size() != 0) {
            QSCD_TRY(auto row, store_.head(anchor_.size()));
            if (!row || digest_of(row->text) != anchor_.head()) {
                QSCD_TRY(judge(SealReason::other_history, "at record " + std::to_string(anchor_.size())));
            } else {
                QSCD_TRY(anchored_, verified(*row));
            }
        }
        const auto epoch = epoch_of_key_name(log::key_name_of(newest->text));
        if (epoch < anchor_.epoch() && anchor_.size() != 0 && !out_.overridden) {
            QSCD_TRY(judge(SealReason::other_history, "its head is of an older epoch than the anchor"));
        }
        QSCD_TRY(last_epoch_, epoch_start(custody_, store_, epoch));
        out_.accepted = std::move(newest);
        return success();
    }

    // From a known edge on, through the anchored head, to the newest one.
    Result<void> read_log() {
        const auto& newest = *out_.accepted;
        auto from = newest.size > records_checked_at_start ? newest.size - records_checked_at_start : 0;
        if (anchored_) from = std::min(from, anchored_->size);
        if (from != 0) {
            QSCD_TRY(auto heads, store_.heads(from, 1));
            auto edge = heads.empty() ? std::nullopt : log::LogTree::from_frontier(heads[0].base, heads[0].frontier);
            if (!edge) return invalid("the edge of the log");
            out_.log = std::move(*edge);
        }
        while (out_.log.size() < newest.size) {
            QSCD_TRY(auto records,
                     store_.records(out_.log.size(), std::min<std::uint64_t>(page, newest.size - out_.log.size())));
            if (records.empty()) return invalid("records are missing");
            for (const auto& record : records) {
                out_.log.append(record);
                if (anchored_ && out_.log.size() == anchored_->size && out_.log.root() != anchored_->root) {
                    QSCD_TRY(judge(SealReason::other_history, "the anchored head is not in its log"));
                }
            }
        }
        if (out_.log.size() != newest.size || out_.log.root() != head_->root) return invalid("the log's root");
        QSCD_TRY(read_last_batch());
        for (const auto& open : closing_.open()) out_.open.emplace(open.seq(), open);
        if (closing_.trial() != custody_.genesis().trial()) return invalid("the trial bit");
        return success();
    }

    // Backwards from the end to the closing record before it. How large it is says the log, not the row of its head.
    Result<void> read_last_batch() {
        const auto size = out_.accepted->size;
        const auto from = size > page ? size - page : 0;
        QSCD_TRY(auto tail, store_.records(from, static_cast<std::size_t>(size - from)));
        for (auto each = tail.rbegin(); each != tail.rend(); ++each) {
            auto record = protocol::decode<pb::LogRecord>(*each);
            if (!record) return invalid("a record");
            if (each == tail.rbegin()) {
                if (!record.value().has_closing()) return invalid("the closing record");
                closing_ = record.value().closing();
            } else if (record.value().has_closing()) {
                break;
            } else if (record.value().type() == name_of(Event::stopped) ||
                       record.value().type() == name_of(Event::key_rotated)) {
                stopped_ = true;
            }
        }
        return success();
    }

    Result<void> read_cells() {
        std::vector<Sha256Digest> digests;
        out_.leaves.reserve(closing_.cell_count());
        digests.reserve(closing_.cell_count());
        bool dense = true;
        auto read = store_.each_cell([&](std::uint64_t index, const Leaf& leaf) {
            dense = dense && index == digests.size();
            out_.leaves.push_back(leaf);
            digests.push_back(log::ArrayTree::leaf(leaf_bytes(index, leaf)));
        });
        if (!read) return read.error().code == Errc::sealed ? invalid(read.error().detail) : read.error();
        if (!dense || digests.size() != closing_.cell_count()) return invalid("the rows of the cells");
        out_.cells = log::ArrayTree::of(std::move(digests));
        if (!std::ranges::equal(view_of(closing_.cell_root()), out_.cells.root().bytes()))
            return invalid("the cells' root");
        return success();
    }

    Result<void> judge_clock() {
        const auto latest = std::max<std::int64_t>(anchor_.time(), out_.accepted ? closing_.time() : 0);
        if (now_ + clock_tolerance < from_unix(latest)) {
            QSCD_TRY(judge(SealReason::clock_back, "by " + std::to_string(latest - unix_seconds(now_)) + " s"));
        }
        return success();
    }

    Result<void> begin(std::uint64_t epoch) {
        std::vector<std::int64_t> unclean;
        for (const auto at : anchor_.unclean())
            if (from_unix(at) + unclean_memory > now_) unclean.push_back(at);
        out_.unclean = out_.accepted && !stopped_;
        if (out_.unclean) {
            unclean.push_back(unix_seconds(now_));
            if (unclean.size() > unclean_starts_a_day) {
                QSCD_TRY(judge(SealReason::unclean_starts));
                unclean.clear();
            }
        }
        auto& start = out_.start;
        start.set_genesis(std::string{text_of(custody_.genesis_digest().bytes())});
        start.set_epoch(epoch);
        start.set_time(unix_seconds(now_));
        start.set_anchored_size(anchor_.size());
        start.set_cell_key(last_epoch_.epoch() != 0 ? last_epoch_.cell_key() : custody_.genesis().cell_key());
        start.set_pin_key(last_epoch_.epoch() != 0 ? last_epoch_.pin_key() : custody_.genesis().pin_key());
        if (keys_) {
            start.set_cell_key(std::string{text_of(keys_->cell_key.bytes())});
            start.set_pin_key(std::string{text_of(keys_->pin_key.bytes())});
        }
        if (out_.accepted) {
            start.set_accepted_size(out_.accepted->size);
            start.set_accepted_head(digest_of(out_.accepted->text));
        }
        auto& floors = *start.mutable_floors();
        floors = last_epoch_.floors();
        if (out_.unclean || out_.overridden) floors.set_app_steps(std::max(floors.app_steps(), unix_seconds(now_)));
        if (out_.overridden) {
            start.set_unsealed(unseal_->reason);
            if (row_of(*out_.overridden).locks_pins) floors.set_locked_before(epoch);
        }
        for (const auto at : unclean) start.add_unclean(at);
        return success();
    }

    Custody& custody_;
    StateStore& store_;
    TimePoint now_;
    const std::optional<Unseal>& unseal_;
    const std::optional<NewKeys>& keys_;
    Takeover out_;
    pb::Anchor anchor_;
    std::optional<log::Head> head_, anchored_;
    pb::EpochStart last_epoch_;  // of the accepted head
    pb::Closing closing_;
    bool stopped_ = false;  // the accepted head's batch tells of a clean stop
};

}  // namespace

Result<pb::EpochStart> epoch_start(const Custody& custody, StateStore& store, std::uint64_t epoch) {
    const auto named = "the paper of epoch " + std::to_string(epoch);
    QSCD_TRY(auto bytes, store.epoch(epoch));
    if (!bytes) return invalid(named);
    const auto paper = protocol::decode<pb::Paper>(*bytes);
    if (!paper) return invalid(named);
    const auto start = protocol::verify_epoch_start(paper.value(), custody.attestation());
    if (!start || start.value()->epoch() != epoch ||
        !std::ranges::equal(view_of(start.value()->genesis()), custody.genesis_digest().bytes()))
        return invalid(named);
    return *start.value();
}

Result<Takeover> take_over(Custody& custody, StateStore& store, TimePoint now, const std::optional<Unseal>& unseal,
                           const std::optional<NewKeys>& keys) {
    try {
        return Start{custody, store, now, unseal, keys}.run();
    } catch (const std::exception& error) {  // a column of another type, a number that is none
        return invalid(error.what());
    }
}

}  // namespace qscd::sam
