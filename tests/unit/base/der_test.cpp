#include "base/der.hpp"

#include <gtest/gtest.h>

namespace qscd::der {
namespace {

struct Length {
    std::size_t size;
    const char* head;
};
struct Lengths : ::testing::TestWithParam<Length> {};
INSTANTIATE_TEST_SUITE_P(, Lengths,
                         ::testing::Values(Length{0, "0400"}, Length{1, "0401"}, Length{127, "047f"},
                                           Length{128, "048180"}, Length{255, "0481ff"}, Length{256, "04820100"},
                                           Length{65536, "0483010000"}),
                         [](const auto& test) { return std::to_string(test.param.size); });

TEST_P(Lengths, AreDefiniteAndShortest) {
    const auto out = to_hex(value(octet_string_tag, {Bytes(GetParam().size, 0xAB)}));
    EXPECT_EQ(out.substr(0, out.size() - 2 * GetParam().size), GetParam().head);
}

TEST(SetOf, IsInAscendingOrderOfTheWholeEncodings) {
    const auto long_one = value(octet_string_tag, {Bytes(3, 0)}), high = value(octet_string_tag, {Bytes{2}}),
               low = value(octet_string_tag, {Bytes{1}});
    EXPECT_EQ(to_hex(set_of({long_one, high, low})),
              "310b"
              "040101"
              "040102"
              "0403000000");
}

TEST(SetOf, HoldsEachElementOnce) {
    const auto one = value(octet_string_tag, {Bytes{1}});
    EXPECT_EQ(to_hex(set_of({one, one})), "3103040101");
}

TEST(Object, IsTheIdentifierOfOpensslsNumber) { EXPECT_EQ(to_hex(object_identifier(21)), "06092a864886f70d010701"); }

}  // namespace
}  // namespace qscd::der
