// What a writer that holds every key can still not get past the verifier. Everything else in these logs fits: roots,
// signatures, numbers. So each lie is found by one check alone, and without it by none.
#include <gtest/gtest.h>

#include "tests/unit/qscd/audit/log_builder.hpp"

namespace qscd::audit {
namespace {

template <class Change>
auto at(const char* type, Change change) {  // in the first record of the type
    return [=, done = false](pb::LogRecord& record) mutable {
        if (done || record.type() != type) return;
        change(record);
        done = true;
    };
}
template <class Change>
auto once(Change change) {
    return [=, done = false](auto& part) mutable {
        if (!std::exchange(done, true)) change(part);
    };
}

// A good beginning: two epochs, and anna enrolled.
void begin(LogBuilder& log) {
    log.start();
    log.start();
    log.enrol(anna);
}

struct Lie {
    const char* name;
    Check found_by;
    std::function<void(LogBuilder&)> tell;
};
void with_closing(LogBuilder& log, std::function<void(pb::Closing&)> lie) {
    begin(log);
    log.lie_in_closing = std::move(lie);
    log.sign(anna);
}
void with_start(LogBuilder& log, std::function<void(pb::EpochStart&)> lie) {
    begin(log);
    log.start({.lie = std::move(lie)});
    log.sign(anna);
}
void with_record(LogBuilder& log, std::function<void(pb::LogRecord&)> lie) {
    begin(log);
    log.lie_in_record = std::move(lie);
    log.sign(anna);
}
void with_more(LogBuilder& log, const std::function<void()>& more) {
    begin(log);
    log.sign(anna);
    more();
    log.close();
}
std::string leaf(char c) { return std::string(32, c); }

const Lie lies[] = {
    {"AnotherLeafThanTheRootHas", Check::cells,
     [](auto& log) { with_closing(log, once([](auto& c) { c.mutable_changed(0)->set_digest(leaf('x')); })); }},
    {"ALeafLeftOut", Check::cells, [](auto& log) { with_closing(log, once([](auto& c) { c.clear_changed(); })); }},
    {"ALeafOfOddLength", Check::cells,
     [](auto& log) { with_closing(log, once([](auto& c) { c.mutable_changed(0)->set_digest("short"); })); }},
    {"ALeafTwice", Check::cells,
     [](auto& log) { with_closing(log, once([](auto& c) { *c.add_changed() = c.changed(0); })); }},
    {"ALeafBeyondTheArray", Check::cells,
     [](auto& log) {
         with_closing(log, once([](auto& c) {
                          auto& far = *c.add_changed();
                          far.set_index(1ULL << 60);
                          far.set_digest(leaf('x'));
                      }));
     }},
    {"AnotherCellRoot", Check::cells,
     [](auto& log) { with_closing(log, once([](auto& c) { c.set_cell_root(leaf('x')); })); }},
    {"AnotherCellCount", Check::cells,
     [](auto& log) { with_closing(log, once([](auto& c) { c.set_cell_count(7); })); }},
    {"AnotherEpochInAClosing", Check::batch,
     [](auto& log) { with_closing(log, once([](auto& c) { c.set_epoch(1); })); }},
    {"TwoTimes", Check::batch, [](auto& log) { with_closing(log, once([](auto& c) { c.set_time(c.time() + 1); })); }},
    {"TheTrialBitCleared", Check::batch,
     [](auto& log) { with_closing(log, once([](auto& c) { c.set_trial(false); })); }},
    {"NoWordOfTheClock", Check::batch, [](auto& log) { with_closing(log, once([](auto& c) { c.clear_clock(); })); }},
    {"AnOpenIntentKeptBack", Check::open_intents,
     [](auto& log) { with_closing(log, [](auto& c) { c.clear_open(); }); }},
    {"AnOpenIntentInvented", Check::open_intents,
     [](auto& log) { with_closing(log, once([](auto& c) { c.add_open()->set_seq(3); })); }},
    {"AnOpenIntentOfAnother", Check::open_intents,
     [](auto& log) {
         with_closing(log, [](auto& c) {
             if (c.open_size() > 0) c.mutable_open(0)->set_credential(boris);
         });
     }},
    {"AnOpenIntentOfAnotherKind", Check::open_intents,
     [](auto& log) {
         with_closing(log, [](auto& c) {
             if (c.open_size() > 0) c.mutable_open(0)->set_key(true);
         });
     }},

    {"AnEpochOfAnotherGenesis", Check::epoch,
     [](auto& log) { with_start(log, [](auto& start) { start.set_genesis(leaf('x')); }); }},
    {"AnEpochThatGoesOnFromLess", Check::epoch,
     [](auto& log) { with_start(log, [](auto& start) { start.set_accepted_size(start.accepted_size() - 1); }); }},
    {"AnEpochThatGoesOnFromAnotherHead", Check::epoch,
     [](auto& log) { with_start(log, [](auto& start) { start.set_accepted_head(leaf('x')); }); }},
    {"AnEpochThatGoesOnFromNoHead", Check::epoch,
     [](auto& log) { with_start(log, [](auto& start) { start.clear_accepted_head(); }); }},
    {"AnEpochBehindItsAnchor", Check::epoch,
     [](auto& log) { with_start(log, [](auto& start) { start.set_anchored_size(start.accepted_size() + 1); }); }},
    {"AnEpochAtAnotherTime", Check::epoch,
     [](auto& log) { with_start(log, [](auto& start) { start.set_time(start.time() - 3600); }); }},
    {"AFourthUncleanStartOfADay", Check::epoch,
     [](auto& log) {
         with_start(log, [](auto& start) {
             for (int i = 0; i < 4; ++i) start.add_unclean(start.time());
         });
     }},
    {"TheHeadKeyOfAnOlderEpoch", Check::epoch,
     [](auto& log) {
         begin(log);
         log.start({.lie = [&](auto& start) {
             start.set_head_key(std::string{qscd::text_of(der_of(log.head_key(1), i2d_PUBKEY))});
             log.head_signer = &log.head_key(1);
         }});
         log.sign(anna);
     }},

    {"TimeThatRunsBack", Check::time,
     [](auto& log) {
         begin(log);
         log.now -= 3600;
         log.sign(anna);
     }},
    {"ARecordWithoutSalt", Check::record,
     [](auto& log) { with_record(log, at("signed", [](auto& record) { record.clear_salt(); })); }},
    {"AShortSalt", Check::record,
     [](auto& log) { with_record(log, at("signed", [](auto& record) { record.set_salt("salt"); })); }},
    {"ARequestOfOddLength", Check::record,
     [](auto& log) { with_record(log, at("signed", [](auto& record) { record.set_request_id("request"); })); }},
    {"ARecordWithoutResult", Check::record,
     [](auto& log) { with_record(log, at("authorised", [](auto& record) { record.clear_result(); })); }},
    {"ARecordWithoutActor", Check::record,
     [](auto& log) { with_record(log, at("closing", [](auto& record) { record.clear_actor(); })); }},
    {"ASecondGenesis", Check::genesis, [](auto& log) { with_more(log, [&] { log.record("genesis"); }); }},
    {"AnotherGenesisInTheFirstRecord", Check::genesis,
     [](auto& log) {
         log.lie_in_record = at("genesis",
                                [](auto& record) { record.mutable_fields(0)->set_value(std::string(64, '0')); });
         begin(log);
     }},
    {"APredecessorTooFarBack", Check::predecessor,
     [](auto& log) {
         with_record(log, at("signed", [](auto& record) { record.set_predecessor(record.predecessor() - 1); }));
     }},
    {"NoPredecessor", Check::predecessor,
     [](auto& log) { with_record(log, at("sign-intent", [](auto& record) { record.clear_predecessor(); })); }},
    {"APredecessorOfNobody", Check::predecessor,
     [](auto& log) {
         begin(log);
         log.lie_in_record = at("refused", [](auto& record) { record.set_predecessor(3); });
         log.record("refused");
         log.close();
     }},

    {"ASecondResult", Check::intent,
     [](auto& log) {
         with_more(log, [&] { log.record("signed", "portal", anna, {{"intent", std::to_string(log.size() - 4)}}); });
     }},
    {"AResultOfNoIntent", Check::intent,
     [](auto& log) { with_more(log, [&] { log.record("signed", "portal", anna, {{"intent", "2"}}); }); }},
    {"AResultOfWhatIsStillToCome", Check::intent,
     [](auto& log) { with_more(log, [&] { log.record("sign-failed", "portal", anna, {{"intent", "4000"}}); }); }},
    {"AResultThatNamesNoIntent", Check::intent,
     [](auto& log) { with_more(log, [&] { log.record("signed", "portal", anna); }); }},
    {"AResultThatNamesNoNumber", Check::intent,
     [](auto& log) {
         begin(log);
         log.lie_in_record = at("signed", [](auto& record) {
             auto& more = *record.add_fields();
             more = record.fields(0);
             record.mutable_fields(0)->set_name("intent");
             record.mutable_fields(0)->set_value("one");
         });
         const auto intent = (log.record("authorised", "portal", anna, {{"hashes", "1"}}), log.close(),
                              log.record("sign-intent", "portal", anna, {{"hashes", "1"}}));
         log.close();
         log.lie_in_closing = [=](auto& c) {
             if (c.open_size() != 0) return;
             auto& open = *c.add_open();  // the verifier goes on holding it open
             open.set_seq(intent);
             open.set_credential(anna);
         };
         log.record("signed", "portal", anna, {{"intent", std::to_string(intent)}, {"signatures", "1"}});
         log.close();
     }},
    {"MoreSignaturesThanHashes", Check::intent,
     [](auto& log) { with_record(log, at("signed", [](auto& record) { record.mutable_fields(1)->set_value("2"); })); }},
    {"AnIntentThatWasNeverAuthorised", Check::authorisation,
     [](auto& log) {
         with_more(log, [&] {
             const auto intent = log.record("sign-intent", "another portal", anna, {{"hashes", "0"}});
             log.close();
             log.record("signed", "another portal", anna, {{"intent", std::to_string(intent)}, {"signatures", "0"}});
         });
     }},
    {"MoreSignedThanAuthorised", Check::authorisation,
     [](auto& log) {
         with_more(log, [&] {
             const auto intent = log.record("sign-intent", "portal", anna, {{"hashes", "1"}});
             log.close();
             log.record("signed", "portal", anna, {{"intent", std::to_string(intent)}, {"signatures", "1"}});
         });
     }},

    {"AHeadOverAnotherRoot", Check::root,
     [](auto& log) {
         begin(log);
         log.lie_in_head = once([](auto& head) { head.root = sha256(view_of("x")); });
         log.sign(anna);
     }},
    {"AHeadByAnotherKey", Check::head,
     [](auto& log) {
         begin(log);
         log.head_signer = &log.head_key(1);
         log.record("refused");
         log.close();
         log.head_signer = nullptr;
         log.close();
     }},
    {"AHeadOfAnotherLog", Check::head,
     [](auto& log) {
         begin(log);
         log.lie_in_head = once([](auto& head) { head.origin = "qscd/sam/another"; });
         log.sign(anna);
     }},
    {"AnOldEpochThatSignsWhatTheNewOneWrote", Check::head,
     [](auto& log) {
         begin(log);
         log.add_line("head " + to_base64(view_of(log.head_over(log.size(), log.root(), 1))));
         log.close();
     }},
};

struct ALie : ::testing::TestWithParam<Lie> {};
INSTANTIATE_TEST_SUITE_P(, ALie, ::testing::ValuesIn(lies), [](const auto& test) { return test.param.name; });

TEST_P(ALie, AUD_04_IsFoundByItsCheckAndByNoOther) {
    LogBuilder log;
    GetParam().tell(log);
    const auto report = log.verify();
    EXPECT_FALSE(report.clean());
    for (const auto& finding : report.findings)
        EXPECT_EQ(row_of(finding.check).name, row_of(GetParam().found_by).name) << human_text(report);
}

// So the check does the work, and a verifier without it would be noticed.
TEST_P(ALie, WouldPassAVerifierWithoutThatCheck) {
    LogBuilder log;
    GetParam().tell(log);
    const auto report = log.verify({.off = {GetParam().found_by}});
    EXPECT_TRUE(report.clean()) << human_text(report);
}

// The paper of an epoch is forged: nothing of that epoch counts.
TEST(AForgedEpoch, AUD_08_BringsInNothing) {
    LogBuilder log;
    begin(log);
    const auto stranger = generate_p256();
    log.start({.signed_by = stranger.get()});
    log.sign(anna);
    const auto report = log.verify();
    EXPECT_EQ(report.epochs, 2U);
    std::set<Check> found;
    for (const auto& finding : report.findings) found.insert(finding.check);
    EXPECT_TRUE(found.contains(Check::epoch)) << human_text(report);
    EXPECT_TRUE(found.contains(Check::head)) << human_text(report);
    EXPECT_TRUE(found.contains(Check::tail)) << human_text(report);
}

TEST(ARepeatedEpoch, BringsInNothing) {
    LogBuilder log;
    begin(log);
    log.start({.lie = [](auto& start) { start.set_epoch(2); }});
    const auto report = log.verify();
    ASSERT_FALSE(report.clean());
    EXPECT_EQ(report.findings[0].check, Check::epoch) << human_text(report);
    EXPECT_EQ(report.epochs, 2U);
}

}  // namespace
}  // namespace qscd::audit
