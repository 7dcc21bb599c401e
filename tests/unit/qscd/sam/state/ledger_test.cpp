// Cells and log under one signed head: what the store gives is believed only as far as the head reaches.
#include "qscd/genesis/genesis.hpp"
#include "tests/unit/qscd/sam/state/owner.hpp"

namespace qscd::sam {
namespace {

using store::of;

struct LedgerTest : StateTest {
    LedgerTest() { start(); }
};

TEST_F(LedgerTest, StartsWithTheGenesisAndTheFirstEpoch) {
    const auto all = records();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].type(), "genesis");
    EXPECT_EQ(all[1].type(), "started");
    EXPECT_EQ(all[2].type(), "closing");
    EXPECT_EQ(owner.ledger->epoch(), 1u);
    EXPECT_FALSE(owner.ledger->credential(random_fixed<CredentialId>()).value());
}

TEST_F(LedgerTest, WhatIsStagedIsReadAndWhatIsCommittedSurvives) {
    const auto id = put();
    EXPECT_EQ(owner.ledger->credential(id).value()->profile(), "totp") << "staged";
    commit();
    EXPECT_EQ(owner.ledger->credential(id).value()->profile(), "totp") << "committed";
    restart();
    EXPECT_EQ(owner.ledger->credential(id).value()->profile(), "totp") << "read back";
    change(id, "sms");
    commit();
    restart();
    EXPECT_EQ(owner.ledger->credential(id).value()->profile(), "sms");
}

TEST_F(LedgerTest, WhatIsDiscardedIsGone) {
    const auto id = put();
    owner.ledger->discard();
    EXPECT_FALSE(owner.ledger->credential(id).value());
    EXPECT_FALSE(owner.ledger->dirty());
    commit();
    restart();
    EXPECT_FALSE(owner.ledger->credential(id).value());
}

TEST_F(LedgerTest, ADeviceIsNoCredentialAndACredentialNoDevice) {
    const auto id = put();
    const auto device = put_phone("+43660");
    for (int pass = 0; pass < 2; ++pass, commit()) {
        EXPECT_FALSE(owner.ledger->device(*DeviceId::from(id.bytes())).value());
        EXPECT_FALSE(owner.ledger->credential(*CredentialId::from(device.bytes())).value());
    }
}

TEST_F(LedgerTest, OneNameIsAsManyCellsAsThereAreKinds) {
    const auto id = put();
    owner.ledger->put(phone(*DeviceId::from(id.bytes()), "+43660"));
    cell::Signer signer;
    signer.set_id(std::string{text_of(id.bytes())});
    signer.add_credentials(signer.id());
    owner.ledger->put(signer);
    owner.ledger->record({Event::grant_accepted, "bootstrap"});
    for (int pass = 0; pass < 2; ++pass) {
        EXPECT_EQ(owner.ledger->credential(id).value()->profile(), "totp");
        EXPECT_EQ(owner.ledger->device(*DeviceId::from(id.bytes())).value()->phone(), "+43660");
        EXPECT_EQ(owner.ledger->signer(*SignerId::from(id.bytes())).value()->credentials_size(), 1);
        restart();
    }
    EXPECT_EQ(owner.ledger->cell_count(), 3u);
}

TEST_F(LedgerTest, AnEnrolmentLeadsToOneCredentialForEver) {
    const auto enrolment = random_fixed<EnrolmentId>();
    const auto id = owner.ledger->credential_of(enrolment);
    EXPECT_NE(id, owner.ledger->credential_of(random_fixed<EnrolmentId>()));
    restart();
    EXPECT_EQ(owner.ledger->credential_of(enrolment), id);
}

