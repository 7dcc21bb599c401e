#include "base/json/parse.hpp"

#include <gtest/gtest.h>

namespace qscd::json {
namespace {

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonParse, API_06_ReadsWhatIsWellFormed) {
    const auto value = parse(R"( {"a": [1, -2, 0.5, 1e3, true, null], "b": "\u00e9\ud83d\ude00", "": {"a": 1}} )");
    ASSERT_TRUE(value) << describe(value.error());
    const auto& object = value.value().as_object();
    EXPECT_EQ(object.at("a").as_array().size(), 6u);
    EXPECT_EQ(object.at("b").as_string(), "\xc3\xa9\xf0\x9f\x98\x80");
    EXPECT_EQ(object.at("").as_object().at("a").as_int64(), 1);
}

TEST(JsonParse, API_06_ReadsTheLargestIntegersExactly) {
    EXPECT_EQ(parse("-9223372036854775808").value().as_int64(), std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(parse("18446744073709551615").value().as_uint64(), std::numeric_limits<std::uint64_t>::max());
}

TEST(JsonParse, API_06_ReadsALongStringWhole) {
    std::string text(100'000, 'x');
    text.replace(50'000, 2, "\\n");
    const auto value = parse('"' + text + '"');
    ASSERT_TRUE(value);
    EXPECT_EQ(value.value().as_string().size(), 99'999u);
}

struct Corpus {
    const char* name;
    std::string text;
};
const Corpus malformed[] = {
    {"Nothing", ""},
    {"Blank", "  "},
    {"Cut", R"({"a":1)"},
    {"DuplicateName", R"({"a":1,"a":1})"},
    {"DuplicateNameBelow", R"({"o":{"x":{"a":1,"b":2,"a":3}}})"},
    {"DuplicateNameInAnArray", R"([{"b":1},{"a":1,"a":2}])"},
    {"DuplicateNameByEscape", R"({"a":1,"\u0061":2})"},
    {"DuplicateNameAfterANestedObject", R"({"a":1,"b":{"a":1},"a":2})"},
    {"DuplicateEmptyName", R"({"":1,"":2})"},
    {"InfiniteNumber", R"({"a":1e999})"},
    {"NegativeInfiniteNumber", "-1e999"},
    {"IntegerBeyond64Bits", "18446744073709551616"},
    {"NegativeIntegerBeyond64Bits", "-9223372036854775809"},
    {"LongInteger", std::string(400, '9')},
    {"NaN", "NaN"},
    {"Infinity", "Infinity"},
    {"LeadingZero", "01"},
    {"LeadingPlus", "+1"},
    {"BareFraction", ".5"},
    {"Hexadecimal", "0x10"},
    {"SomethingBehind", "{} {}"},
    {"GarbageBehind", "{}x"},
    {"NulBehind", std::string("{}\0", 3)},
    {"TrailingComma", R"({"a":1,})"},
    {"TrailingCommaInArray", "[1,]"},
    {"BlockComment", R"({/* */"a":1})"},
    {"LineComment", "{} // x"},
    {"ByteOrderMark", "\xef\xbb\xbf{}"},
    {"Utf16", std::string("{\0}\0", 4)},
    {"SingleQuotes", "{'a':1}"},
    {"BareName", "{a:1}"},
    {"ControlCharacterInString", "\"\x01\""},
    {"LineFeedInString", "\"\n\""},
    {"OverlongUtf8", "\"\xc0\xaf\""},
    {"CutUtf8", "\"\xc3\""},
    {"BareContinuationByte", "\"\x80\""},
    {"SurrogateInUtf8", "\"\xed\xa0\x80\""},
    {"Utf8BeyondUnicode", "\"\xf4\x90\x80\x80\""},
    {"InvalidUtf8InName", "{\"\xff\":1}"},
    {"LoneHighSurrogate", R"("\ud800")"},
    {"LoneLowSurrogate", R"("\udc00")"},
    {"UnknownEscape", R"("\x")"},
    {"SeventeenDeep", nested(17)},
    {"ManyThousandDeep", nested(100'000)},
    {"ObjectsSeventeenDeep",
     [] {
         std::string text = "1";
         for (int i = 0; i < 17; ++i) text = "{\"a\":" + text + "}";
         return text;
     }()},
};
struct Malformed : ::testing::TestWithParam<Corpus> {};
INSTANTIATE_TEST_SUITE_P(, Malformed, ::testing::ValuesIn(malformed), [](const auto& test) { return test.param.name; });
TEST_P(Malformed, API_06_IsRefused) {
    const auto value = parse(GetParam().text);
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code, Errc::body_malformed);
}

TEST(JsonParse, API_05_SixteenDeepIsReadAndSeventeenIsNot) {
    EXPECT_TRUE(parse(nested(16)));
    EXPECT_FALSE(parse(nested(17)));
    EXPECT_TRUE(parse(nested(2), {.max_depth = 2}));
    EXPECT_FALSE(parse(nested(3), {.max_depth = 2}));
    EXPECT_TRUE(parse("[[],[],[]]", {.max_depth = 2}));
}

TEST(JsonParse, API_05_TheLongestTextIsReadAndOneByteMoreIsNot) {
    const auto text_of_size = [](std::size_t size) { return '"' + std::string(size - 2, 'x') + '"'; };
    EXPECT_TRUE(parse(text_of_size(1 << 20)));
    EXPECT_FALSE(parse(text_of_size((1 << 20) + 1)));
}

}  // namespace
}  // namespace qscd::json
