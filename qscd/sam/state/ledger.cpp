#include "qscd/sam/state/ledger.hpp"

#include <map>

#include "base/diagnostics.hpp"
#include "base/random.hpp"
#include "protocol/message.hpp"
#include "qscd/sam/state/migrations.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t salt_size = 16, sealed_step = 32;

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }
std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

template <class Id>
Id id_in(const std::string& bytes) {
    return *Id::from(view_of(bytes));  // written by us, under a digest that was verified
}

// The store does not say what the signed head says: sealed until somebody looks.
Error mismatch(std::string_view what) {
    note(Level::alarm, "store-does-not-match-its-head", {{"what", std::string{what}}});
    return {Errc::store_away, "the store does not match its signed head: " + std::string{what}};
}

}  // namespace

Bytes Ledger::leaf_bytes(std::size_t index, const Leaf& leaf) {
    Bytes out{static_cast<std::uint8_t>(leaf.kind)};
    out.insert(out.end(), leaf.id.bytes().begin(), leaf.id.bytes().end());
    for (const std::uint64_t value : {leaf.version, std::uint64_t{index}, leaf.newest})
        for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(value >> shift));
    out.insert(out.end(), leaf.digest.bytes().begin(), leaf.digest.bytes().end());
    return out;
}

Result<std::unique_ptr<Ledger>> Ledger::open(store::Database& database, ModuleKeys keys, const Clock& clock) {
    QSCD_TRY(database.migrate(migrations));
    std::unique_ptr<Ledger> out{new Ledger{database, std::move(keys), clock}};
    try {
        QSCD_TRY(out->load());
    } catch (const std::exception& error) {  // a column of another type, a number that is none
        return mismatch(error.what());
    }
    return out;
}

Result<void> Ledger::load() {
    QSCD_TRY(auto heads, database_.query("SELECT size, text FROM head ORDER BY size DESC LIMIT 1"));
    QSCD_TRY(auto counted, database_.query("SELECT count(*) FROM log"));
    if (heads.empty()) {
        if (store::integer(counted[0][0]) != 0) return mismatch("records without a head");
        return success();
    }
    const auto head = keys_.verify_head(store::text(heads[0][1]));
    if (!head) return mismatch(head.error().detail);
    if (store::integer(counted[0][0]) != number(head.value().size)) return mismatch("the number of records");

    constexpr std::int64_t page = 10'000;
    std::map<std::string, pb::LogRecord> intents;
    pb::LogRecord record;
    for (std::int64_t from = 0; from < number(head.value().size); from += page) {
        QSCD_TRY(auto rows, database_.query("SELECT record FROM log WHERE seq >= $1 AND seq < $2 ORDER BY seq",
                                            {from, from + page}));
        for (const auto& row : rows) {
            log_.append(store::blob(row[0]));
            auto decoded = protocol::decode<pb::LogRecord>(store::blob(row[0]));
            if (!decoded) return mismatch("a record");
            record = std::move(decoded.value());
            const auto intent = [&]() -> std::string {
                for (const auto& field : record.fields())
                    if (field.name() == "intent") return field.value();
                return {};
            }();
            if (record.type() == name_of(Event::sign_intent)) intents[std::to_string(record.seq())] = record;
            else if (!intent.empty()) intents.erase(intent);
        }
    }
    if (log_.root() != head.value().root || log_.size() != head.value().size) return mismatch("the log's root");
    for (auto& [seq, intent] : intents) open_intents_.push_back(std::move(intent));

    QSCD_TRY(load_cells());
    if (!record.has_closing() || record.closing().cell_count() != cells_.size() ||
        view_of(record.closing().cell_root()).size() != 32 ||
        !std::ranges::equal(view_of(record.closing().cell_root()), cells_.root().bytes()))
        return mismatch("the cells' root");
    head_size_ = head.value().size;
    for (const auto& id : all_credentials()) {
        const auto cell = credential(id);
        if (!cell || !cell.value()) return mismatch("a credential's cell");
        index(*cell.value());
    }
    return success();
}

