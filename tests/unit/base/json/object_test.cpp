#include "base/json/object.hpp"

#include <functional>
#include <gtest/gtest.h>

namespace qscd::json {
namespace {

Object body() {
    return Object::parse(R"({
        "credentialID": "abc", "numSignatures": 3, "sad": null, "wide": "ééé", "certInfo": true,
        "hash": ["aa", "bb"], "mixed": ["aa", 1], "fraction": 1.5, "huge": 18446744073709551615,
        "authData": [{"id": "PIN", "value": "1234"}, {"id": "TOTP"}], "clientData": {"a": {"b": "c"}}, "empty": []})")
        .value();
}

TEST(JsonObject, ReadsEachTypeByName) {
    const auto object = body();
    EXPECT_EQ(object.string("credentialID", 3).value(), "abc");
    EXPECT_EQ(object.integer("numSignatures").value(), 3);
    EXPECT_TRUE(object.boolean("certInfo").value());
    EXPECT_EQ(object.strings("hash", 2, 2).value(), (std::vector<std::string>{"aa", "bb"}));
    EXPECT_TRUE(object.strings("empty", 0, 0).value().empty());
    EXPECT_EQ(object.object("clientData").value().object("a").value().string("b", 1).value(), "c");
    const auto factors = object.objects("authData", 2).value();
    ASSERT_EQ(factors.size(), 2u);
    EXPECT_EQ(factors[0].secret("value", 4).value(), SecretBytes{std::string_view{"1234"}});
    EXPECT_EQ(factors[1].string("id", 8).value(), "TOTP");
}

TEST(JsonObject, APartOutlivesTheObjectItCameFrom) {
    auto part = [] { return body().objects("authData", 2).value()[1]; }();
    EXPECT_EQ(part.string("id", 8).value(), "TOTP");
}

TEST(JsonObject, NullAndAbsentAreTheSame) {
    const auto object = body();
    for (const auto* name : {"sad", "nobody"}) {
        EXPECT_FALSE(object.has(name));
        EXPECT_EQ(object.optional_string(name, 9).value(), std::nullopt);
        EXPECT_EQ(object.optional_integer(name).value(), std::nullopt);
        EXPECT_EQ(object.optional_boolean(name).value(), std::nullopt);
        EXPECT_EQ(object.optional_strings(name, 9, 9).value(), std::nullopt);
        EXPECT_FALSE(object.optional_objects(name, 9).value());
        EXPECT_FALSE(object.optional_object(name).value());
        EXPECT_FALSE(object.optional_secret(name, 9).value());
    }
}

TEST(JsonObject, LengthsAreBytesOfUtf8) {
    EXPECT_TRUE(body().string("wide", 6));
    EXPECT_FALSE(body().string("wide", 5));
}

template <class T>
std::optional<Error> error_of(const Result<T>& result) {
    return result ? std::nullopt : std::optional{result.error()};
}
struct Ask {
    const char* test;
    Errc code;
    const char *type, *name;
    std::function<std::optional<Error>(const Object&)> ask;
};
const Ask refused[] = {
    {"StringAbsent", Errc::parameter_missing, "string", "nobody",
     [](const Object& o) { return error_of(o.string("nobody", 9)); }},
    {"StringNull", Errc::parameter_missing, "string", "sad",
     [](const Object& o) { return error_of(o.string("sad", 9)); }},
    {"StringIsNumber", Errc::parameter_missing, "string", "numSignatures",
     [](const Object& o) { return error_of(o.string("numSignatures", 9)); }},
    {"OptionalStringIsNumber", Errc::parameter_missing, "string", "numSignatures",
     [](const Object& o) { return error_of(o.optional_string("numSignatures", 9)); }},
    {"StringTooLong", Errc::parameter_invalid, "string", "credentialID",
     [](const Object& o) { return error_of(o.string("credentialID", 2)); }},
    {"SecretTooLong", Errc::parameter_invalid, "string", "credentialID",
     [](const Object& o) { return error_of(o.secret("credentialID", 2)); }},
    {"SecretAbsent", Errc::parameter_missing, "string", "nobody",
     [](const Object& o) { return error_of(o.secret("nobody", 2)); }},
    {"IntegerAbsent", Errc::parameter_missing, "integer", "nobody",
     [](const Object& o) { return error_of(o.integer("nobody")); }},
    {"IntegerIsString", Errc::parameter_missing, "integer", "credentialID",
     [](const Object& o) { return error_of(o.integer("credentialID")); }},
    {"IntegerIsFraction", Errc::parameter_missing, "integer", "fraction",
     [](const Object& o) { return error_of(o.integer("fraction")); }},
    {"IntegerBeyond63Bits", Errc::parameter_invalid, "integer", "huge",
     [](const Object& o) { return error_of(o.integer("huge")); }},
    {"BooleanIsNumber", Errc::parameter_missing, "boolean", "numSignatures",
     [](const Object& o) { return error_of(o.optional_boolean("numSignatures")); }},
    {"ArrayIsString", Errc::parameter_missing, "array", "credentialID",
     [](const Object& o) { return error_of(o.optional_strings("credentialID", 9, 9)); }},
    {"ArrayAbsent", Errc::parameter_missing, "array", "nobody",
     [](const Object& o) { return error_of(o.strings("nobody", 9, 9)); }},
    {"ArrayOfMixedTypes", Errc::parameter_missing, "array", "mixed",
     [](const Object& o) { return error_of(o.optional_strings("mixed", 9, 9)); }},
    {"ArrayTooLong", Errc::parameter_invalid, "array", "hash",
     [](const Object& o) { return error_of(o.optional_strings("hash", 1, 9)); }},
    {"ArrayItemTooLong", Errc::parameter_invalid, "array", "hash",
     [](const Object& o) { return error_of(o.optional_strings("hash", 9, 1)); }},
    {"ArrayOfStringsInsteadOfObjects", Errc::parameter_missing, "array", "hash",
     [](const Object& o) { return error_of(o.optional_objects("hash", 9)); }},
    {"TooManyObjects", Errc::parameter_invalid, "array", "authData",
     [](const Object& o) { return error_of(o.optional_objects("authData", 1)); }},
    {"ObjectIsArray", Errc::parameter_missing, "object", "hash",
     [](const Object& o) { return error_of(o.optional_object("hash")); }},
};
struct WrongMember : ::testing::TestWithParam<Ask> {};
INSTANTIATE_TEST_SUITE_P(, WrongMember, ::testing::ValuesIn(refused), [](const auto& test) { return test.param.test; });
TEST_P(WrongMember, API_05_IsNamedInTheError) {
    const auto error = GetParam().ask(body());
    ASSERT_TRUE(error);
    EXPECT_EQ(error->code, GetParam().code);
    EXPECT_EQ(error->parameter.type, GetParam().type);
    EXPECT_EQ(error->parameter.name, GetParam().name);
}

TEST(JsonObject, ABodyThatIsNoObjectIsRefused) {
    for (const auto* text : {"[]", "1", "\"x\"", "null", "{"}) {
        const auto object = Object::parse(text);
        ASSERT_FALSE(object);
        EXPECT_EQ(object.error().code, Errc::body_malformed);
    }
}

}  // namespace
}  // namespace qscd::json
