#include "qscd/sam/state/ledger.hpp"

#include "base/clock_state.hpp"
#include "base/crash_point.hpp"
#include "base/diagnostics.hpp"
#include "base/random.hpp"
#include "protocol/message.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t salt_size = 16, sealed_step = 32;

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

CellName name_of(CellKind kind, const CellId& id, std::uint64_t index, std::uint64_t version) {
    CellName out{kind, {}, index, version};
    std::ranges::copy(id.bytes(), out.id.begin());
    return out;
}

std::optional<std::uint64_t> intent_ended_by(const Entry& entry) {
    for (const auto& [name, value] : entry.fields)
        if (name == "intent") return std::stoull(value);
    return std::nullopt;
}

}  // namespace

Ledger::Ledger(StateStore& store, Custody& custody, const Clock& clock, Takeover takeover)
    : store_(store),
      custody_(custody),
      clock_(clock),
      start_(std::move(takeover.start)),
      log_(std::move(takeover.log)),
      cells_(std::move(takeover.cells)),
      leaves_(std::move(takeover.leaves)),
      open_(std::move(takeover.open)) {}

Result<std::unique_ptr<Ledger>> Ledger::open(StateStore& store, Custody& custody, const Clock& clock,
                                             Beginning beginning) {
    QSCD_TRY(auto takeover, take_over(custody, store, clock.now(), beginning.unseal, beginning.keys));
    const auto accepted = takeover.accepted;
    const auto overridden = takeover.overridden;
    const bool unclean = takeover.unclean;
    Result<std::unique_ptr<Ledger>> out{
        std::unique_ptr<Ledger>{new Ledger{store, custody, clock, std::move(takeover)}}};
    auto& ledger = *out.value();
    ledger.index_.reserve(ledger.leaves_.size());
    for (std::size_t index = 0; index < ledger.leaves_.size(); ++index)
        if (!ledger.index_.add(index)) return Error{Errc::sealed, "two cells with one name"};
    if (accepted) ledger.newest_head_ = KeptHead{accepted->size, -1};

    const auto& genesis = custody.genesis();
    if (!accepted)
        ledger.record({Event::genesis,
                       "samd",
                       std::nullopt,
                       "ok",
                       {{"digest", custody.genesis_digest().hex()}, {"trial", genesis.trial() ? "true" : "false"}}});
    if (overridden)
        ledger.record({Event::unsealed,
                       "bootstrap",
                       std::nullopt,
                       "ok",
                       {{"reason", beginning.unseal->reason},
                        {"sealed", std::string{row_of(*overridden).text}},
                        {"anchored_size", std::to_string(ledger.start_.anchored_size())},
                        {"accepted_size", std::to_string(ledger.start_.accepted_size())}}});
    QSCD_TRY(ledger.start_paper_, custody.attest(protocol::to_paper(ledger.start_)));
    auto& fields = beginning.fields;
    fields.emplace_back("epoch", std::to_string(ledger.epoch()));
    fields.emplace_back("after", unclean ? "an unclean end" : accepted ? "a clean stop" : "genesis");
    ledger.record({Event::started, "samd", std::nullopt, "ok", std::move(fields)});
    return out;
}

Result<CkaId> Ledger::cell_key_of(std::uint64_t epoch) {
    if (const auto known = cell_keys_.find(epoch); known != cell_keys_.end()) return known->second;
    auto key = CkaId::from(view_of(start_.cell_key()));
    if (epoch != start_.epoch()) {
        QSCD_TRY(auto start, epoch_start(custody_, store_, epoch));
        key = CkaId::from(view_of(start.cell_key()));
    }
    if (!key) return Error{Errc::internal, "epoch " + std::to_string(epoch) + " names no K_cell"};
    cell_keys_.emplace(epoch, *key);
    return *key;
}

Result<SealContext> Ledger::context(std::uint64_t epoch) {
    QSCD_TRY(auto key, cell_key_of(epoch));
    QSCD_TRY(const auto* data_key, custody_.data_key(key));
    return SealContext{*data_key, custody_.genesis_digest(), epoch};
}

Result<SecretBytes> Ledger::unsealed(std::size_t index, const SealedBlob& blob) {
    const auto& leaf = leaves_[index];
    const auto changed = [&] {
        note(Level::alarm, "cell-was-changed-in-the-store", {{"cell", leaf.id.hex()}});
        return Error{Errc::internal, "a cell is not the one that the head speaks of"};
    };
    if (sha256(blob.sealed) != leaf.digest) return changed();
    const auto sealed_in = context(blob.epoch);  // the epoch stands beside the blob: no more than a hint to its key
    if (!sealed_in) return sealed_in.error().code == Errc::token_away ? sealed_in.error() : changed();
    auto plain = unseal(sealed_in.value(), name_of(leaf.kind, leaf.id, index, leaf.version), blob.sealed);
    if (!plain) return changed();
    return plain;
}