Result<void> Ledger::load_cells() {
    QSCD_TRY(auto rows, database_.query("SELECT idx, kind, id, version, newest, digest FROM cell ORDER BY idx"));
    for (const auto& row : rows) {
        const auto id = CellId::from(store::blob(row[2]));
        const auto digest = Sha256Digest::from(store::blob(row[5]));
        if (!id || !digest || store::integer(row[0]) != number(leaves_.size()))
            return mismatch("the rows of the cells");
        leaves_.push_back({static_cast<CellKind>(store::integer(row[1])), *id,
                           static_cast<std::uint64_t>(store::integer(row[3])),
                           static_cast<std::uint64_t>(store::integer(row[4])), *digest});
        positions_.emplace(*id, leaves_.size() - 1);
        cells_.set(leaves_.size() - 1, leaf_bytes(leaves_.size() - 1, leaves_.back()));
    }
    return success();
}

void Ledger::index(const cell::Credential& cell) {
    const auto id = id_in<CredentialId>(cell.id());
    if (enrolments_.emplace(id_in<EnrolmentId>(cell.enrolment()), id).second)
        signers_[id_in<SignerId>(cell.signer())].push_back(id);
    if (!cell.public_key().empty()) public_keys_.insert(sha256(view_of(cell.public_key())));
}

Result<std::optional<SecretBytes>> Ledger::plain_of(CellKind kind, const CellId& id) {
    if (const auto staged = staged_.find(id); staged != staged_.end()) {
        const auto& change = staged_order_[staged->second].second;
        if (change.kind != kind) return std::optional<SecretBytes>{};
        return std::optional<SecretBytes>{SecretBytes{ByteView{change.plain}}};
    }
    const auto position = positions_.find(id);
    if (position == positions_.end() || leaves_[position->second].kind != kind) return std::optional<SecretBytes>{};
    if (const auto cached = cache_.find(id); cached != cache_.end())
        return std::optional<SecretBytes>{SecretBytes{ByteView{cached->second}}};
    const auto& leaf = leaves_[position->second];
    QSCD_TRY(auto rows, database_.query("SELECT epoch, sealed FROM blob WHERE idx = $1", {number(position->second)}));
    if (rows.size() != 1 || sha256(store::blob(rows[0][1])) != leaf.digest) {
        note(Level::alarm, "cell-was-changed-in-the-store", {{"cell", id.hex()}});
        return Error{Errc::internal, "a cell is not the one that the head speaks of"};
    }
    std::array<std::uint8_t, 16> raw;
    std::ranges::copy(id.bytes(), raw.begin());
    QSCD_TRY(auto plain, unseal(context(), {kind, raw, position->second, leaf.version}, store::blob(rows[0][1])));
    cache_[id] = Bytes{plain.reveal().begin(), plain.reveal().end()};
    return std::optional<SecretBytes>{std::move(plain)};
}

Result<std::optional<cell::Credential>> Ledger::credential(const CredentialId& id) {
    QSCD_TRY(auto plain, plain_of(CellKind::credential, *CellId::from(id.bytes())));
    if (!plain) return std::optional<cell::Credential>{};
    QSCD_TRY(auto cell, protocol::decode<cell::Credential>(plain->reveal()));
    return std::optional<cell::Credential>{std::move(cell)};
}

Result<std::optional<cell::Device>> Ledger::device(const DeviceId& id) {
    QSCD_TRY(auto plain, plain_of(CellKind::device, *CellId::from(id.bytes())));
    if (!plain) return std::optional<cell::Device>{};
    QSCD_TRY(auto cell, protocol::decode<cell::Device>(plain->reveal()));
    return std::optional<cell::Device>{std::move(cell)};
}

std::optional<CredentialId> Ledger::by_enrolment(const EnrolmentId& id) const {
    for (const auto& [cell_id, change] : staged_order_) {
        if (change.kind != CellKind::credential) continue;
        const auto cell = protocol::decode<cell::Credential>(change.plain);
        if (cell && std::ranges::equal(view_of(cell.value().enrolment()), id.bytes()))
            return id_in<CredentialId>(cell.value().id());
    }
    const auto found = enrolments_.find(id);
    return found == enrolments_.end() ? std::nullopt : std::optional{found->second};
}

std::vector<CredentialId> Ledger::of_signer(const SignerId& id) const {
    const auto found = signers_.find(id);
    return found == signers_.end() ? std::vector<CredentialId>{} : found->second;
}

std::vector<CredentialId> Ledger::all_credentials() const {
    std::vector<CredentialId> out;
    for (const auto& leaf : leaves_)
        if (leaf.kind == CellKind::credential) out.push_back(*CredentialId::from(leaf.id.bytes()));
    return out;
}

