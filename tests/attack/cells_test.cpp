// Whoever writes the store changes a cell: its bytes, its row, its place, or, with the key that hides it in hand, any one
// field of it. Each change is found, at the start or when the cell is used: one refusal, one alarm, no signature, and the
// other cells go on. [T-18] [T-20] [SAM-08] [QSCD-07]
#include <set>

#include "protocol/message.hpp"
#include "qscd/sam/state/module_keys.hpp"
#include "tests/attack/cell_mutation.hpp"
#include "tests/attack/sam_process.hpp"

namespace qscd::attack {
namespace {

using namespace std::chrono_literals;
using sam::CellKind;
using sam::Ledger;

std::string string_of(ByteView bytes) { return std::string{text_of(bytes)}; }

// A cell's two rows, as they lie in the store.
struct Row {
    std::int64_t idx, kind, version, newest, epoch;
    Bytes id, digest, sealed;
};
Row row_at(store::Database& store, const std::string& where, const std::vector<store::Value>& values) {
    const auto rows =
        store
            .query(
                "SELECT cell.idx, kind, version, newest, epoch, id, digest, sealed FROM cell JOIN blob ON cell.idx = "
                "blob.idx WHERE " +
                    where,
                values)
            .value();
    EXPECT_EQ(rows.size(), 1u);
    const auto& row = rows.at(0);
    return {store::integer(row[0]), store::integer(row[1]), store::integer(row[2]), store::integer(row[3]),
            store::integer(row[4]), store::blob(row[5]),    store::blob(row[6]),    store::blob(row[7])};
}
void write_cell(store::Database& store, const Row& row, std::int64_t at) {
    EXPECT_EQ(store
                  .execute("UPDATE cell SET kind = $1, version = $2, newest = $3, id = $4, digest = $5 WHERE idx = $6",
                           {row.kind, row.version, row.newest, store::of(row.id), store::of(row.digest), at})
                  .value(),
              1u);
}
void write_blob(store::Database& store, const Row& row, std::int64_t at) {
    EXPECT_EQ(
        store.execute("UPDATE blob SET epoch = $1, sealed = $2 WHERE idx = $3", {row.epoch, store::of(row.sealed), at})
            .value(),
        1u);
}
void write_both(store::Database& store, const Row& row, std::int64_t at) {
    write_cell(store, row, at);
    write_blob(store, row, at);
}

// What one of the kinds is in the message file. A kind or a message without a row here fails the suite.
struct KindRow {
    CellKind kind;
    const google::protobuf::Descriptor* message;
};
const KindRow kinds[] = {
    {CellKind::credential, sam::cell::Credential::descriptor()},
    {CellKind::device, sam::cell::Device::descriptor()},
    {CellKind::signer, sam::cell::Signer::descriptor()},
};

TEST(CellKinds, SAM_08_EachKindAndEachMessageOfTheCellFileIsAttacked) {
    for (std::int64_t number = 0; number < 256; ++number)
        if (const auto kind = sam::kind_from(number)) {
            EXPECT_EQ(std::ranges::count(kinds, *kind, &KindRow::kind), 1) << "kind " << number;
        }
    std::set<const google::protobuf::Descriptor*> attacked;
    const std::function<void(const google::protobuf::Descriptor*)> walk = [&](const auto* message) {
        if (!attacked.insert(message).second) return;
        for (int i = 0; i < message->field_count(); ++i)
            if (const auto* below = message->field(i)->message_type()) walk(below);
    };
    for (const auto& row : kinds) walk(row.message);
    const auto& file = *sam::cell::Credential::descriptor()->file();
    for (int i = 0; i < file.message_type_count(); ++i)
        EXPECT_TRUE(attacked.contains(file.message_type(i))) << file.message_type(i)->name() << " is in no cell";
}

struct CellAttack : sam::TrialSam {
    sam::Person person = sam::anna(), other_person = sam::boris();
    sam::Credential credential = enrol(person), other = enrol(other_person);
    std::filesystem::path file() const { return tokens.folder / "samd.sqlite"; }

