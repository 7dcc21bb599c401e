#include "policy/toml_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace qscd::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TomlTable read(std::string_view text) {
    auto table = TomlTable::parse(text, "qscd.toml");
    EXPECT_TRUE(table) << (table ? "" : table.error().detail);
    return table.value();
}

template <class T>
std::string refusal(const Result<T>& result) {
    if (result) return "no refusal";
    EXPECT_EQ(result.error().code, Errc::configuration);
    return result.error().detail;
}

TEST(TomlTable, ReadsEveryKindOfValue) {
    auto file = read(
        "name = \"anna\"\ncount = 3\non = true\nday = 2030-12-31\nlist = [\"a\", \"b\"]\nnumbers = [1, 2]\n"
        "[inner]\nx = 1\n[[many]]\ny = 1\n[[many]]\ny = 2\n");
    EXPECT_EQ(file.string("name").value(), "anna");
    EXPECT_EQ(file.integer("count", 1, 3).value(), 3);
    EXPECT_TRUE(file.boolean("on").value());
    EXPECT_EQ(file.optional_date("day").value(), std::chrono::year{2030} / 12 / 31);
    EXPECT_THAT(file.strings("list").value(), ElementsAre("a", "b"));
    EXPECT_THAT(*file.optional_integers("numbers", 1, 2).value(), ElementsAre(1, 2));
    auto inner = file.table("inner").value();
    ASSERT_TRUE(inner);
    EXPECT_EQ(inner->path(), "inner");
    EXPECT_EQ(inner->integer("x", 0, 9).value(), 1);
    auto many = file.tables("many").value();
    ASSERT_EQ(many.size(), 2u);
    EXPECT_EQ(many[1].path(), "many[2]");
    EXPECT_EQ(many[0].integer("y", 0, 9).value(), 1);
    EXPECT_EQ(many[1].integer("y", 0, 9).value(), 2);
    EXPECT_TRUE(file.nothing_else());
}

TEST(TomlTable, FillsInWhatIsAbsentOnlyWhereTheCallerSaysSo) {
    auto file = read("");
    EXPECT_EQ(file.string_or("a", "x").value(), "x");
    EXPECT_EQ(file.integer_or("b", 7, 1, 9).value(), 7);
    EXPECT_TRUE(file.boolean_or("c", true).value());
    EXPECT_THAT(file.strings_or("d", {"x"}).value(), ElementsAre("x"));
    EXPECT_EQ(file.one_of_or("e", "x", {"x", "y"}).value(), "x");
    EXPECT_FALSE(file.table("f").value());
    EXPECT_TRUE(file.tables("g").value().empty());
    EXPECT_FALSE(file.optional_string("h").value());
    EXPECT_FALSE(file.optional_date("i").value());
    EXPECT_FALSE(file.optional_integers("j", 0, 1).value());
    EXPECT_EQ(refusal(file.string("k")), "qscd.toml:1: k: is missing; write a text in quotes");
    EXPECT_EQ(refusal(file.integer("k", 1, 5)), "qscd.toml:1: k: is missing; write 1 to 5");
    EXPECT_EQ(refusal(file.boolean("k")), "qscd.toml:1: k: is missing; write true or false");
    EXPECT_EQ(refusal(file.strings("k")), "qscd.toml:1: k: is missing; write a list of texts in quotes");
    EXPECT_EQ(refusal(file.one_of("k", {"x", "y", "z"})), "qscd.toml:1: k: is missing; write \"x\", \"y\" or \"z\"");
}