Result<std::optional<SecretBytes>> Ledger::plain_of(const CellKey& key) {
    if (const auto staged = staged_.find(key); staged != staged_.end())
        return SecretBytes{staged_order_[staged->second].plain.reveal()};
    const auto index = index_.find(key.kind, key.id);
    if (!index) return std::optional<SecretBytes>{};
    if (const auto cached = cache_.find(key); cached != cache_.end()) {
        QSCD_TRY(auto plain, unsealed(*index, cached->second));
        return std::optional{std::move(plain)};
    }
    QSCD_TRY(auto blob, store_.blob(*index));
    if (!blob) blob = SealedBlob{};
    QSCD_TRY(auto plain, unsealed(*index, *blob));
    cache_.emplace(key, std::move(*blob));
    return std::optional{std::move(plain)};
}

template <class Cell, class Id>
Result<std::optional<Cell>> Ledger::read(CellKind kind, const Id& id) {
    QSCD_TRY(const auto plain, plain_of({kind, *CellId::from(id.bytes())}));
    if (!plain) return std::optional<Cell>{};
    QSCD_TRY(auto cell, protocol::decode<Cell>(plain->reveal()));
    return std::optional<Cell>{std::move(cell)};
}

Result<std::optional<cell::Credential>> Ledger::credential(const CredentialId& id) {
    return read<cell::Credential>(CellKind::credential, id);
}
Result<std::optional<cell::Device>> Ledger::device(const DeviceId& id) {
    return read<cell::Device>(CellKind::device, id);
}
Result<std::optional<cell::Signer>> Ledger::signer(const SignerId& id) {
    return read<cell::Signer>(CellKind::signer, id);
}

bool Ledger::knows(const CredentialId& id) const {
    const CellKey key{CellKind::credential, *CellId::from(id.bytes())};
    return staged_.contains(key) || index_.find(key.kind, key.id);
}

CredentialId Ledger::credential_of(const EnrolmentId& id) const {
    const auto digest = sha256({view_of("qscd/credential/v1"), custody_.genesis_digest().bytes(), id.bytes()});
    return *CredentialId::from(digest.bytes().first(CredentialId::size));
}

template <class Cell>
void Ledger::stage(CellKind kind, const Cell& cell) {
    const CellKey key{kind, *CellId::from(view_of(cell.id()))};
    auto bytes = protocol::encode(cell);
    SecretBytes plain{ByteView{bytes}};
    wipe(bytes);
    const auto [at, fresh] = staged_.emplace(key, staged_order_.size());
    if (fresh) staged_order_.push_back({key, std::move(plain)});
    else staged_order_[at->second].plain = std::move(plain);
}

void Ledger::put(const cell::Credential& cell) { stage(CellKind::credential, cell); }
void Ledger::put(const cell::Device& cell) { stage(CellKind::device, cell); }
void Ledger::put(const cell::Signer& cell) { stage(CellKind::signer, cell); }

void Ledger::record(Entry entry) {
    if (!entry.request) entry.request = current_request();
    staged_records_.push_back(std::move(entry));
}

void Ledger::discard() {
    staged_order_.clear();
    staged_.clear();
    staged_records_.clear();
}

std::optional<std::uint64_t> Ledger::open_intent(const CredentialId& credential, bool key) const {
    for (const auto& [seq, open] : open_)
        if (open.key() == key && std::ranges::equal(view_of(open.credential()), credential.bytes())) return seq;
    return std::nullopt;
}

// Every record of a credential changes its leaf, which names the newest one.
Result<void> Ledger::touch_named_credentials() {
    for (auto& entry : staged_records_) {
        if (!entry.credential) continue;
        const CellKey key{CellKind::credential, *CellId::from(entry.credential->bytes())};
        if (staged_.contains(key) || !index_.find(key.kind, key.id)) continue;
        auto plain = plain_of(key);
        if (!plain && plain.error().code != Errc::internal) return plain.error();
        if (!plain) {  // its blob was changed: the record stands outside its chain, and the others' batch goes on
            entry.fields.emplace_back("credential", entry.credential->hex());
            entry.credential.reset();
            continue;
        }
        staged_.emplace(key, staged_order_.size());
        staged_order_.push_back({key, std::move(*plain.value())});
    }
    return success();
}

Result<void> Ledger::commit() {
    auto committed = cut_batch();
    if (!committed) resealing_.reset();  // what it staged is gone: it begins anew
    return committed;
}