    CellAttack() {  // cells with as much in them as a life leaves
        EXPECT_TRUE(authorise(credential, {.code = sam::wrong(code(credential))}).has_error());
        EXPECT_TRUE(sign(credential, approved(credential, {"contract", "annex"}), {"contract"}, "a key"));
        EXPECT_TRUE(begin(desk.sign(grant_for(person))));
        next_step();
    }

    std::unique_ptr<store::Database> store() const { return store::Database::open(file()).value(); }
    Row row_of(store::Database& database, CellKind kind, const sam::Credential& of) {
        const auto& holder = of.id == credential.id ? person : other_person;
        const auto id = kind == CellKind::credential ? of.id.bytes()
                        : kind == CellKind::device   ? holder.app_device.bytes()
                                                     : holder.signer.bytes();
        return row_at(database, "kind = $1 AND id = $2", {static_cast<std::int64_t>(kind), store::of(id)});
    }

    // Uses the cell as its owner would.
    Errc use(CellKind kind, const CredentialId& of, const SignerId& signer, const std::string& right_code) {
        if (kind == CellKind::signer) {
            pb::SamRequest request;
            request.mutable_list()->set_signer(string_of(signer.bytes()));
            const auto list = running->gateway.call<pb::CredentialList>(request);
            return list ? Errc{} : list.error().code;
        }
        const sam::Credential named{of, random_fixed<EnrolmentId>(), {}, {}, {}, ""};
        const auto sad = authorise(named, {.code = right_code});
        return sad ? Errc{} : sad.error().code;
    }
    Errc use_of(CellKind kind, const sam::Credential& of) {
        return use(kind, of.id, (of.id == credential.id ? person : other_person).signer, code(of));
    }
    bool signs(const sam::Credential& by) {
        const auto signatures = sign(by, approved(by));
        return signatures && verifies(by, "contract", signatures.value().signatures(0));
    }
    std::size_t signed_so_far() { return records("signed").size(); }