void Ledger::put(CellKind kind, const CellId& id, Bytes plain) {
    const auto [at, fresh] = staged_.emplace(id, staged_order_.size());
    if (fresh) staged_order_.push_back({id, {kind, std::move(plain)}});
    else staged_order_[at->second].second.plain = std::move(plain);
}

void Ledger::put(const cell::Credential& cell) {
    put(CellKind::credential, id_in<CellId>(cell.id()), protocol::encode(cell));
}
void Ledger::put(const cell::Device& cell) { put(CellKind::device, id_in<CellId>(cell.id()), protocol::encode(cell)); }

void Ledger::record(Entry entry) { staged_records_.push_back(std::move(entry)); }

void Ledger::discard() {
    staged_order_.clear();
    staged_.clear();
    staged_records_.clear();
}

Result<void> Ledger::commit() {
    const auto now = clock_.now();
    // Every record of a credential changes its leaf, which names the newest one.
    for (auto& entry : staged_records_) {
        if (!entry.credential) continue;
        const auto id = *CellId::from(entry.credential->bytes());
        if (staged_.contains(id) || !positions_.contains(id)) continue;
        const auto plain = plain_of(CellKind::credential, id);
        if (!plain && plain.error().code == Errc::store_away) {
            discard();
            return plain.error();
        }
        if (!plain) {  // its blob was changed: the record stands outside its chain, and the others' batch goes on
            entry.fields.emplace_back("credential", entry.credential->hex());
            entry.credential.reset();
        } else if (plain.value()) {
            const auto bytes = plain.value()->reveal();
            put(CellKind::credential, id, Bytes{bytes.begin(), bytes.end()});
        }
    }

    auto log = log_;
    std::unordered_map<CellId, std::uint64_t, HashOfFixedBytes> newest;
    std::vector<Bytes> records;
    const auto add = [&](const pb::LogRecord& record) {
        records.push_back(protocol::encode(record));
        log.append(records.back());
    };
    for (const auto& entry : staged_records_) {
        pb::LogRecord record;
        record.set_seq(log.size());
        record.set_time(unix_seconds(now));
        record.set_type(std::string{name_of(entry.event)});
        record.set_actor(entry.actor);
        record.set_result(entry.result);
        for (const auto& [name, value] : entry.fields) {
            auto& field = *record.add_fields();
            field.set_name(std::string{name});
            field.set_value(value);
        }
        record.set_salt(string_of(random_bytes(salt_size)));
        if (entry.credential) {
            record.set_credential(string_of(entry.credential->bytes()));
            const auto id = *CellId::from(entry.credential->bytes());
            const auto known = newest.find(id);
            const auto position = positions_.find(id);
            record.set_predecessor(known != newest.end()          ? known->second
                                   : position != positions_.end() ? leaves_[position->second].newest
                                                                  : 0);
            newest[id] = log.size() + 1;
        }
        if (!entry.sealed.empty()) {
            std::array<std::uint8_t, 16> name{};
            std::copy_n(record.salt().begin(), name.size(), name.begin());
            auto plain = entry.sealed;
            plain.resize((plain.size() / sealed_step + 1) * sealed_step, ' ');  // its length would tell what it hides
            record.set_sealed(string_of(seal(context(), {CellKind::credential, name, log.size(), 0}, view_of(plain))));
        }
        add(record);
    }

    struct Write {
        std::size_t position;
        bool fresh;
        Leaf leaf;
        Bytes sealed;
    };
    std::vector<Write> writes;
    auto next = leaves_.size();
    for (const auto& [id, change] : staged_order_) {
        const auto known = positions_.find(id);
        const bool fresh = known == positions_.end();
        const auto position = fresh ? next++ : known->second;
        const auto version = fresh ? 1 : leaves_[position].version + 1;
        std::array<std::uint8_t, 16> raw;
        std::ranges::copy(id.bytes(), raw.begin());
        auto sealed = seal(context(), {change.kind, raw, position, version}, change.plain);
        const auto recorded = newest.find(id);
        Leaf leaf{change.kind, id, version,
                  recorded != newest.end() ? recorded->second
                  : fresh                  ? 0
                                           : leaves_[position].newest,
                  sha256(sealed)};
        cells_.set(position, leaf_bytes(position, leaf));
        writes.push_back({position, fresh, leaf, std::move(sealed)});
    }

    pb::LogRecord closing;
    closing.set_seq(log.size());
    closing.set_time(unix_seconds(now));
    closing.set_type(std::string{name_of(Event::closing)});
    closing.set_actor("samd");
    closing.set_salt(string_of(random_bytes(salt_size)));
    auto& sums = *closing.mutable_closing();
    sums.set_epoch(epoch);
    sums.set_cell_count(cells_.size());
    sums.set_cell_root(string_of(cells_.root().bytes()));
    sums.set_time(unix_seconds(now));
    sums.set_trial(keys_.genesis().trial());
    add(closing);

    auto text = keys_.sign_head({keys_.origin(), log.size(), log.root()});
    if (!text) {
        for (const auto& each : writes)
            if (!each.fresh) cells_.set(each.position, leaf_bytes(each.position, leaves_[each.position]));
        cells_.truncate(leaves_.size());
        discard();
        return text.error();
    }

    const auto write = [&]() -> Result<void> {
        QSCD_TRY(auto transaction, database_.begin());
        auto seq = number(log_.size());
        for (auto& record : records) {
            QSCD_TRY(database_.execute("INSERT INTO log (seq, record) VALUES ($1, $2)", {seq++, std::move(record)}));
        }
        for (auto& each : writes) {
            const auto at = number(each.position);
            if (each.fresh) {
                QSCD_TRY(database_.execute(
                    "INSERT INTO cell (idx, kind, id, version, newest, digest) VALUES ($1, $2, $3, $4, $5, $6)",
                    {at, std::int64_t{static_cast<int>(each.leaf.kind)}, store::of(each.leaf.id.bytes()),
                     number(each.leaf.version), number(each.leaf.newest), store::of(each.leaf.digest.bytes())}));
                QSCD_TRY(database_.execute("INSERT INTO blob (idx, epoch, sealed) VALUES ($1, $2, $3)",
                                           {at, number(epoch), std::move(each.sealed)}));
                continue;
            }
            QSCD_TRY(auto changed,
                     database_.execute(
                         "UPDATE cell SET version = $1, newest = $2, digest = $3 WHERE idx = $4 AND version = $5",
                         {number(each.leaf.version), number(each.leaf.newest), store::of(each.leaf.digest.bytes()), at,
                          number(each.leaf.version - 1)}));
            if (changed != 1) return Error{Errc::store_away, "another owner wrote this store"};
            QSCD_TRY(database_.execute("UPDATE blob SET epoch = $1, sealed = $2 WHERE idx = $3",
                                       {number(epoch), std::move(each.sealed), at}));
        }
        QSCD_TRY(database_.execute("INSERT INTO head (size, text) VALUES ($1, $2)",
                                   {number(log.size()), std::move(text.value())}));
        // One head a minute stays, and the newest.
        if (head_size_ != 0 && head_minute_ == unix_seconds(now) / 60) {
            QSCD_TRY(database_.execute("DELETE FROM head WHERE size = $1", {number(head_size_)}));
        }
        return transaction.commit();
    };
    if (auto written = write(); !written) return Error{Errc::store_away, written.error().detail};

    log_ = std::move(log);
    head_size_ = log_.size();
    head_minute_ = unix_seconds(now) / 60;
    for (auto& each : writes) {
        if (each.fresh) {
            leaves_.push_back(each.leaf);
            positions_.emplace(each.leaf.id, each.position);
        } else {
            leaves_[each.position] = each.leaf;
        }
    }
    for (auto& [id, change] : staged_order_) {
        if (change.kind == CellKind::credential) {
            if (const auto cell = protocol::decode<cell::Credential>(change.plain)) index(cell.value());
        }
        cache_[id] = std::move(change.plain);
    }
    discard();
    return success();
}

Result<std::vector<Bytes>> Ledger::records(std::uint64_t from, std::size_t count, std::size_t max_bytes) {
    QSCD_TRY(auto rows, database_.query("SELECT record FROM log WHERE seq >= $1 AND seq < $2 ORDER BY seq",
                                        {number(from), number(from + count)}));
    std::vector<Bytes> out;
    std::size_t total = 0;
    for (auto& row : rows) {
        total += store::blob(row[0]).size() + 8;
        if (total > max_bytes && !out.empty()) break;
        out.push_back(std::get<Bytes>(std::move(row[0])));
    }
    return out;
}

}  // namespace qscd::sam
