// Cells and log under one signed head: what the store gives is believed only as far as the head reaches.
#include "qscd/sam/state/ledger.hpp"

#include "protocol/message.hpp"
#include "qscd/genesis/genesis.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

using store::of;

struct LedgerTest : ::testing::Test {
    TrialModule tokens;
    FixedClock clock{noon};
    std::unique_ptr<hsm::Token> token = tokens.open_sam(sha256(view_of("policy")));
    std::unique_ptr<store::Database> database;
    std::unique_ptr<Ledger> ledger;

    LedgerTest() { reopen(); }
    Result<std::unique_ptr<Ledger>> try_open() {
        ledger.reset();
        database = store::Database::open(tokens.folder / "samd.sqlite").value();
        return Ledger::open(*database, ModuleKeys::unlock(*token).value(), clock);
    }
    void reopen() {
        auto opened = try_open();
        ASSERT_TRUE(opened) << describe(opened.error());
        ledger = std::move(opened.value());
    }
    // A mutation of the store while nobody has it open, as its owner could make it.
    void mutate(const std::string& sql, std::vector<store::Value> values = {}) {
        EXPECT_GT(database->execute(sql, std::move(values)).value(), 0u) << sql;
    }

    static cell::Credential credential(const CredentialId& id, const std::string& profile = "totp") {
        cell::Credential out;
        out.set_id(std::string{text_of(id.bytes())});
        out.set_enrolment(std::string{text_of(random_fixed<EnrolmentId>().bytes())});
        out.set_signer(std::string{text_of(random_fixed<SignerId>().bytes())});
        out.set_profile(profile);
        return out;
    }
    static cell::Device phone(const DeviceId& id, const std::string& number) {
        cell::Device out;
        out.set_id(std::string{text_of(id.bytes())});
        out.set_phone(number);
        return out;
    }
    CredentialId put(const std::string& profile = "totp") {
        const auto id = random_fixed<CredentialId>();
        ledger->put(credential(id, profile));
        ledger->record({Event::grant_accepted, "bootstrap", id});
        return id;
    }
    DeviceId put_phone(const std::string& number) {
        const auto id = random_fixed<DeviceId>();
        ledger->put(phone(id, number));
        ledger->record({Event::grant_accepted, "bootstrap"});
        return id;
    }
    void commit() {
        const auto committed = ledger->commit();
        ASSERT_TRUE(committed) << describe(committed.error());
    }
    std::vector<pb::LogRecord> records() {
        std::vector<pb::LogRecord> out;
        const auto all = ledger->records(0, 100'000, 100'000'000);
        for (const auto& bytes : all.value()) out.push_back(protocol::decode<pb::LogRecord>(bytes).value());
        return out;
    }
};

TEST_F(LedgerTest, StartsEmptyWithoutAHead) {
    EXPECT_EQ(ledger->size(), 0u);
    EXPECT_FALSE(ledger->credential(random_fixed<CredentialId>()).value());
}

TEST_F(LedgerTest, WhatIsStagedIsReadAndWhatIsCommittedSurvives) {
    const auto id = put();
    EXPECT_EQ(ledger->credential(id).value()->profile(), "totp") << "staged";
    commit();
    EXPECT_EQ(ledger->credential(id).value()->profile(), "totp") << "committed";
    reopen();
    EXPECT_EQ(ledger->credential(id).value()->profile(), "totp") << "read back";
    EXPECT_EQ(ledger->size(), 2u);
    ledger->put(credential(id, "sms"));
    ledger->record({Event::key_created, "samd", id});
    commit();
    reopen();
    EXPECT_EQ(ledger->credential(id).value()->profile(), "sms");
}

TEST_F(LedgerTest, WhatIsDiscardedIsGone) {
    const auto id = put();
    ledger->discard();
    EXPECT_FALSE(ledger->credential(id).value());
    EXPECT_FALSE(ledger->dirty());
    commit();
    reopen();
    EXPECT_FALSE(ledger->credential(id).value());
}

TEST_F(LedgerTest, ADeviceIsNoCredentialAndACredentialNoDevice) {
    const auto id = put();
    const auto device = put_phone("+43660");
    for (int pass = 0; pass < 2; ++pass, commit()) {
        EXPECT_FALSE(ledger->device(*DeviceId::from(id.bytes())).value());
        EXPECT_FALSE(ledger->credential(*CredentialId::from(device.bytes())).value());
    }
}

TEST_F(LedgerTest, FindsByEnrolmentAndBySignerStagedOrReadBack) {
    auto cell = credential(random_fixed<CredentialId>());
    const auto enrolment = *EnrolmentId::from(view_of(cell.enrolment()));
    ledger->put(cell);
    ledger->record({Event::grant_accepted, "bootstrap"});
    EXPECT_TRUE(ledger->by_enrolment(enrolment));
    commit();
    reopen();
    EXPECT_TRUE(ledger->by_enrolment(enrolment));
    EXPECT_EQ(ledger->of_signer(*SignerId::from(view_of(cell.signer()))).size(), 1u);
    EXPECT_FALSE(ledger->by_enrolment(random_fixed<EnrolmentId>()));
}

TEST_F(LedgerTest, AUD_02_RecordsTellWhatHappenedInOrder) {
    const auto id = put();
    commit();
    const auto all = records();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].seq(), 0u);
    EXPECT_EQ(all[0].type(), "grant-accepted");
    EXPECT_EQ(all[0].actor(), "bootstrap");
    EXPECT_EQ(all[0].result(), "ok");
    EXPECT_EQ(all[0].time(), unix_seconds(noon));
    EXPECT_EQ(view_of(all[0].salt()).size(), 16u);
    EXPECT_EQ(CredentialId::from(view_of(all[0].credential())), id);
    EXPECT_EQ(all[1].type(), "closing");
    EXPECT_EQ(all[1].closing().cell_count(), 1u);
    EXPECT_TRUE(all[1].closing().trial());
}