    // Starts, and reads what it says to operators meanwhile.
    template <class Action>
    std::string said_during(Action action) {
        ::testing::internal::CaptureStdout();
        ::testing::internal::CaptureStderr();
        action();
        return ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
    }
    static std::size_t alarms_in(const std::string& said) {
        std::size_t out = 0;
        for (auto at = said.find("\"alarm\""); at != std::string::npos; at = said.find("\"alarm\"", at + 1)) ++out;
        return out;
    }
};

// ── What can be done without any key ────────────────────────────────────────────────────────────────────────────────

enum class Found { at_start, at_use };
struct Rows {
    Row now, earlier, other,
        other_kind;  // of the cell, before its last change, of another of its kind, of another kind
};
struct Mutation {
    const char* name;
    Found found;
    std::function<void(store::Database&, const Rows&)> make;
};
Bytes flipped(Bytes bytes, std::size_t at) {
    bytes.at(at) ^= 1;
    return bytes;
}
template <class Change>
auto on_cell(Change change) {
    return [change](store::Database& store, const Rows& rows) {
        auto row = rows.now;
        change(row, rows);
        write_cell(store, row, rows.now.idx);
    };
}
template <class Change>
auto on_blob(Change change) {
    return [change](store::Database& store, const Rows& rows) {
        auto row = rows.now;
        change(row, rows);
        write_blob(store, row, rows.now.idx);
    };
}
const Mutation mutations[] = {
    // flip
    {"FirstByteOfTheBlob", Found::at_use, on_blob([](Row& row, auto&) { row.sealed = flipped(row.sealed, 0); })},
    {"MiddleByteOfTheBlob", Found::at_use,
     on_blob([](Row& row, auto&) { row.sealed = flipped(row.sealed, row.sealed.size() / 2); })},
    {"LastByteOfTheBlob", Found::at_use,
     on_blob([](Row& row, auto&) { row.sealed = flipped(row.sealed, row.sealed.size() - 1); })},
    {"ShorterBlob", Found::at_use, on_blob([](Row& row, auto&) { row.sealed.pop_back(); })},
    {"LongerBlob", Found::at_use, on_blob([](Row& row, auto&) { row.sealed.push_back(0); })},
    {"EmptyBlob", Found::at_use, on_blob([](Row& row, auto&) { row.sealed.clear(); })},
    {"EpochOfTheBlobBefore", Found::at_use, on_blob([](Row& row, auto&) { --row.epoch; })},
    {"EpochOfTheBlobAfter", Found::at_use, on_blob([](Row& row, auto&) { row.epoch += 1000; })},
    {"FlippedDigest", Found::at_start, on_cell([](Row& row, auto&) { row.digest = flipped(row.digest, 31); })},
    {"FlippedId", Found::at_start, on_cell([](Row& row, auto&) { row.id = flipped(row.id, 7); })},
    {"VersionAfter", Found::at_start, on_cell([](Row& row, auto&) { ++row.version; })},
    {"VersionBefore", Found::at_start, on_cell([](Row& row, auto&) { --row.version; })},
    {"NewestRecordAfter", Found::at_start, on_cell([](Row& row, auto&) { ++row.newest; })},
    {"NewestRecordNone", Found::at_start, on_cell([](Row& row, auto&) { row.newest = row.newest == 0 ? 7 : 0; })},
    {"AnotherKind", Found::at_start, on_cell([](Row& row, auto&) { row.kind = row.kind % 3 + 1; })},
    {"KindThatIsNone", Found::at_start, on_cell([](Row& row, auto&) { row.kind = 77; })},
    {"BlobAndDigestFlipped", Found::at_start,
     [](auto& store, const Rows& rows) {
         auto row = rows.now;
         row.sealed = flipped(row.sealed, 20);
         const auto digest = sha256(row.sealed);
         row.digest = {digest.bytes().begin(), digest.bytes().end()};
         write_both(store, row, rows.now.idx);
     }},
    // swap
    {"BlobsSwapped", Found::at_use,
     [](auto& store, const Rows& rows) {
         write_blob(store, rows.other, rows.now.idx);
         write_blob(store, rows.now, rows.other.idx);
     }},
    {"CellsSwapped", Found::at_start,
     [](auto& store, const Rows& rows) {
         write_both(store, rows.other, rows.now.idx);
         write_both(store, rows.now, rows.other.idx);
     }},
    // transplant
    {"BlobOfAnother", Found::at_use,
     [](auto& store, const Rows& rows) { write_blob(store, rows.other, rows.now.idx); }},
    {"BlobOfAnotherKind", Found::at_use,
     [](auto& store, const Rows& rows) { write_blob(store, rows.other_kind, rows.now.idx); }},
    {"ContentOfAnotherUnderTheOwnName", Found::at_start,
     [](auto& store, const Rows& rows) {
         auto row = rows.other;
         row.id = rows.now.id;
         write_both(store, row, rows.now.idx);
     }},
    {"AnotherInItsPlace", Found::at_start,
     [](auto& store, const Rows& rows) { write_both(store, rows.other, rows.now.idx); }},
    // duplicate
    {"ASecondOne", Found::at_start,
     [](auto& store, const Rows& rows) {
         EXPECT_TRUE(
             store.execute("INSERT INTO cell SELECT (SELECT max(idx) + 1 FROM cell), kind, id, version, newest, "
                           "digest FROM cell WHERE idx = $1",
                           {rows.now.idx}));
         EXPECT_TRUE(
             store.execute("INSERT INTO blob SELECT (SELECT max(idx) + 1 FROM blob), epoch, sealed FROM blob "
                           "WHERE idx = $1",
                           {rows.now.idx}));
     }},
    // delete
    {"NoBlob", Found::at_use,
     [](auto& store, const Rows& rows) {
         EXPECT_TRUE(store.execute("DELETE FROM blob WHERE idx = $1", {rows.now.idx}));
     }},
    {"NoCell", Found::at_start,
     [](auto& store, const Rows& rows) {
         EXPECT_TRUE(store.execute("DELETE FROM cell WHERE idx = $1", {rows.now.idx}));
     }},
    {"NoCellAndTheOthersMovedUp", Found::at_start,
     [](auto& store, const Rows& rows) {
         for (const std::string table : {"cell", "blob"}) {
             EXPECT_TRUE(store.execute("DELETE FROM " + table + " WHERE idx = $1", {rows.now.idx}));
             EXPECT_TRUE(store.execute("UPDATE " + table + " SET idx = -idx WHERE idx > $1", {rows.now.idx}));
             EXPECT_TRUE(store.execute("UPDATE " + table + " SET idx = -idx - 1 WHERE idx < 0"));
         }
     }},
    {"NoCellsAtAll", Found::at_start,
     [](auto& store, const Rows&) {
         EXPECT_TRUE(store.execute("DELETE FROM blob"));
         EXPECT_TRUE(store.execute("DELETE FROM cell"));
     }},
    // roll back
    {"AnEarlierBlob", Found::at_use,
     [](auto& store, const Rows& rows) { write_blob(store, rows.earlier, rows.now.idx); }},
    {"AnEarlierCell", Found::at_start,
     [](auto& store, const Rows& rows) { write_both(store, rows.earlier, rows.now.idx); }},
    {"AnEarlierCellUnderTheNewVersion", Found::at_start,
     [](auto& store, const Rows& rows) {
         auto row = rows.earlier;
         row.version = rows.now.version;
         row.newest = rows.now.newest;
         write_both(store, row, rows.now.idx);
     }},
};

struct MutatedCell : CellAttack, ::testing::WithParamInterface<KindRow> {
    // "" when the change was found as it should be. The SAM stands still before and after.
    std::string attack(CellKind kind, const Mutation& mutation, const Rows& rows) {
        const StoreCopy whole{tokens.folder, "whole"};
        mutation.make(*store(), rows);
        const bool at_start = mutation.found == Found::at_start,
                   only_it = std::string_view{mutation.name} != "BlobsSwapped";
        next_step();
        std::string complaint;
        Errc of_it{}, of_another{};
        const auto said = said_during([&] {
            start();
            of_it = use_of(kind, credential);
            of_another = at_start ? use_of(CellKind::credential, other) : Errc{};
        });
        if (of_it != (at_start ? Errc::sealed : Errc::internal))
            complaint += " answered " + std::string{name_of(of_it)};
        if (at_start && of_another != Errc::sealed) complaint += " others were served";
        if (alarms_in(said) == 0) complaint += " no alarm";
        if (!at_start && only_it && !signs(other)) complaint += " others were not served";
        stop();
        if (at_start) {
            whole.put_back();
        } else {
            const auto database = store();
            EXPECT_TRUE(database->execute("DELETE FROM blob WHERE idx = $1", {rows.now.idx}));
            EXPECT_TRUE(database->execute("INSERT INTO blob (idx, epoch, sealed) VALUES ($1, $2, $3)",
                                          {rows.now.idx, rows.now.epoch, store::of(rows.now.sealed)}));
            if (!only_it) write_blob(*database, rows.other, rows.other.idx);
        }
        return complaint;
    }
    Rows rows_of(CellKind kind, const Row& earlier) {
        const auto database = store();
        return {row_of(*database, kind, credential), earlier, row_of(*database, kind, other),
                row_of(*database, kind == CellKind::device ? CellKind::signer : CellKind::device, credential)};
    }
    // The cell before and after one more change; a signer's cell changes with each credential.
    Row changed_once_more(CellKind kind) {
        const auto earlier = row_of(*store(), kind, credential);
        if (kind == CellKind::signer) {
            enrol(person);
        } else {
            EXPECT_TRUE(signs(credential));
        }
        return earlier;
    }
};
INSTANTIATE_TEST_SUITE_P(, MutatedCell, ::testing::ValuesIn(kinds),
                         [](const auto& test) { return test.param.message->name(); });

TEST_P(MutatedCell, SAM_08_T_18_T_20_IsFoundHoweverItWasChanged) {
    const auto kind = GetParam().kind;
    const auto earlier = changed_once_more(kind);
    const auto before = signed_so_far();
    std::size_t others = 0;
    stop();
    for (const auto& mutation : mutations) {
        const auto rows = rows_of(kind, earlier);
        ASSERT_NE(rows.now.sealed, rows.earlier.sealed);
        EXPECT_EQ(attack(kind, mutation, rows), "") << mutation.name;
        others += mutation.found == Found::at_use && std::string_view{mutation.name} != "BlobsSwapped" ? 1 : 0;
    }
    start();
    EXPECT_EQ(signed_so_far(), before + others) << "nothing was signed but by the others";
    EXPECT_EQ(use_of(kind, credential), Errc{}) << "with all put back, all goes on";
    EXPECT_TRUE(signs(credential));
}

TEST_P(MutatedCell, ProofOfTheHarness_AnUnchangedCellIsToldFromAChangedOneAtItsUse) {
    const auto kind = GetParam().kind;
    const auto rows = rows_of(kind, changed_once_more(kind));
    stop();
    const Mutation none{"None", Found::at_use, [](auto&, const Rows&) {}};
    EXPECT_EQ(attack(kind, none, rows), " answered " + std::string{name_of(Errc{})} + " no alarm");
    start();
}
TEST_P(MutatedCell, ProofOfTheHarness_AnUnchangedCellIsToldFromAChangedOneAtAStart) {
    const auto kind = GetParam().kind;
    const auto rows = rows_of(kind, changed_once_more(kind));
    stop();
    const Mutation none{"None", Found::at_start, [](auto&, const Rows&) {}};
    EXPECT_EQ(attack(kind, none, rows), " answered " + std::string{name_of(Errc{})} + " others were served no alarm");
    start();
}

// ── With the key that hides the cells ───────────────────────────────────────────────────────────────────────────────
// That key is HMAC output in samd's memory: integrity must not rest on it.

struct ForgedCell : CellAttack, ::testing::WithParamInterface<KindRow> {
    struct Target {
        CredentialId credential = random_fixed<CredentialId>();
        SignerId signer = random_fixed<SignerId>();
        Bytes device = random_bytes(16);
        ByteView id(CellKind kind) const {
            return kind == CellKind::credential ? credential.bytes()
                   : kind == CellKind::device   ? ByteView{device}
                                                : signer.bytes();
        }
    };
    std::vector<Target> targets;