TEST_F(LedgerTest, AUD_02_RecordsTellWhatHappenedInOrder) {
    const auto id = put();
    commit();
    auto all = records();
    ASSERT_EQ(all.size(), 5u);
    all.erase(all.begin(), all.begin() + 3);  // of the start
    EXPECT_EQ(all[0].seq(), 3u);
    EXPECT_EQ(all[0].type(), "grant-accepted");
    EXPECT_EQ(all[0].actor(), "bootstrap");
    EXPECT_EQ(all[0].result(), "ok");
    EXPECT_EQ(all[0].time(), unix_seconds(noon));
    EXPECT_EQ(view_of(all[0].salt()).size(), 16u);
    EXPECT_EQ(CredentialId::from(view_of(all[0].credential())), id);
    EXPECT_EQ(all[1].type(), "closing");
    EXPECT_EQ(all[1].closing().cell_count(), 1u);
    ASSERT_EQ(all[1].closing().changed_size(), 1);
    EXPECT_EQ(all[1].closing().changed(0).index(), 0u);
    EXPECT_EQ(all[1].closing().epoch(), 1u);
    EXPECT_FALSE(all[1].closing().clock().empty());
    EXPECT_TRUE(all[1].closing().trial());
}

TEST_F(LedgerTest, ABatchWithoutRecordsIsAClosingRecordAlone) {
    const auto before = records().size();
    commit();
    commit();
    EXPECT_EQ(records().size(), before + 2);
    EXPECT_EQ(records().back().type(), "closing");
}

TEST_F(LedgerTest, EachRecordOfACredentialNamesItsPredecessor) {
    const auto anna = put(), boris = put();
    owner.ledger->record({Event::key_intended, "bootstrap", anna});
    commit();
    owner.ledger->record({Event::key_created, "samd", anna});
    commit();
    restart();
    owner.ledger->record({Event::credential_active, "samd", boris});
    owner.ledger->record({Event::credential_active, "samd", anna});
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
    const auto newest = owner.database->query("SELECT newest FROM cell WHERE id = $1", {of(anna.bytes())}).value();
    EXPECT_EQ(store::integer(newest[0][0]), static_cast<std::int64_t>(chain_of(anna).back() + 1));
}

TEST_F(LedgerTest, WhatIsSealedInARecordDoesNotShowByItsLength) {
    owner.ledger->record({Event::authorisation_failed, "portal", {}, "factors_wrong", {}, "PIN"});
    owner.ledger->record({Event::authorisation_failed, "portal", {}, "factors_wrong", {}, "held factor"});
    commit();
    const auto all = records("authorisation-failed");
    EXPECT_EQ(all.at(0).sealed().size(), all.at(1).sealed().size());
}

TEST_F(LedgerTest, AUD_03_OpenIntentsStandInEveryHeadUntilTheyEnd) {
    const auto id = put();
    const auto first = owner.ledger->next_seq();
    owner.ledger->record({Event::sign_intent, "portal", id});
    owner.ledger->record({Event::sign_intent, "portal", id});
    owner.ledger->record({Event::key_intended, "portal", id});
    owner.ledger->record({Event::signed_hashes, "portal", id, "ok", {{"intent", std::to_string(first)}}});
    commit();
    for (int pass = 0; pass < 3; ++pass) {
        const auto& open = owner.ledger->open_intents();
        ASSERT_EQ(open.size(), 2u);
        EXPECT_EQ(open.begin()->first, first + 1);
        EXPECT_EQ(CredentialId::from(view_of(open.begin()->second.credential())), id);
        EXPECT_EQ(owner.ledger->open_intent(id, false), first + 1);
        EXPECT_EQ(owner.ledger->open_intent(id, true), first + 2);
        if (pass == 0) commit();
        else restart();
    }
    owner.ledger->record({Event::sign_unknown, "samd", id, "internal", {{"intent", std::to_string(first + 1)}}});
    commit();
    EXPECT_FALSE(owner.ledger->open_intent(id, false));
    EXPECT_TRUE(owner.ledger->open_intent(id, true));
}

TEST_F(LedgerTest, AUD_03_AnIntentThatWasNotCommittedIsNotOpen) {
    const auto id = put();
    owner.ledger->record({Event::sign_intent, "portal", id});
    owner.ledger->discard();
    EXPECT_TRUE(owner.ledger->open_intents().empty());
}

