// What can happen to an export on its way, by accident or by somebody without keys who writes a fitting last line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/message.hpp"
#include "tests/unit/qscd/audit/log_builder.hpp"

namespace qscd::audit {
namespace {

using testing::HasSubstr;
using Lines = std::vector<std::string>;

// Three epochs; anna and boris sign. Made once: nothing changes it.
LogBuilder& log_of_three_epochs() {
    static LogBuilder log = [] {
        LogBuilder out;
        out.start();
        out.enrol(anna);
        out.start();
        out.enrol(boris);
        out.sign(anna, "portal", 2);
        out.start();
        out.sign(boris);
        return out;
    }();
    return log;
}

std::size_t line_of_record(const Lines& lines, std::uint64_t seq) {
    for (std::size_t i = 0; i < lines.size(); ++i)
        if (lines[i].starts_with("record ") && seq-- == 0) return i;
    throw std::out_of_range("no such record");
}
std::size_t line_of_head(const Lines& lines, std::size_t number) {
    for (std::size_t i = 0; i < lines.size(); ++i)
        if (lines[i].starts_with("head ") && number-- == 0) return i;
    throw std::out_of_range("no such head");
}
pb::LogRecord record_in(const std::string& line) {
    return protocol::decode<pb::LogRecord>(*from_base64(line.substr(7))).value();
}
std::string line_with(const pb::LogRecord& record) { return "record " + to_base64(protocol::encode(record)); }
std::uint64_t first_of(const Lines& lines, std::string_view type) {
    for (std::uint64_t seq = 0;; ++seq)
        if (record_in(lines[line_of_record(lines, seq)]).type() == type) return seq;
}
bool found(const Report& report, Check check, const std::optional<Where>& where = {}) {
    return std::ranges::any_of(report.findings, [&](const Finding& finding) {
        return finding.check == check && (!where || finding.where == *where);
    });
}
Report verdict(const Lines& lines, const Options& options = {}) {
    return verify(LogBuilder::sealed(lines), log_of_three_epochs().attestation_key(), options);
}

// Each field of a record, changed by who re-encodes it well.
struct Edit {
    const char *name, *type;  // of the record that is edited: the first of its type
    std::function<void(pb::LogRecord&)> make;
};
void flip(std::string& bytes) { bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1); }
const Edit edits[] = {
    {"Number", "sign-intent", [](auto& r) { r.set_seq(r.seq() + 1); }},
    {"Time", "sign-intent", [](auto& r) { r.set_time(r.time() + 1); }},
    {"Type", "sign-intent", [](auto& r) { r.set_type("refused"); }},
    {"Actor", "sign-intent", [](auto& r) { r.set_actor("porta1"); }},
    {"Credential", "sign-intent", [](auto& r) { r.set_credential(boris); }},
    {"Result", "sign-intent", [](auto& r) { r.set_result("internal"); }},
    {"FieldName", "sign-intent", [](auto& r) { r.mutable_fields(0)->set_name("hash"); }},
    {"FieldValue", "sign-intent", [](auto& r) { r.mutable_fields(0)->set_value("1"); }},
    {"FieldRemoved", "sign-intent", [](auto& r) { r.clear_fields(); }},
    {"Request", "sign-intent", [](auto& r) { flip(*r.mutable_request_id()); }},
    {"RequestTakenAway", "sign-intent", [](auto& r) { r.clear_request_id(); }},
    {"Salt", "sign-intent", [](auto& r) { flip(*r.mutable_salt()); }},
    {"Sealed", "sign-intent", [](auto& r) { r.set_sealed("PIN"); }},
    {"Predecessor", "sign-intent", [](auto& r) { r.set_predecessor(r.predecessor() + 1); }},
    {"ClosingEpoch", "closing", [](auto& r) { r.mutable_closing()->set_epoch(2); }},
    {"ClosingCellCount", "closing", [](auto& r) { r.mutable_closing()->set_cell_count(9); }},
    {"ClosingCellRoot", "closing", [](auto& r) { flip(*r.mutable_closing()->mutable_cell_root()); }},
    {"ClosingTime", "closing", [](auto& r) { r.mutable_closing()->set_time(r.time() + 1); }},
    {"ClosingTrial", "closing", [](auto& r) { r.mutable_closing()->set_trial(false); }},
    {"ClosingChanged", "closing",
     [](auto& r) { r.mutable_closing()->add_changed()->set_digest(std::string(32, 'x')); }},
    {"ClosingOpen", "closing", [](auto& r) { r.mutable_closing()->add_open()->set_seq(2); }},
    {"ClosingClock", "closing", [](auto& r) { r.mutable_closing()->set_clock("unsynchronised"); }},
    {"StartBody", "started", [](auto& r) { flip(*r.mutable_start()->mutable_body()); }},
    {"StartKeyId", "started", [](auto& r) { flip(*r.mutable_start()->mutable_key_id()); }},
    {"StartSignature", "started", [](auto& r) { flip(*r.mutable_start()->mutable_signature()); }},
};
struct AnEdited : ::testing::TestWithParam<Edit> {};
INSTANTIATE_TEST_SUITE_P(, AnEdited, ::testing::ValuesIn(edits), [](const auto& test) { return test.param.name; });
TEST_P(AnEdited, AUD_04_FieldIsFoundAtTheNextHead) {
    auto lines = log_of_three_epochs().lines();
    const auto seq = first_of(lines, GetParam().type);
    auto& line = lines[line_of_record(lines, seq)];
    auto record = record_in(line);
    GetParam().make(record);
    line = line_with(record);
    const auto report = verdict(lines);
    EXPECT_TRUE(found(report, Check::root) || found(report, Check::head)) << human_text(report);
    EXPECT_FALSE(verify(log_of_three_epochs().text(), log_of_three_epochs().attestation_key()).findings.size());
}

TEST(Damage, EveryBitOfARecordCounts) {
    const auto good = log_of_three_epochs().lines();
    const auto at = line_of_record(good, first_of(good, "authorised"));
    const auto bytes = *from_base64(good[at].substr(7));
    for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
        auto changed = bytes;
        changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << bit % 8));
        auto lines = good;
        lines[at] = "record " + to_base64(changed);
        EXPECT_FALSE(verdict(lines).clean()) << bit;
    }
}