TEST_F(LedgerTest, ABatchWithoutRecordsIsAClosingRecordAlone) {
    commit();
    commit();
    EXPECT_EQ(records().size(), 2u);
    reopen();
    EXPECT_EQ(ledger->size(), 2u);
}

TEST_F(LedgerTest, EachRecordOfACredentialNamesItsPredecessor) {
    const auto anna = put(), boris = put();
    ledger->record({Event::key_intended, "bootstrap", anna});
    commit();
    ledger->record({Event::key_created, "samd", anna});
    commit();
    reopen();
    ledger->record({Event::credential_active, "samd", boris});
    ledger->record({Event::credential_active, "samd", anna});
    commit();
    const auto all = records();
    const auto chain_of = [&](const CredentialId& id) {
        std::vector<std::uint64_t> out;
        for (const auto& record : all)
            if (CredentialId::from(view_of(record.credential())) == id) {
                EXPECT_EQ(record.predecessor(), out.empty() ? 0 : out.back() + 1);
                out.push_back(record.seq());
            }
        return out;
    };
    EXPECT_EQ(chain_of(anna).size(), 4u);
    EXPECT_EQ(chain_of(boris).size(), 2u);
    const auto newest = database->query("SELECT newest FROM cell WHERE id = $1", {of(anna.bytes())}).value();
    EXPECT_EQ(store::integer(newest[0][0]), static_cast<std::int64_t>(chain_of(anna).back() + 1));
}

TEST_F(LedgerTest, WhatIsSealedInARecordDoesNotShowByItsLength) {
    ledger->record({Event::authorisation_failed, "portal", {}, "factors_wrong", {}, "PIN"});
    ledger->record({Event::authorisation_failed, "portal", {}, "factors_wrong", {}, "held factor"});
    commit();
    const auto all = records();
    EXPECT_EQ(all[0].sealed().size(), all[1].sealed().size());
}