TEST(TomlTable, NamesTheLineOfAValueOfTheWrongKind) {
    auto file = read(
        "\ntext = 1\nnumber = \"1\"\nflag = 1\nday = \"2030-12-31\"\nlist = \"a\"\nlists = [\"a\",\n 2]\n"
        "table = 1\ntables = [1]\nfraction = 1.5\n");
    EXPECT_EQ(refusal(file.string("text")), "qscd.toml:2: text: a whole number is not allowed; write a text in quotes");
    EXPECT_EQ(refusal(file.integer("number", 1, 2)), "qscd.toml:3: number: a text is not allowed; write 1 to 2");
    EXPECT_EQ(refusal(file.boolean("flag")), "qscd.toml:4: flag: a whole number is not allowed; write true or false");
    EXPECT_EQ(refusal(file.optional_date("day")),
              "qscd.toml:5: day: a text is not allowed; write a date without quotes, such as 2030-12-31");
    EXPECT_EQ(refusal(file.strings("list")),
              "qscd.toml:6: list: a text is not allowed; write a list of texts in quotes");
    EXPECT_EQ(refusal(file.strings("lists")),
              "qscd.toml:7: lists: a whole number is not allowed; write a list of texts in quotes");
    EXPECT_EQ(refusal(file.table("table")), "qscd.toml:9: table: a whole number is not allowed; write a table");
    EXPECT_EQ(refusal(file.tables("tables")),
              "qscd.toml:10: tables: a whole number is not allowed; write a list of tables");
    EXPECT_EQ(refusal(file.integer("fraction", 1, 2)),
              "qscd.toml:11: fraction: a fraction is not allowed; write 1 to 2");
}

TEST(TomlTable, ChecksBothEndsOfARange) {
    auto file = read("low = 1\nhigh = 10\nbelow = 0\nabove = 11\nlist = [1, 11]\nnegative = -9223372036854775808\n");
    EXPECT_TRUE(file.integer("low", 1, 10));
    EXPECT_TRUE(file.integer("high", 1, 10));
    EXPECT_EQ(refusal(file.integer("below", 1, 10)), "qscd.toml:3: below: 0 is not allowed; write 1 to 10");
    EXPECT_EQ(refusal(file.integer_or("above", 5, 1, 10)), "qscd.toml:4: above: 11 is not allowed; write 1 to 10");
    EXPECT_EQ(refusal(file.optional_integers("list", 1, 10)), "qscd.toml:5: list: 11 is not allowed; write 1 to 10");
    EXPECT_EQ(refusal(file.integer("negative", 1, 10)),
              "qscd.toml:6: negative: -9223372036854775808 is not allowed; write 1 to 10");
}

TEST(TomlTable, RefusesWordsOutsideAChoice) {
    auto file = read("one = \"z\"\nsome = [\"x\", \"z\"]\ntwice = [\"x\", \"x\"]\nnone = []\nkind = [1]\n");
    EXPECT_EQ(refusal(file.one_of("one", {"x", "y"})), "qscd.toml:1: one: \"z\" is not allowed; write \"x\" or \"y\"");
    EXPECT_EQ(refusal(file.some_of("some", {"x", "y"})),
              "qscd.toml:2: some: \"z\" is not allowed; write a list of \"x\" or \"y\"");
    EXPECT_EQ(refusal(file.some_of("twice", {"x", "y"})),
              "qscd.toml:3: twice: \"x\" stands there twice; write it once");
    EXPECT_EQ(refusal(file.some_of("none", {"x", "y"})),
              "qscd.toml:4: none: an empty list is not allowed; write a list of \"x\" or \"y\"");
    EXPECT_EQ(refusal(file.some_of("kind", {"x", "y"})),
              "qscd.toml:5: kind: a whole number is not allowed; write a list of texts in quotes");
}

TEST(TomlTable, RefusesTheFirstKeyThatNobodyAskedFor) {
    auto file = read("port = 1\n[inner]\nhost = \"a\"\nhots = \"b\"\n[other]\nx = 1\n");
    ASSERT_TRUE(file.integer("port", 1, 9));
    auto inner = file.table("inner").value();
    ASSERT_TRUE(inner->string("host"));
    EXPECT_EQ(refusal(file.nothing_else()), "qscd.toml:4: inner.hots: unknown key; did you mean \"host\"?");
    EXPECT_EQ(refusal(inner->nothing_else()), "qscd.toml:4: inner.hots: unknown key; did you mean \"host\"?");
    ASSERT_TRUE(inner->string("hots"));
    EXPECT_EQ(refusal(file.nothing_else()), "qscd.toml:5: other: unknown table; remove it; known here: inner, port");
}

