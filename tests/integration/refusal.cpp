#include "tests/integration/refusal.hpp"

namespace qscd::integration {

void expect_refusal(const Evidence& evidence, const Answer& answer, const Refusal& expected) {
    EXPECT_EQ(answer.status, expected.status) << answer;
    EXPECT_EQ(answer.error, expected.error);
    EXPECT_EQ(answer.description, expected.description);

    const auto lines = evidence.gateway();
    if (lines.empty()) {
        ADD_FAILURE() << "the gateway wrote nothing";
    } else {
        EXPECT_EQ(lines.back().event, "request");
        EXPECT_EQ(lines.back().status, std::to_string(expected.status));
        EXPECT_EQ(lines.back().error, expected.reason);
        EXPECT_EQ(lines.back().client, expected.client);
    }

    const auto records = evidence.records();
    EXPECT_EQ(evidence.intents(), 0U) << "something was signed";
    if (!expected.by_sam) {
        EXPECT_TRUE(records.empty()) << "the SAM was bothered: " << records.back();
    } else if (records.empty()) {
        ADD_FAILURE() << "the SAM wrote nothing";
    } else {
        const auto& last = records.back();
        EXPECT_TRUE(last.type == "refused" || last.type == "authorisation-failed") << last;
        EXPECT_EQ(last.result, expected.reason) << last;
        EXPECT_EQ(last.actor, expected.client) << last;
    }
}

}  // namespace qscd::integration