    std::unique_ptr<google::protobuf::Message> fresh() const {
        const auto* prototype = google::protobuf::MessageFactory::generated_factory()->GetPrototype(GetParam().message);
        return std::unique_ptr<google::protobuf::Message>{prototype->New()};
    }
    // So many credentials, apps and signers like Anna's.
    void multiply(std::size_t count) {
        stop();
        in_store([&](Ledger& ledger) {
            auto cell = ledger.credential(credential.id).value().value();
            auto device = ledger.device(*DeviceId::from(view_of(cell.app_device()))).value().value();
            for (std::size_t i = 0; i < count; ++i) {
                const auto& target = targets.emplace_back();
                cell.set_id(string_of(target.credential.bytes()));
                cell.set_app_device(string_of(target.device));
                device.set_id(cell.app_device());
                sam::cell::Signer signer;
                signer.set_id(string_of(target.signer.bytes()));
                signer.add_credentials(cell.id());
                ledger.put(cell);
                ledger.put(device);
                ledger.put(signer);
            }
            ledger.record({sam::Event::factors_set, "bootstrap"});
        });
    }
    // The cell of that row with one field changed, sealed under its own name.
    Row forged(sam::Custody& custody, const Row& row, const FieldChange& change) {
        const auto& data_key = *custody.data_key(*CkaId::from(view_of(custody.genesis().cell_key()))).value();
        const sam::SealContext context{data_key, custody.genesis_digest(), static_cast<std::uint64_t>(row.epoch)};
        sam::CellName name{static_cast<CellKind>(row.kind),
                           {},
                           static_cast<std::uint64_t>(row.idx),
                           static_cast<std::uint64_t>(row.version)};
        std::ranges::copy(row.id, name.id.begin());
        const auto plain = sam::unseal(context, name, row.sealed);
        EXPECT_TRUE(plain) << "the harness knows the key";
        const auto message = fresh();
        EXPECT_TRUE(protocol::decode_into(plain.value().reveal(), *message));
        change.make(*message);
        const auto bytes = protocol::encode(*message);
        EXPECT_FALSE(std::ranges::equal(bytes, plain.value().reveal())) << change.name << " changed nothing";
        auto out = row;
        out.sealed = sam::seal(context, name, bytes);
        const auto digest = sha256(out.sealed);
        out.digest = {digest.bytes().begin(), digest.bytes().end()};
        return out;
    }
    Row row_of_target(store::Database& database, const Target& target) {
        return row_at(database, "kind = $1 AND id = $2",
                      {static_cast<std::int64_t>(GetParam().kind), store::of(target.id(GetParam().kind))});
    }
    Errc use_target(const Target& target) {
        return use(GetParam().kind, target.credential, target.signer, sam::wrong(code(credential)));
    }
    std::unique_ptr<sam::ModuleKeys> custody(hsm::Token& token) { return sam::ModuleKeys::unlock(token).value(); }
};
INSTANTIATE_TEST_SUITE_P(, ForgedCell, ::testing::ValuesIn(kinds),
                         [](const auto& test) { return test.param.message->name(); });

TEST_P(ForgedCell, SAM_08_NoFieldCanBeChangedWhenTheCellIsUsed) {
    const auto changes = field_changes(*GetParam().message);
    ASSERT_GE(changes.size(), static_cast<std::size_t>(GetParam().message->field_count()));
    multiply(changes.size() + 1);
    {
        const auto token = tokens.open("qscd-sam");
        const auto keys = custody(*token);
        const auto database = store();
        for (std::size_t i = 0; i < changes.size(); ++i) {
            const auto row = row_of_target(*database, targets[i]);
            write_blob(*database, forged(*keys, row, changes[i]), row.idx);
        }
    }
    start();
    const auto before = signed_so_far();
    for (std::size_t i = 0; i < changes.size(); ++i) {
        clock.advance(1min);
        Errc answered{};
        const auto said = said_during([&] { answered = use_target(targets[i]); });
        EXPECT_EQ(answered, Errc::internal) << changes[i].name;
        EXPECT_GE(alarms_in(said), 1u) << changes[i].name;
    }
    EXPECT_NE(use_target(targets.back()), Errc::internal) << "the one that nobody forged can be used";
    EXPECT_EQ(signed_so_far(), before);
    EXPECT_TRUE(signs(credential));
}

TEST_P(ForgedCell, SAM_08_NoFieldCanBeChangedWithItsDigestAtAStart) {
    const auto changes = field_changes(*GetParam().message);
    stop();
    const StoreCopy whole{tokens.folder, "whole"};
    for (const auto& change : changes) {
        {
            const auto token = tokens.open("qscd-sam");
            const auto keys = custody(*token);
            const auto database = store();
            const auto row = row_of(*database, GetParam().kind, credential);
            write_both(*database, forged(*keys, row, change), row.idx);
        }
        Errc answered{};
        const auto said = said_during([&] {
            start();
            answered = use_of(CellKind::credential, credential);
        });
        EXPECT_EQ(answered, Errc::sealed) << change.name;
        EXPECT_GE(alarms_in(said), 1u) << change.name;
        stop();
        whole.put_back();
    }
    start();
    EXPECT_TRUE(signs(credential));
}

}  // namespace
}  // namespace qscd::attack