Result<void> Ledger::cut_batch() {
    const auto now = clock_.now();
    if (auto touched = touch_named_credentials(); !touched) {
        discard();
        return touched;
    }
    auto sealing = context(epoch());
    if (!sealing) {
        discard();
        return sealing.error();
    }

    auto log = log_;
    auto open = open_;
    std::unordered_map<CellId, std::uint64_t, HashOfFixedBytes> newest;
    Batch batch;
    batch.head.base = log_.size();
    batch.head.frontier = log_.frontier();
    const auto add = [&](const pb::LogRecord& record) {
        batch.records.push_back(protocol::encode(record));
        log.append(batch.records.back());
    };
    bool start_is_told = false;
    for (const auto& entry : staged_records_) {
        pb::LogRecord record;
        record.set_seq(log.size());
        record.set_time(unix_seconds(now));
        record.set_type(std::string{name_of(entry.event)});
        record.set_actor(entry.actor);
        record.set_result(entry.result);
        if (entry.request) record.set_request_id(string_of(entry.request->bytes()));
        for (const auto& [name, value] : entry.fields) {
            auto& field = *record.add_fields();
            field.set_name(std::string{name});
            field.set_value(value);
        }
        record.set_salt(string_of(random_bytes(salt_size)));
        if (entry.event == Event::started && start_paper_) {
            *record.mutable_start() = *start_paper_;
            start_is_told = true;
        }
        if (const auto ended = intent_ended_by(entry)) open.erase(*ended);
        if (entry.credential) {
            record.set_credential(string_of(entry.credential->bytes()));
            const auto id = *CellId::from(entry.credential->bytes());
            const auto known = newest.find(id);
            const auto index = index_.find(CellKind::credential, id);
            record.set_predecessor(known != newest.end() ? known->second : index ? leaves_[*index].newest : 0);
            newest[id] = log.size() + 1;
            if (entry.event == Event::sign_intent || entry.event == Event::key_intended) {
                auto& intent = open[log.size()];
                intent.set_seq(log.size());
                intent.set_credential(record.credential());
                intent.set_key(entry.event == Event::key_intended);
            }
        }
        if (!entry.sealed.empty()) {
            std::array<std::uint8_t, 16> name{};
            std::copy_n(record.salt().begin(), name.size(), name.begin());
            auto plain = entry.sealed;
            plain.resize((plain.size() / sealed_step + 1) * sealed_step, ' ');  // its length would tell what it hides
            record.set_sealed(
                string_of(seal(sealing.value(), {CellKind::credential, name, log.size(), 0}, view_of(plain))));
        }
        add(record);
    }

    pb::LogRecord closing;
    closing.set_seq(log.size());
    closing.set_time(unix_seconds(now));
    closing.set_type(std::string{name_of(Event::closing)});
    closing.set_actor("samd");
    closing.set_salt(string_of(random_bytes(salt_size)));
    auto& sums = *closing.mutable_closing();

    const auto before = leaves_.size();
    auto next = before;
    for (const auto& [key, plain] : staged_order_) {
        const auto known = index_.find(key.kind, key.id);
        const auto at = known ? *known : next++;
        const auto version = known ? leaves_[at].version + 1 : 1;
        auto sealed = seal(sealing.value(), name_of(key.kind, key.id, at, version), plain.reveal());
        const auto recorded = key.kind == CellKind::credential ? newest.find(key.id) : newest.end();
        const Leaf leaf{key.kind, key.id, version,
                        recorded != newest.end() ? recorded->second
                        : known                  ? leaves_[at].newest
                                                 : 0,
                        sha256(sealed)};
        const auto digest = log::ArrayTree::leaf(leaf_bytes(at, leaf));
        cells_.set(at, digest);
        auto& changed = *sums.add_changed();
        changed.set_index(at);
        changed.set_digest(string_of(digest.bytes()));
        batch.cells.push_back({at, !known, leaf, {epoch(), std::move(sealed)}});
    }
    sums.set_epoch(epoch());
    sums.set_cell_count(cells_.size());
    sums.set_cell_root(string_of(cells_.root().bytes()));
    sums.set_time(unix_seconds(now));
    sums.set_trial(custody_.genesis().trial());
    sums.set_clock(std::string{clock_state()});
    for (const auto& [seq, intent] : open) *sums.add_open() = intent;
    add(closing);

    crash_point("samd.batch.before-head");
    auto text = custody_.sign_head({custody_.origin(), log.size(), log.root()});
    if (!text) {
        for (const auto& each : batch.cells)
            if (!each.fresh) cells_.set(each.index, log::ArrayTree::leaf(leaf_bytes(each.index, leaves_[each.index])));
        cells_.truncate(before);
        discard();
        return text.error();
    }
    batch.head.size = log.size();
    batch.head.text = std::move(text.value());
    if (start_is_told) batch.epoch = EpochRow{epoch(), protocol::encode(*start_paper_)};
    // One head a minute stays, the newest, and the one before it: until the anchor is written that is the anchored one.
    const auto minute = unix_seconds(now) / 60;
    if (anchored_before_ && newest_head_ && anchored_before_->minute == newest_head_->minute)
        batch.pruned_head = anchored_before_->size;

    crash_point("samd.batch.before-write");
    if (auto written = store_.write(batch); !written)
        return Error{written.error().code == Errc::fenced ? Errc::fenced : Errc::store_away, written.error().detail};
    crash_point("samd.batch.after-commit");
    pb::Anchor anchor;
    anchor.set_epoch(epoch());
    anchor.set_size(batch.head.size);
    anchor.set_head(string_of(sha256(view_of(batch.head.text)).bytes()));
    anchor.set_time(unix_seconds(now));
    *anchor.mutable_unclean() = start_.unclean();
    if (auto anchored = custody_.anchor(anchor); !anchored)  // durable and not anchored: the next start decides
        return Error{anchored.error().code == Errc::fenced ? Errc::fenced : Errc::store_away,
                     "the anchor: " + describe(anchored.error())};
    crash_point("samd.batch.after-anchor");

    log_ = std::move(log);
    open_ = std::move(open);
    if (start_is_told) start_paper_.reset();
    anchored_before_ = newest_head_;
    newest_head_ = KeptHead{log_.size(), minute};
    for (auto& each : batch.cells) {
        if (each.fresh) {
            leaves_.push_back(each.leaf);
            index_.add(each.index);
        } else {
            leaves_[each.index] = each.leaf;
        }
        cache_.insert_or_assign(CellKey{each.leaf.kind, each.leaf.id}, std::move(each.blob));
    }
    discard();
    return success();
}

