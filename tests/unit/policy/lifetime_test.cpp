#include "policy/lifetime.hpp"

#include <gtest/gtest.h>

namespace qscd::policy {
namespace {

struct Period {
    const char *name, *validity, *not_before, *not_after;
    friend void PrintTo(const Period& row, std::ostream* out) { *out << row.name; }
};
TimePoint at(const char* text) {
    std::tm parts{};
    EXPECT_EQ(*strptime(text, "%Y-%m-%dT%H:%M:%SZ", &parts), '\0');
    return from_unix(timegm(&parts));
}

struct CalendarYears : ::testing::TestWithParam<Period> {};
INSTANTIATE_TEST_SUITE_P(
    , CalendarYears,
    ::testing::Values(Period{"Plain", "5 years", "2026-11-20T11:30:00Z", "2031-11-20T11:29:59Z"},
                      Period{"OneYear", "1 year", "2026-11-20T11:30:00Z", "2027-11-20T11:29:59Z"},
                      Period{"OverLeapDays", "4 years", "2023-03-01T12:00:00Z", "2027-03-01T11:59:59Z"},
                      Period{"FromLeapDayToNone", "5 years", "2028-02-29T10:00:00Z", "2033-02-28T09:59:59Z"},
                      Period{"FromLeapDayToLeapDay", "4 years", "2028-02-29T10:00:00Z", "2032-02-29T09:59:59Z"},
                      Period{"FromLeapDayAtMidnight", "1 year", "2028-02-29T00:00:00Z", "2029-02-27T23:59:59Z"},
                      Period{"FromMidnight", "5 years", "2026-01-01T00:00:00Z", "2030-12-31T23:59:59Z"},
                      Period{"FromMidnightOfMarch", "5 years", "2027-03-01T00:00:00Z", "2032-02-29T23:59:59Z"},
                      Period{"LastSecondOfUtcTime", "5 years", "2045-01-01T00:00:00Z", "2049-12-31T23:59:59Z"},
                      Period{"FirstOf2050", "5 years", "2045-01-01T00:00:01Z", "2050-01-01T00:00:00Z"},
                      Period{"Beyond2050", "5 years", "2049-06-30T08:00:00Z", "2054-06-30T07:59:59Z"},
                      Period{"NoLeapDayIn2100", "4 years", "2096-02-29T10:00:00Z", "2100-02-28T09:59:59Z"}),
    [](const auto& test) { return test.param.name; });
TEST_P(CalendarYears, CA_08_EndOneSecondEarlier) {
    const auto lifetime = Lifetime::parse(GetParam().validity);
    ASSERT_TRUE(lifetime);
    EXPECT_EQ(iso8601(lifetime->not_after(at(GetParam().not_before))), GetParam().not_after);
}

TEST(Lifetime, CA_08_IsOneToFiveYears) {
    EXPECT_EQ(Lifetime::parse("1 year")->years(), 1);
    EXPECT_EQ(Lifetime::parse("2 years")->years(), 2);
    EXPECT_EQ(Lifetime::parse("5 years"), Lifetime::five_years());
    for (const auto* text : {"", "5", "0 years", "6 years", "-1 years", "15 years", "05 years", "1 years", "2 year",
                             "5 Years", "5  years", " 5 years", "5 years ", "five years", "60 months"})
        EXPECT_FALSE(Lifetime::parse(text)) << text;
}

}  // namespace
}  // namespace qscd::policy