TEST(Damage, AnEditedRecordIsSaidToLieBetweenTwoHeads) {
    auto lines = log_of_three_epochs().lines();
    const auto seq = first_of(lines, "authorised");
    auto& line = lines[line_of_record(lines, seq)];
    auto record = record_in(line);
    record.set_time(record.time() + 1);
    line = line_with(record);
    const auto report = verdict(lines);
    ASSERT_EQ(report.findings.size(), 2U) << human_text(report);  // the root, and what stands under no good head
    EXPECT_EQ(report.findings[0].check, Check::root);
    EXPECT_EQ(report.findings[0].where, (Where{Place::head, seq + 1}));  // of its batch
    EXPECT_THAT(report.findings[0].what, HasSubstr("changed after record " + std::to_string(seq - 3)));
    EXPECT_THAT(report.findings[0].what, HasSubstr("more, up to head after record"));
}

struct Damage {
    const char* name;
    Check found_by;
    std::function<void(Lines&)> make;
    std::function<std::optional<Where>(const Lines&)> where = [](const Lines&) { return std::nullopt; };
};
auto record_place(std::uint64_t seq) {
    return [=](const Lines&) { return std::optional{Where{Place::record, seq}}; };
}
auto line_place(std::uint64_t line) {
    return [=](const Lines&) { return std::optional{Where{Place::line, line}}; };
}
const Damage damages[] = {
    {"ARecordCutOut", Check::sequence, [](auto& l) { l.erase(l.begin() + static_cast<long>(line_of_record(l, 7))); },
     record_place(8)},
    {"ThreeRecordsCutOut", Check::sequence,
     [](auto& l) {
         for (int i = 0; i < 3; ++i) l.erase(l.begin() + static_cast<long>(line_of_record(l, 9)));
     },
     record_place(12)},
    {"TheFirstRecordCutOut", Check::sequence,
     [](auto& l) { l.erase(l.begin() + static_cast<long>(line_of_record(l, 0))); }, record_place(1)},
    {"TheLastRecordOfACredentialLeftOut", Check::sequence,
     [](auto& l) {
         std::size_t last = 0;
         for (std::size_t i = 2; i < l.size(); ++i)
             if (l[i].starts_with("record ") && record_in(l[i]).credential() == anna) last = i;
         l.erase(l.begin() + static_cast<long>(last));
     }},
    {"TwoRecordsSwapped", Check::sequence, [](auto& l) { std::swap(l[line_of_record(l, 7)], l[line_of_record(l, 8)]); },
     record_place(8)},
    {"ARecordTwice", Check::sequence,
     [](auto& l) {
         const auto at = line_of_record(l, 7);
         l.insert(l.begin() + static_cast<long>(at), std::string{l[at]});
     },
     record_place(7)},
    {"ARecordInsertedThatRepeatsANumber", Check::sequence,
     [](auto& l) {
         auto record = record_in(l[line_of_record(l, 7)]);
         record.set_actor("boris");
         l.insert(l.begin() + static_cast<long>(line_of_record(l, 8)), line_with(record));
     },
     record_place(7)},
    {"ARecordMovedToTheEnd", Check::tail,
     [](auto& l) {
         const auto at = line_of_record(l, 7);
         l.push_back(l[at]);
         l.erase(l.begin() + static_cast<long>(at));
     }},
    {"TheRecordsReversed", Check::sequence, [](auto& l) { std::reverse(l.begin() + 2, l.end()); }},
    {"AClosingRemoved", Check::head,
     [](auto& l) {
         const auto head = line_of_head(l, 2);
         l.erase(l.begin() + static_cast<long>(head) - 1);
     }},
    {"RecordsNumberedAnew", Check::head,
     [](auto& l) {  // after a record was cut out nothing is missing to the eye
         const auto at = line_of_record(l, 7);
         l.erase(l.begin() + static_cast<long>(at));
         for (auto i = at; i < l.size(); ++i) {
             if (!l[i].starts_with("record ")) continue;
             auto record = record_in(l[i]);
             record.set_seq(record.seq() - 1);
             l[i] = line_with(record);
         }
     }},
    {"AHeadInAnotherPlace", Check::head,
     [](auto& l) {
         const auto at = line_of_head(l, 2);
         std::swap(l[at], l[at + 1]);
     }},
    {"TwoHeadsSwapped", Check::head, [](auto& l) { std::swap(l[line_of_head(l, 1)], l[line_of_head(l, 2)]); }},
    {"AHeadTwice", Check::head,
     [](auto& l) {
         const auto at = line_of_head(l, 2);
         l.insert(l.begin() + static_cast<long>(at), std::string{l[at]});
     }},
    {"TheHeadCutOutThatAnEpochWentOnFrom", Check::epoch,
     [](auto& l) {
         const auto second = std::ranges::find_if(l.begin() + 6, l.end(), [](const std::string& line) {
             return line.starts_with("record ") && record_in(line).has_start();
         });
         l.erase(second - 1);
     }},
    {"TheLastHeadCutOff", Check::tail, [](auto& l) { l.pop_back(); }},
    {"AHeadWithAnotherRoot", Check::head,
     [](auto& l) {
         auto& line = l[line_of_head(l, 2)];
         auto text = std::string{qscd::text_of(*from_base64(line.substr(5)))};
         const auto root = text.find('\n', text.find('\n') + 1) + 1;
         text[root] = text[root] == 'A' ? 'B' : 'A';
         line = "head " + to_base64(view_of(text));
     }},
    {"AHeadThatIsNone", Check::head, [](auto& l) { l[line_of_head(l, 2)] = "head " + to_base64(view_of("head")); }},
    {"AnotherGenesis", Check::genesis,
     [](auto& l) {
         auto genesis = protocol::decode<pb::Genesis>(*from_base64(l[1].substr(8))).value();
         genesis.set_trial(false);
         l[1] = "genesis " + to_base64(protocol::encode(genesis));
     }},
    {"AnotherAttestationKey", Check::genesis,
     [](auto& l) {
         auto genesis = protocol::decode<pb::Genesis>(*from_base64(l[1].substr(8))).value();
         genesis.set_attestation_key(std::string{qscd::text_of(der_of(log_of_three_epochs().head_key(1), i2d_PUBKEY))});
         l[1] = "genesis " + to_base64(protocol::encode(genesis));
     },
     line_place(2)},
    {"AGenesisThatIsNone", Check::genesis, [](auto& l) { l[1] = "genesis AAAA"; }, line_place(2)},
    {"NoGenesis", Check::form, [](auto& l) { l.erase(l.begin() + 1); }, line_place(2)},
    {"TwoGeneses", Check::form, [](auto& l) { l.insert(l.begin() + 4, std::string{l[1]}); }, line_place(5)},
    {"AnotherForm", Check::form, [](auto& l) { l[0] = "qscd-log 2"; }, line_place(1)},
    {"AnEmptyLine", Check::form, [](auto& l) { l.insert(l.begin() + 4, ""); }, line_place(5)},
    {"AWordThatIsNone", Check::form, [](auto& l) { l.insert(l.begin() + 4, "comment AAAA"); }, line_place(5)},
    {"ALineWithTwoBlanks", Check::form, [](auto& l) { l[4].insert(6, " "); }, line_place(5)},
    {"ACarriageReturn", Check::form, [](auto& l) { l[4] += '\r'; }, line_place(5)},
    {"NoBase64", Check::form, [](auto& l) { l[4].back() = '!'; }, line_place(5)},
    {"ARecordThatIsNone", Check::record, [](auto& l) { l[line_of_record(l, 5)] = "record AAAA"; }, record_place(5)},
    {"ARecordWithAnUnknownField", Check::record,
     [](auto& l) {
         auto& line = l[line_of_record(l, 5)];
         auto bytes = *from_base64(line.substr(7));
         bytes.insert(bytes.end(), {0xf8, 0x01, 0x01});  // field 31
         line = "record " + to_base64(bytes);
     },
     record_place(5)},
    {"NoRecords", Check::tail, [](auto& l) { l.resize(2); }},
};
struct ADamaged : ::testing::TestWithParam<Damage> {};
INSTANTIATE_TEST_SUITE_P(, ADamaged, ::testing::ValuesIn(damages), [](const auto& test) { return test.param.name; });
TEST_P(ADamaged, AUD_04_ExportIsFoundAndThePlaceIsNamed) {
    auto lines = log_of_three_epochs().lines();
    const auto good = lines;
    GetParam().make(lines);
    const auto report = verdict(lines);
    EXPECT_TRUE(found(report, GetParam().found_by, GetParam().where(good))) << human_text(report);
}