Result<std::vector<Bytes>> Ledger::records(std::uint64_t from, std::size_t count, std::size_t max_bytes) {
    QSCD_TRY(auto all, store_.records(from, count));
    std::size_t total = 0, kept = 0;
    while (kept < all.size() && (kept == 0 || total + all[kept].size() + 8 <= max_bytes))
        total += all[kept++].size() + 8;
    all.resize(kept);
    return all;
}

Result<std::vector<HeadRow>> Ledger::heads(std::uint64_t from_size, std::size_t count) {
    return store_.heads(from_size, count);
}

Result<bool> Ledger::check_some_records(std::size_t count) {
    if (!check_) check_ = RecordCheck{{}, log_.size(), log_.root()};
    auto& check = *check_;
    QSCD_TRY(auto records,
             store_.records(check.tree.size(), std::min<std::uint64_t>(count, check.goal - check.tree.size())));
    for (const auto& record : records) check.tree.append(record);
    const bool ended = check.tree.size() == check.goal;
    if ((records.empty() && !ended) || (ended && check.tree.root() != check.root)) {
        note(Level::alarm, "log-was-changed-in-the-store", {{"records", std::to_string(check.goal)}});
        return Error{Errc::sealed, "the log in the store is not the one that the head speaks of"};
    }
    if (ended) check_.reset();
    return ended;
}

Result<bool> Ledger::reseal_some(std::size_t count) {
    const auto current = *CkaId::from(view_of(start_.cell_key()));
    if (!resealing_) {
        QSCD_TRY(auto old_keys, custody_.keys_beside(current, pin_key()));
        if (old_keys.empty()) return true;
        resealing_ = Resealing{std::move(old_keys), {}, 0};
    }
    auto& pass = *resealing_;
    for (; count > 0 && pass.next < leaves_.size(); --count, ++pass.next) {
        const auto& leaf = leaves_[pass.next];
        QSCD_TRY(auto blob, store_.blob(pass.next));
        if (!blob) blob = SealedBlob{};
        QSCD_TRY(auto key, cell_key_of(blob->epoch));
        const bool is_old = key != current;
        if (!is_old && leaf.kind != CellKind::credential) continue;
        auto plain = unsealed(pass.next, *blob);
        if (!plain) {  // its keys must stay: somebody may yet bring the cell back
            pass.in_use.insert(key);
            continue;
        }
        if (leaf.kind == CellKind::credential) {
            QSCD_TRY(auto cell, protocol::decode<cell::Credential>(plain.value().reveal()));
            if (const auto pin = CkaId::from(view_of(cell.pin_key()))) pass.in_use.insert(*pin);
        }
        const CellKey name{leaf.kind, leaf.id};
        if (!is_old || staged_.contains(name)) continue;
        staged_.emplace(name, staged_order_.size());
        staged_order_.push_back({name, std::move(plain.value())});
    }
    if (pass.next < leaves_.size() || !staged_order_.empty()) return false;
    for (const auto& key : pass.old_keys) {
        if (pass.in_use.contains(key)) continue;
        record({Event::key_destroyed, "samd", std::nullopt, "ok", {{"cka_id", key.hex()}}});
        QSCD_TRY(commit());
        QSCD_TRY(custody_.destroy_key(key));
    }
    resealing_.reset();
    return true;
}

}  // namespace qscd::sam