TEST_F(LedgerTest, OneHeadAMinuteStaysAndTheNewestTwo) {
    for (int i = 0; i < 5; ++i) commit();
    clock.advance(60s);
    for (int i = 0; i < 5; ++i) commit();
    EXPECT_EQ(owner.database->query("SELECT size FROM head").value().size(), 3u);
}

TEST_F(LedgerTest, AUD_06_WithTheTokenAwayNothingChangesAndLaterCommitsWork) {
    const auto anna = put();
    commit();
    const auto before = owner.ledger->size();
    tokens.take_away();
    owner.ledger->put(credential(anna, "sms"));
    const auto boris = put();
    const auto refused = owner.ledger->commit();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::token_away) << describe(refused.error());
    EXPECT_FALSE(owner.ledger->dirty());
    EXPECT_EQ(owner.ledger->credential(anna).value()->profile(), "totp");
    EXPECT_FALSE(owner.ledger->credential(boris).value());
    EXPECT_EQ(owner.ledger->size(), before);
    tokens.bring_back();
    wait_until_reachable(*owner.token);
    const auto clara = put();
    owner.ledger->put(credential(anna, "either"));
    owner.ledger->record({Event::key_created, "samd", anna});
    commit();
    restart();
    EXPECT_EQ(owner.ledger->credential(anna).value()->profile(), "either");
    EXPECT_TRUE(owner.ledger->credential(clara).value());
    EXPECT_FALSE(owner.ledger->credential(boris).value());
}

TEST_F(LedgerTest, ACellWhoseVersionMovedIsAConflict) {
    const auto anna = put();
    commit();
    mutate("UPDATE cell SET version = version + 1");
    owner.ledger->record({Event::key_created, "samd", anna});
    EXPECT_EQ(owner.ledger->commit().error().code, Errc::fenced);
}

TEST_F(LedgerTest, ARecordThatIsThereAlreadyIsAConflict) {
    mutate("INSERT INTO log SELECT seq + 1, record FROM log ORDER BY seq DESC LIMIT 1");
    put();
    EXPECT_EQ(owner.ledger->commit().error().code, Errc::fenced);
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
    {"RecordAppendedWithoutHead", "INSERT INTO log SELECT seq + 1, record FROM log ORDER BY seq DESC LIMIT 1"},
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
     "INSERT INTO cell SELECT idx + 1, kind, x'00112233445566778899aabbccddeeff', version, newest, digest FROM cell "
     "ORDER BY idx DESC LIMIT 1"},
    {"DigestsSwapped",
     "UPDATE cell SET digest = (SELECT other.digest FROM cell AS other WHERE other.idx = 1 - cell.idx) WHERE idx < 2"},
    {"EpochsPaperDeleted", "DELETE FROM epoch"},
    {"EpochsPaperFlipped", "UPDATE epoch SET paper = CAST(substr(paper, 1, 60) || x'00' || substr(paper, 62) AS BLOB)"},
    {"EpochsPaperOfAnotherEpoch", "UPDATE epoch SET number = number + 1"},
    {"HeadsBaseBehindIt", "UPDATE head SET base = size"},
};
struct AManipulatedStore : LedgerTest, ::testing::WithParamInterface<Manipulation> {};
INSTANTIATE_TEST_SUITE_P(, AManipulatedStore, ::testing::ValuesIn(manipulations),
                         [](const auto& test) { return test.param.name; });
TEST_P(AManipulatedStore, SAM_08_AUD_04_StaysSealed) {
    const auto anna = put();
    put();
    put_phone("+43660");
    commit();
    clock.advance(60s);
    owner.ledger->record({Event::key_created, "samd", anna});
    stop();
    mutate(GetParam().sql);
    EXPECT_EQ(refused_start(), Errc::sealed) << why;
}

