#include "qscd/audit/report.hpp"

#include <gtest/gtest.h>

#include "base/json/object.hpp"

namespace qscd::audit {
namespace {

Report damaged() {
    Report out;
    out.findings = {{Check::sequence, {Place::record, 17}, 20, "records 15 to 16 are missing before it"},
                    {Check::form, {Place::line, 21}, 21, "is not base64"}};
    out.untold = 3;
    out.notes = {{{}, "a note"}};
    out.records = 30;
    out.heads = 1;
    out.epochs = 2;
    out.genesis = "00ff";
    out.trial = true;
    out.newest = Checkpoint{12, 2, "text\n"};
    return out;
}

TEST(Report, TellsPeopleWhatIsWrongAndWhere) {
    EXPECT_EQ(human_text(damaged()),
              "5 findings\n"
              "  record 17 (line 20): sequence: records 15 to 16 are missing before it\n"
              "  line 21: form: is not base64\n"
              "  and 3 more\n"
              "30 records, 1 good head, 2 epochs, trial\n"
              "genesis 00ff\n"
              "newest head: after record 11, epoch 2\n"
              "note: the log: a note\n");
}

TEST(Report, TellsProgramsTheSame) {
    const auto object = json::Object::parse(json_text(damaged())).value();
    EXPECT_FALSE(object.boolean("clean").value());
    EXPECT_EQ(object.integer("untold").value(), 3);
    EXPECT_EQ(object.integer("records").value(), 30);
    EXPECT_EQ(object.integer("epochs").value(), 2);
    const auto findings = object.objects("findings", 10).value();
    ASSERT_EQ(findings.size(), 2U);
    EXPECT_EQ(findings[0].string("check", 100).value(), "sequence");
    EXPECT_EQ(findings[0].object("where").value().string("place", 100).value(), "record");
    EXPECT_EQ(findings[0].object("where").value().integer("number").value(), 17);
    EXPECT_EQ(findings[0].integer("line").value(), 20);
    EXPECT_EQ(object.object("newest").value().string("checkpoint", 100).value(), "text\n");
}

TEST(Report, OfACleanLogSaysSo) {
    Report clean;
    clean.records = 1;
    EXPECT_EQ(human_text(clean), "clean\n1 record, 0 good heads, 0 epochs\n");
    EXPECT_TRUE(json::Object::parse(json_text(clean)).value().boolean("clean").value());
}

TEST(Report, IsNotCleanWhenOnlyTheLimitHidTheFindings) {
    Report report;
    report.untold = 1;
    EXPECT_FALSE(report.clean());
}

}  // namespace
}  // namespace qscd::audit