TEST(Damage, EachOfSeveralIsTold) {
    auto lines = log_of_three_epochs().lines();
    lines[line_of_record(lines, 5)] = "record AAAA";
    lines[line_of_record(lines, 20)] = "record AAAA";
    lines.erase(lines.begin() + static_cast<long>(line_of_record(lines, 12)));
    const auto report = verdict(lines);
    EXPECT_TRUE(found(report, Check::record, Where{Place::record, 5})) << human_text(report);
    EXPECT_TRUE(found(report, Check::record, Where{Place::record, 20})) << human_text(report);
    EXPECT_TRUE(found(report, Check::sequence, Where{Place::record, 13})) << human_text(report);
}

TEST(Damage, BeyondTheLimitIsCounted) {
    auto lines = log_of_three_epochs().lines();
    for (auto& line : lines)
        if (line.starts_with("record ")) line = "record AAAA";
    const auto report = verdict(lines, {.most_findings = 3});
    EXPECT_EQ(report.findings.size(), 3U);
    EXPECT_GT(report.untold, 10U);
    EXPECT_FALSE(report.clean());
}

// Without keys and without care for the last line: the file is not as it was written.
TEST(AFile, ThatWasCutOffAnywhereIsFound) {
    const auto text = log_of_three_epochs().text();
    for (std::size_t size = 0; size < text.size(); size += 97)
        EXPECT_FALSE(verify(text.substr(0, size), log_of_three_epochs().attestation_key()).clean()) << size;
    EXPECT_FALSE(verify(text.substr(0, text.size() - 1), log_of_three_epochs().attestation_key()).clean());
}