struct ABlob : LedgerTest, ::testing::WithParamInterface<Manipulation> {};
INSTANTIATE_TEST_SUITE_P(, ABlob,
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
TEST_P(ABlob, SAM_08_ThatWasChangedIsAnAlarmAtItsUse) {
    const auto phone = put_phone("+43660"), other = put_phone("+43661");
    stop();
    mutate(GetParam().sql);
    start();
    const auto found = owner.ledger->device(phone);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::internal);
    put();
    commit();
    if (std::string_view{GetParam().name} != "Swapped") {
        EXPECT_EQ(owner.ledger->device(other).value()->phone(), "+43661") << "the others go on";
    }
}

TEST_F(LedgerTest, SAM_08_OneCellRolledBackWithItsRowIsFound) {
    const auto anna = put("totp");
    put();
    commit();
    const auto old_cell = owner.database->query("SELECT version, newest, digest FROM cell WHERE idx = 0").value()[0];
    const auto old_blob = owner.database->query("SELECT sealed FROM blob WHERE idx = 0").value()[0];
    change(anna, "sms");
    stop();
    mutate("UPDATE cell SET version = $1, newest = $2, digest = $3 WHERE idx = 0",
           {old_cell[0], old_cell[1], old_cell[2]});
    mutate("UPDATE blob SET sealed = $1 WHERE idx = 0", {old_blob[0]});
    EXPECT_EQ(refused_start(), Errc::sealed);
}

TEST_F(LedgerTest, SAM_08_TwoWholeCellsSwappedAreFound) {
    put();
    put();
    stop();
    for (const auto* table : {"cell", "blob"}) {
        mutate(std::string{"UPDATE "} + table + " SET idx = 9 WHERE idx = 0");
        mutate(std::string{"UPDATE "} + table + " SET idx = 0 WHERE idx = 1");
        mutate(std::string{"UPDATE "} + table + " SET idx = 1 WHERE idx = 9");
    }
    EXPECT_EQ(refused_start(), Errc::sealed);
}

TEST_F(LedgerTest, AStoreOfAnotherSamStaysClosed) {
    put();
    stop();
    owner.token = tokens.open("another-sam");
    ASSERT_TRUE(genesis::make(*owner.token, true, sha256(view_of("policy"))));
    EXPECT_EQ(refused_start(), Errc::sealed);
}

TEST_F(LedgerTest, ABlobChangedWhileRunningDoesNotStopTheOthers) {
    const auto anna = put();
    commit();
    mutate("UPDATE blob SET sealed = x'00' WHERE idx = 0");
    owner.ledger->record({Event::refused, "portal", anna, "credential_disabled"});
    commit();
    EXPECT_EQ(owner.ledger->credential(anna).value()->profile(), "totp")
        << "what memory holds is what the head speaks of";
    restart();
    EXPECT_TRUE(owner.ledger->credential(anna)) << "and was written again with the record";
}

TEST_F(LedgerTest, AUD_07_ARecordChangedWhileRunningIsFoundInTheBackground) {
    put();
    commit();
    for (bool ended = false; !ended;) ended = owner.ledger->check_some_records(1).value();
    mutate("UPDATE log SET record = CAST(substr(record, 1, 20) || x'00' || substr(record, 22) AS BLOB) WHERE seq = 1");
    put();
    commit();
    Result<bool> checked = false;
    while (checked && !checked.value()) checked = owner.ledger->check_some_records(2);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Errc::sealed);
}

TEST_F(LedgerTest, AGenesisIsMadeOnce) {
    const auto again = genesis::make(*owner.token, false, sha256(view_of("policy")));
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::configuration);
    EXPECT_TRUE(owner.keys->genesis().trial());
}

TEST_F(LedgerTest, ATokenWithoutGenesisIsNoSams) {
    const auto fresh = tokens.open("fresh");
    EXPECT_EQ(ModuleKeys::unlock(*fresh).error().code, Errc::configuration);
}

}  // namespace
}  // namespace qscd::sam