TEST_F(LedgerTest, OpenIntentsAreFoundAtTheNextStart) {
    const auto id = put();
    ledger->record({Event::sign_intent, "portal", id});
    ledger->record({Event::sign_intent, "portal", id});
    ledger->record({Event::signed_hashes, "portal", id, "ok", {{"intent", "1"}}});
    commit();
    EXPECT_TRUE(ledger->take_open_intents().empty());
    reopen();
    const auto open = ledger->take_open_intents();
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(open[0].seq(), 2u);
}

TEST_F(LedgerTest, OneHeadAMinuteStaysAndTheNewest) {
    for (int i = 0; i < 5; ++i) commit();
    clock.advance(60s);
    for (int i = 0; i < 5; ++i) commit();
    EXPECT_EQ(database->query("SELECT size FROM head").value().size(), 2u);
    reopen();
    EXPECT_EQ(ledger->size(), 10u);
}

TEST_F(LedgerTest, AUD_06_WithTheTokenAwayNothingChangesAndLaterCommitsWork) {
    const auto anna = put();
    commit();
    tokens.take_away();
    ledger->put(credential(anna, "sms"));
    const auto boris = put();
    const auto refused = ledger->commit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::token_away) << describe(refused.error());
    EXPECT_FALSE(ledger->dirty());
    EXPECT_EQ(ledger->credential(anna).value()->profile(), "totp");
    EXPECT_FALSE(ledger->credential(boris).value());
    EXPECT_EQ(ledger->size(), 2u);
    tokens.bring_back();
    wait_until_reachable(*token);
    const auto clara = put();
    ledger->put(credential(anna, "either"));
    ledger->record({Event::key_created, "samd", anna});
    commit();
    reopen();
    EXPECT_EQ(ledger->credential(anna).value()->profile(), "either");
    EXPECT_TRUE(ledger->credential(clara).value());
    EXPECT_FALSE(ledger->credential(boris).value());
}

TEST_F(LedgerTest, AnotherOwnersWriteIsAConflict) {
    const auto anna = put();
    commit();
    const auto other_store = store::Database::open(tokens.folder / "samd.sqlite").value();
    const auto other = Ledger::open(*other_store, ModuleKeys::unlock(*token).value(), clock).value();
    other->record({Event::key_created, "samd", anna});
    ASSERT_TRUE(other->commit());
    ledger->record({Event::credential_active, "samd", anna});
    const auto refused = ledger->commit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::store_away);
    reopen();
    EXPECT_EQ(records().size(), 4u) << "the first owner's batch is whole, the second's left nothing";
}

TEST_F(LedgerTest, ACellWhoseVersionMovedIsAConflict) {
    const auto anna = put();
    commit();
    mutate("UPDATE cell SET version = version + 1");
    ledger->record({Event::key_created, "samd", anna});
    EXPECT_EQ(ledger->commit().error().code, Errc::store_away);
}

