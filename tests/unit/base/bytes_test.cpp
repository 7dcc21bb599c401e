#include "base/bytes.hpp"

#include <gtest/gtest.h>

namespace qscd {
namespace {

struct Pair {
    const char *plain, *base64, *base64url;
};
struct Rfc4648 : ::testing::TestWithParam<Pair> {};
INSTANTIATE_TEST_SUITE_P(Section10, Rfc4648,
                         ::testing::Values(Pair{"", "", ""}, Pair{"f", "Zg==", "Zg"}, Pair{"fo", "Zm8=", "Zm8"},
                                           Pair{"foo", "Zm9v", "Zm9v"}, Pair{"foob", "Zm9vYg==", "Zm9vYg"},
                                           Pair{"fooba", "Zm9vYmE=", "Zm9vYmE"}, Pair{"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                                           Pair{"\xfb\xff", "+/8=", "-_8"}));
TEST_P(Rfc4648, IsWrittenAndRead) {
    EXPECT_EQ(to_base64(view_of(GetParam().plain)), GetParam().base64);
    EXPECT_EQ(to_base64url(view_of(GetParam().plain)), GetParam().base64url);
    EXPECT_EQ(from_base64(GetParam().base64), bytes_of(GetParam().plain));
    EXPECT_EQ(from_base64url(GetParam().base64url), bytes_of(GetParam().plain));
}

TEST(Base64, WhatIsNotTheOneTextOfAValueIsRefused) {
    for (const auto* text : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z g==", "Zg==\n", "=Zg=", "-_8=", "A"})
        EXPECT_FALSE(from_base64(text)) << text;
    for (const auto* text : {"Zh", "Zg==", "+/8", "A", "Zm9"}) EXPECT_FALSE(from_base64url(text)) << text;
}

TEST(Hex, IsReadInBothCasesAndWrittenInLower) {
    EXPECT_EQ(to_hex(Bytes{0x00, 0xab, 0xff}), "00abff");
    EXPECT_EQ(from_hex("00ABff"), (Bytes{0x00, 0xab, 0xff}));
    for (const auto* text : {"0", "0g", " 00"}) EXPECT_FALSE(from_hex(text)) << text;
}

TEST(ConstantTime, EqualMeansSameLengthAndBytes) {
    EXPECT_TRUE(equal_in_constant_time(view_of("abc"), view_of("abc")));
    EXPECT_FALSE(equal_in_constant_time(view_of("abc"), view_of("abd")));
    EXPECT_FALSE(equal_in_constant_time(view_of("abc"), view_of("ab")));
    EXPECT_TRUE(equal_in_constant_time({}, {}));
}

}  // namespace
}  // namespace qscd
