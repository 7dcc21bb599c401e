#include "policy/object_identifier.hpp"

#include <gtest/gtest.h>
#include <string>

namespace qscd::policy {
namespace {

TEST(ObjectIdentifier, IsDottedDecimal) {
    for (const auto* text :
         {"1.3.6.1.4.1.99999.1.2", "0.39.0", "1.39.1", "2.999.3", "2.25.340282366920938463463374607431768211455"})
        EXPECT_TRUE(is_object_identifier(text)) << text;
}

TEST(ObjectIdentifier, IsRefusedOtherwise) {
    for (const auto* text : {"", ".", "1", "1.3", "1.3.", ".1.3.6", "1..6", "3.1.1", "01.3.6", "1.03.6", "1.40.1",
                             "0.40.1", "1.100.1", "10.3.6", "1.3.6 ", "1.3.-6", "1.3.six", "1,3,6"})
        EXPECT_FALSE(is_object_identifier(text)) << text;
}

TEST(ObjectIdentifier, HasA39DigitArcAnd128CharactersAtMost) {
    const std::string nines(39, '9');
    EXPECT_TRUE(is_object_identifier("2.25." + nines));
    EXPECT_FALSE(is_object_identifier("2.25.1" + nines));
    const auto three = "2.25." + nines + "." + nines + "." + nines;  // 124 characters
    EXPECT_TRUE(is_object_identifier(three + ".123"));
    EXPECT_FALSE(is_object_identifier(three + ".1234"));
}

}  // namespace
}  // namespace qscd::policy