// Every manipulation of the store that leaves the newest head in place is found when it is opened.
struct Manipulation {
    const char* name;
    const char* sql;
    friend void PrintTo(const Manipulation& each, std::ostream* out) { *out << each.sql; }
};
const Manipulation manipulations[] = {
    {"FlippedRecord",
     "UPDATE log SET record = CAST(substr(record, 1, 20) || x'00' || substr(record, 22) AS BLOB) WHERE seq = 2"},
    {"ShortenedRecord", "UPDATE log SET record = substr(record, 1, length(record) - 1) WHERE seq = 2"},
    {"EmptyRecord", "UPDATE log SET record = x'' WHERE seq = 2"},
    {"DeletedRecord", "DELETE FROM log WHERE seq = 2"},
    {"DeletedFirstRecord", "DELETE FROM log WHERE seq = 0"},
    {"DeletedLastRecord", "DELETE FROM log WHERE seq = (SELECT max(seq) FROM log)"},
    {"RecordsSwapped",
     "UPDATE log SET record = (SELECT other.record FROM log AS other WHERE other.seq = 1 - log.seq) WHERE seq < 2"},
    {"RecordRepeated",
     "UPDATE log SET record = (SELECT other.record FROM log AS other WHERE other.seq = 0) WHERE seq = 1"},
    {"RecordMovedBehind", "UPDATE log SET seq = 1000 WHERE seq = 0"},
    {"RecordAppendedWithoutHead", "INSERT INTO log SELECT max(seq) + 1, record FROM log"},
    {"AllRecordsDeleted", "DELETE FROM log"},
    {"HeadsDeleted", "DELETE FROM head"},
    {"NewestHeadDeleted", "DELETE FROM head WHERE size = (SELECT max(size) FROM head)"},
    {"HeadTextChanged", "UPDATE head SET text = replace(text, 'qscd/sam/', 'qscd/sbm/')"},
    {"HeadSizeInTextChanged",
     "UPDATE head SET text = replace(text, char(10) || size || char(10), char(10) || (size + 1) || char(10))"},
    {"HeadTextCut", "UPDATE head SET text = substr(text, 1, length(text) - 2)"},
    {"HeadTextLonger", "UPDATE head SET text = text || ' '"},
    {"HeadTextEmpty", "UPDATE head SET text = ''"},
    {"OlderHeadPutInItsPlace", "UPDATE head SET text = (SELECT text FROM head ORDER BY size LIMIT 1)"},
    {"DigestFlipped", "UPDATE cell SET digest = CAST(substr(digest, 1, 31) || x'00' AS BLOB) WHERE idx = 0"},
    {"DigestShortened", "UPDATE cell SET digest = substr(digest, 1, 31) WHERE idx = 0"},
    {"CellIdChanged", "UPDATE cell SET id = x'00112233445566778899aabbccddeeff' WHERE idx = 0"},
    {"CellKindChanged", "UPDATE cell SET kind = 2 WHERE idx = 0"},
    {"CellVersionChanged", "UPDATE cell SET version = version + 1 WHERE idx = 0"},
    {"CellVersionRolledBack", "UPDATE cell SET version = 1 WHERE idx = 0"},
    {"CellNewestChanged", "UPDATE cell SET newest = 1 WHERE idx = 0"},
    {"CellDeleted", "DELETE FROM cell WHERE idx = 0"},
    {"LastCellDeleted", "DELETE FROM cell WHERE idx = (SELECT max(idx) FROM cell)"},
    {"CellAppended",
     "INSERT INTO cell SELECT max(idx) + 1, kind, x'00112233445566778899aabbccddeeff', version, newest, digest FROM "
     "cell"},
    {"DigestsSwapped",
     "UPDATE cell SET digest = (SELECT other.digest FROM cell AS other WHERE other.idx = 1 - cell.idx) WHERE idx < 2"},
    {"CredentialsBlobFlipped",
     "UPDATE blob SET sealed = CAST(substr(sealed, 1, 30) || x'00' || substr(sealed, 32) AS BLOB) WHERE idx = 0"},
    {"CredentialsBlobDeleted", "DELETE FROM blob WHERE idx = 0"},
    {"CredentialsBlobEmpty", "UPDATE blob SET sealed = x'' WHERE idx = 0"},
    {"CredentialsBlobsSwapped",
     "UPDATE blob SET sealed = (SELECT other.sealed FROM blob AS other WHERE other.idx = 1 - blob.idx) WHERE idx < 2"},
};
struct AManipulatedStore : LedgerTest, ::testing::WithParamInterface<Manipulation> {};
INSTANTIATE_TEST_SUITE_P(, AManipulatedStore, ::testing::ValuesIn(manipulations),
                         [](const auto& test) { return test.param.name; });
TEST_P(AManipulatedStore, SAM_08_AUD_04_StaysClosed) {
    const auto anna = put();
    put();
    put_phone("+43660");
    commit();
    clock.advance(60s);
    ledger->record({Event::key_created, "samd", anna});
    commit();
    mutate(GetParam().sql);
    const auto opened = try_open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::store_away) << describe(opened.error());
}