TEST(AFile, WithoutAHeadThatOthersCoverIsNotAsItWasWritten) {
    auto text = log_of_three_epochs().text();
    const auto head = text.find("\nhead ", text.find("\nhead ") + 1) + 1;
    text.erase(head, text.find('\n', head) + 1 - head);
    const auto report = verify(text, log_of_three_epochs().attestation_key());
    ASSERT_EQ(report.findings.size(), 2U) << human_text(report);
    EXPECT_EQ(report.findings[0].check, Check::form);
    EXPECT_THAT(report.findings[1].what, HasSubstr("changed after it was written"));
}

TEST(AFile, WithMoreBehindItsEndIsFound) {
    const auto& log = log_of_three_epochs();
    const auto report = verify(log.text() + log.lines().back() + "\n", log_of_three_epochs().attestation_key());
    EXPECT_TRUE(found(report, Check::form)) << human_text(report);
}

TEST(AFile, WithALineBeyondAllMeasureIsRefusedWithoutKeepingIt) {
    Verifier verifier{log_of_three_epochs().attestation_key()};
    const std::string much(1 << 20, 'A');
    verifier.take("qscd-log 1\nrecord ");
    for (std::size_t size = 0; size <= longest_line; size += much.size()) verifier.take(much);
    verifier.take("\n");
    EXPECT_THAT(human_text(verifier.finish()), HasSubstr("is too long"));
}