TEST(TomlTable, TakesAMissingKeyForTheMisspeltOneBesideIt) {
    auto file = read("[inner]\nlibary = \"a\"\n");
    auto inner = file.table("inner").value();
    EXPECT_EQ(refusal(inner->string("library")), "qscd.toml:2: inner.libary: unknown key; did you mean \"library\"?");
    EXPECT_EQ(refusal(inner->string("path")), "qscd.toml:1: inner.path: is missing; write a text in quotes");
}

TEST(TomlTable, NamesLineAndColumnOfWhatIsNotToml) {
    EXPECT_THAT(refusal(TomlTable::parse("a = 1\nb = \n", "x.toml")), StartsWith("x.toml:2:5: this is not TOML: "));
    EXPECT_THAT(refusal(TomlTable::parse("a = 1\na = 2\n", "x.toml")), StartsWith("x.toml:2:"));
    EXPECT_THAT(refusal(TomlTable::parse("[a]\n[a]\n", "x.toml")), StartsWith("x.toml:2:"));
    EXPECT_THAT(refusal(TomlTable::parse("a = \"\xff\"\n", "x.toml")), StartsWith("x.toml:1:"));
    EXPECT_THAT(refusal(TomlTable::parse("a = \"open\n", "x.toml")), StartsWith("x.toml:1:"));
    EXPECT_THAT(refusal(TomlTable::parse(std::string(100000, '['), "x.toml")), StartsWith("x.toml:1:"));
    EXPECT_THAT(refusal(TomlTable::parse("a = " + std::string(100000, '['), "x.toml")), StartsWith("x.toml:1:"));
}

TEST(TomlTable, NeverShowsTextThatMayBeASecret) {
    auto file = read("port = \"hunter2\"\nflag = \"hunter2\"\nlist = \"hunter2\"\ntable = \"hunter2\"\n");
    for (const auto& text : {refusal(file.integer("port", 1, 9)), refusal(file.boolean("flag")),
                             refusal(file.strings("list")), refusal(file.table("table"))})
        EXPECT_THAT(text, Not(HasSubstr("hunter2")));
}

TEST(TomlTable, KeepsARefusalOnOneLine) {
    auto file = read("\"a\\nb\" = 1\n[\"x y\"]\nz = 1\n");
    EXPECT_EQ(refusal(file.string("a\nb")),
              "qscd.toml:1: \"a?b\": a whole number is not allowed; write a text in quotes");
    EXPECT_EQ(file.table("x y").value()->path(), "\"x y\"");
}

TEST(TomlTable, RefusesForItsCaller) {
    auto file = read("a = 1\n[inner]\nb = 1\n");
    auto inner = file.table("inner").value();
    EXPECT_EQ(inner->error_at("b", "is odd", "write an even one").detail,
              "qscd.toml:3: inner.b: is odd; write an even one");
    EXPECT_EQ(inner->error_at("c", "is odd", "").detail, "qscd.toml:2: inner.c: is odd");
    EXPECT_EQ(inner->error("is odd", "remove it").detail, "qscd.toml:2: inner: is odd; remove it");
    EXPECT_EQ(file.error("is odd", "remove it").detail, "qscd.toml:1: is odd; remove it");
}

TEST(TomlTable, KnowsItsKeys) {
    const auto file = read("b = 1\na = 2\n");
    EXPECT_THAT(file.keys(), ElementsAre("a", "b"));
    EXPECT_TRUE(file.has("a"));
    EXPECT_FALSE(file.has("c"));
    EXPECT_FALSE(file.nothing_else());
}

TEST(TomlTable, OutlivesTheFileItCameFrom) {
    std::optional<TomlTable> inner;
    {
        auto file = read("[inner]\nx = \"still here\"\n");
        inner = file.table("inner").value();
    }
    EXPECT_EQ(inner->string("x").value(), "still here");
}

}  // namespace
}  // namespace qscd::policy