struct ADevicesBlob : LedgerTest, ::testing::WithParamInterface<Manipulation> {};
INSTANTIATE_TEST_SUITE_P(, ADevicesBlob,
                         ::testing::Values(Manipulation{"Flipped",
                                                        "UPDATE blob SET sealed = CAST(substr(sealed, 1, 30) || x'00' "
                                                        "|| substr(sealed, 32) AS BLOB) WHERE idx = 0"},
                                           Manipulation{"Shortened",
                                                        "UPDATE blob SET sealed = substr(sealed, 1, 20) WHERE idx = 0"},
                                           Manipulation{"Deleted", "DELETE FROM blob WHERE idx = 0"},
                                           Manipulation{"Swapped",
                                                        "UPDATE blob SET sealed = (SELECT other.sealed FROM blob AS "
                                                        "other WHERE other.idx = 1 - blob.idx) WHERE idx < 2"}),
                         [](const auto& test) { return test.param.name; });
TEST_P(ADevicesBlob, SAM_08_ThatWasChangedIsAnAlarmAtItsUse) {
    const auto phone = put_phone("+43660"), other = put_phone("+43661");
    commit();
    mutate(GetParam().sql);
    reopen();
    const auto found = ledger->device(phone);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::internal);
    put();
    commit();
    if (std::string_view{GetParam().name} != "Swapped") {
        EXPECT_EQ(ledger->device(other).value()->phone(), "+43661") << "the others go on";
    }
}

TEST_F(LedgerTest, SAM_08_OneCellRolledBackWithItsRowIsFound) {
    const auto anna = put("totp");
    put();
    commit();
    const auto old_cell = database->query("SELECT version, newest, digest FROM cell WHERE idx = 0").value()[0];
    const auto old_blob = database->query("SELECT sealed FROM blob WHERE idx = 0").value()[0];
    ledger->put(credential(anna, "sms"));
    ledger->record({Event::key_created, "samd", anna});
    commit();
    mutate("UPDATE cell SET version = $1, newest = $2, digest = $3 WHERE idx = 0",
           {old_cell[0], old_cell[1], old_cell[2]});
    mutate("UPDATE blob SET sealed = $1 WHERE idx = 0", {old_blob[0]});
    EXPECT_EQ(try_open().error().code, Errc::store_away);
}

TEST_F(LedgerTest, SAM_08_TwoWholeCellsSwappedAreFound) {
    put();
    put();
    commit();
    for (const auto* table : {"cell", "blob"}) {
        mutate(std::string{"UPDATE "} + table + " SET idx = 9 WHERE idx = 0");
        mutate(std::string{"UPDATE "} + table + " SET idx = 0 WHERE idx = 1");
        mutate(std::string{"UPDATE "} + table + " SET idx = 1 WHERE idx = 9");
    }
    EXPECT_EQ(try_open().error().code, Errc::store_away);
}

TEST_F(LedgerTest, AStoreOfAnotherSamStaysClosed) {
    put();
    commit();
    const auto other_token = tokens.open("another-sam");
    ASSERT_TRUE(genesis::make(*other_token, true, sha256(view_of("policy"))));
    ledger.reset();
    const auto opened = Ledger::open(*database, ModuleKeys::unlock(*other_token).value(), clock);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::store_away);
}

TEST_F(LedgerTest, ABlobChangedWhileRunningDoesNotStopTheOthers) {
    const auto anna = put();
    commit();
    mutate("UPDATE blob SET sealed = x'00' WHERE idx = 0");
    ledger->record({Event::refused, "portal", anna, "credential_disabled"});
    commit();
    EXPECT_EQ(ledger->credential(anna).value()->profile(), "totp") << "what memory holds is what the head speaks of";
    reopen();
}

TEST_F(LedgerTest, AGenesisIsMadeOnce) {
    const auto again = genesis::make(*token, false, sha256(view_of("policy")));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::configuration);
    EXPECT_TRUE(ledger->keys().genesis().trial());
}

TEST_F(LedgerTest, ATokenWithoutGenesisIsNoSams) {
    const auto fresh = tokens.open("fresh");
    EXPECT_EQ(ModuleKeys::unlock(*fresh).error().code, Errc::configuration);
}

}  // namespace
}  // namespace qscd::sam