TEST(AFile, OfAnotherSamIsNotThisOne) {
    LogBuilder other;
    other.start();
    const auto report = verify(other.text(), log_of_three_epochs().attestation_key());
    EXPECT_TRUE(found(report, Check::genesis, Where{Place::line, 2})) << human_text(report);
    EXPECT_TRUE(found(report, Check::epoch)) << human_text(report);
}

// The tail is cut where a head ends it, and the last line fits: only what somebody keeps elsewhere shows it.
struct ACutTail : ::testing::Test {
    LogBuilder& log = log_of_three_epochs();
    Lines lines = log.lines();
    void cut_behind_head(std::size_t number) { lines.resize(line_of_head(lines, number) + 1); }
};
TEST_F(ACutTail, PassesWithoutACheckpointAndTheReportSaysSo) {
    cut_behind_head(3);
    const auto report = verdict(lines);
    EXPECT_TRUE(report.clean()) << human_text(report);
    EXPECT_THAT(human_text(report), HasSubstr("a later tail was cut off"));
}
TEST_F(ACutTail, AUD_05_IsFoundWithACheckpoint) {
    cut_behind_head(3);
    const auto report = verdict(lines, {.checkpoint = log.newest_head()});
    ASSERT_EQ(report.findings.size(), 1U);
    EXPECT_EQ(report.findings[0].check, Check::checkpoint);
    EXPECT_THAT(report.findings[0].what, HasSubstr("is missing"));
}
TEST_F(ACutTail, OfItsOwnEpochIsFoundWithACheckpoint) {
    lines.resize(line_of_head(lines, 0) + 1);
    const auto first = std::string{qscd::text_of(*from_base64(log.lines()[line_of_head(log.lines(), 1)].substr(5)))};
    EXPECT_TRUE(found(verdict(lines, {.checkpoint = first}), Check::checkpoint));
    EXPECT_TRUE(verdict(lines).clean());
}

TEST(ACheckpoint, OfAnotherHistoryIsFound) {
    auto& log = log_of_three_epochs();
    const auto report = log.verify({.checkpoint = log.head_over(log.size() - 1, sha256(view_of("x")), 3)});
    ASSERT_EQ(report.findings.size(), 1U) << human_text(report);
    EXPECT_EQ(report.findings[0].check, Check::checkpoint);
    EXPECT_THAT(report.findings[0].what, HasSubstr("is not what it was"));
}
TEST(ACheckpoint, ByAnotherKeyIsRefused) {
    auto& log = log_of_three_epochs();
    auto text = log.newest_head();
    text.replace(text.find("head-3"), 6, "head-2");
    EXPECT_THAT(human_text(log.verify({.checkpoint = text})), HasSubstr("the checkpoint does not verify"));
}
TEST(ACheckpoint, OfAnotherLogIsRefused) {
    LogBuilder other;
    other.start();
    EXPECT_THAT(human_text(log_of_three_epochs().verify({.checkpoint = other.newest_head()})),
                HasSubstr("of another log"));
}
TEST(ACheckpoint, ThatIsNoneIsRefused) {
    EXPECT_THAT(human_text(log_of_three_epochs().verify({.checkpoint = "once upon a time\n"})),
                HasSubstr("what was given as checkpoint is none"));
}

// The store was put back behind what the token knew, and people let it go on: whoever holds a checkpoint hears of it.
TEST(ACheckpoint, BehindWhichPeopleWentBackIsTold) {
    LogBuilder log;
    log.start();
    log.enrol(anna);
    const auto size = log.size();
    const auto lost = log.head_over(size + 10, sha256(view_of("lost")), 1);
    log.start({.unsealed = "restored", .lie = [=](auto& start) { start.set_anchored_size(size + 10); }});
    log.enrol(boris);
    const auto report = log.verify({.checkpoint = lost});
    ASSERT_EQ(report.findings.size(), 1U) << human_text(report);
    EXPECT_THAT(report.findings[0].what, HasSubstr("epoch 2 went on from " + std::to_string(size)));
}

}  // namespace
}  // namespace qscd::audit
