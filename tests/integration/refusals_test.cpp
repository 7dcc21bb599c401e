// Every way to be refused over real HTTPS: what the portal hears, that nothing was signed, and what the logs say.
#include <boost/json/serialize.hpp>
#include <gmock/gmock.h>

#include "base/random.hpp"
#include "tests/integration/refusal.hpp"

namespace qscd::integration {
namespace {

namespace bj = boost::json;
using Change = std::function<void(bj::object&)>;
using Rewrite = std::function<std::string(std::string)>;

[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage);

constexpr const char *oid_256 = "2.16.840.1.101.3.4.2.1", *oid_sha1 = "1.3.14.3.2.26";
constexpr const char* access_denied_text = "The user, authorization server or remote service denied the request.";

template <class Value>
bj::value json_of(const Value& value) {
    if constexpr (std::is_same_v<Value, std::string>) return bj::string(value.data(), value.size());
    else return value;
}
template <class Value>
Change set(const char* name, const Value& value) {
    return [name, set = json_of(value)](bj::object& body) { body[name] = set; };
}
Change set(const char* name, const char* value) { return set(name, std::string{value}); }
Change remove(const char* name) {
    return [=](bj::object& body) { body.erase(name); };
}
template <class Value>
bj::object factor(const std::string& id, const Value& value) {
    return {{"id", id}, {"value", json_of(value)}};
}
bj::object factor(const std::string& id, const char* value) { return factor(id, std::string{value}); }
std::string base64(std::size_t size) { return to_base64(Bytes(size, 7)); }
bj::array many_hashes(unsigned count) {
    std::vector<Bytes> out;
    for (unsigned i = 0; i < count; ++i) out.push_back(hash_numbered(i));
    return base64_of(out);
}

// --- authorize: what is wrong with the request itself. The factors are right each time, and stay unspent. ---

struct AuthoriseCase {
    std::string name;
    Change change;
    Refusal refusal;
};
std::ostream& operator<<(std::ostream& out, const AuthoriseCase& each) { return out << each.name; }

class RefusedAuthorisation : public testing::Test {
protected:
    static void SetUpTestSuite() { code_ = Stage::cast().anna.fresh_code(); }
    static bj::object right() {
        auto& cast = Stage::cast();
        return Portal::authorisation(cast.anna_qscd.id, {hash_numbered(1)}, {cast.anna.pin(), "TOTP", code_});
    }
    static void TearDownTestSuite() {
        const auto answer = Stage::cast().portal_1.call("credentials/authorize", right());
        EXPECT_EQ(answer.status, 200U) << "the refusals spent a factor: " << answer;
    }
    static inline std::string code_;
};
class AuthoriseRefusal : public RefusedAuthorisation, public testing::WithParamInterface<AuthoriseCase> {};

TEST_P(AuthoriseRefusal, NamesTheParameterAndSpendsNothing) {
    auto& cast = Stage::cast();
    auto body = right();
    GetParam().change(body);
    const Evidence evidence{cast.deployment};
    expect_refusal(evidence, cast.portal_1.call("credentials/authorize", body), GetParam().refusal);
}
const auto count_wrong = invalid_request("Invalid value for parameter numSignatures", "signature_count_invalid");
const auto count_high = invalid_request("Numbers of signatures is too high", "too_many_signatures");
const auto not_base64 = invalid_request("Invalid Base64 hash string parameter", "hash_not_base64");
const auto wrong_length = invalid_request("Invalid digest value length", "hash_wrong_length");
const auto no_hash = invalid_request("Empty hash array", "hashes_empty");
INSTANTIATE_TEST_SUITE_P(
    All, AuthoriseRefusal,
    testing::Values(
        AuthoriseCase{"CredentialAbsent", remove("credentialID"), missing("string", "credentialID")},
        AuthoriseCase{"CredentialNull", set("credentialID", nullptr), missing("string", "credentialID")},
        AuthoriseCase{"CredentialNumber", set("credentialID", 5), missing("string", "credentialID")},
        AuthoriseCase{"CredentialArray", set("credentialID", bj::array{"x"}), missing("string", "credentialID")},
        AuthoriseCase{"CredentialEmpty", set("credentialID", ""), invalid("credentialID")},
        AuthoriseCase{"CredentialTooLong", set("credentialID", std::string(256, 'a')), invalid("credentialID")},
        AuthoriseCase{"CredentialUnknown", set("credentialID", unknown_credential), invalid("credentialID")},
        AuthoriseCase{"CredentialShort", set("credentialID", "00112233445566778899aabbccddeef"),
                      invalid("credentialID")},
        AuthoriseCase{"CredentialNoHex", set("credentialID", "../../../../../../../../etc/pass"),
                      invalid("credentialID")},
        AuthoriseCase{
            "CredentialWithNul",
            [](bj::object& body) { body["credentialID"] = std::string{body["credentialID"].as_string()} + '\0'; },
            invalid("credentialID")},
        AuthoriseCase{"CredentialUpperCase",
                      [](bj::object& body) {
                          std::string id{body["credentialID"].as_string()};
                          std::ranges::transform(id, id.begin(),
                                                 [](char c) { return static_cast<char>(std::toupper(c)); });
                          body["credentialID"] = id == body["credentialID"].as_string() ? "AA" : id;
                      },
                      invalid("credentialID")},
        AuthoriseCase{"CountAbsent", remove("numSignatures"), missing("integer", "numSignatures")},
        AuthoriseCase{"CountText", set("numSignatures", "1"), missing("integer", "numSignatures")},
        AuthoriseCase{"CountFraction", set("numSignatures", 1.5), missing("integer", "numSignatures")},
        AuthoriseCase{"CountBoolean", set("numSignatures", true), missing("integer", "numSignatures")},
        AuthoriseCase{"CountZero", set("numSignatures", 0), count_wrong},
        AuthoriseCase{"CountNegative", set("numSignatures", -1), count_wrong},
        AuthoriseCase{"CountAboveMultisign", set("numSignatures", 101), count_high},
        AuthoriseCase{"CountBeyond63Bits", set("numSignatures", 1ULL << 63U), invalid("numSignatures")},
        AuthoriseCase{"CountNotThatOfTheHashes", set("numSignatures", 2), count_wrong},
        AuthoriseCase{"HashesAbsent", remove("hashes"), missing("array", "hashes")},
        AuthoriseCase{"HashesText", set("hashes", base64(32)), missing("array", "hashes")},
        AuthoriseCase{"HashNumber", set("hashes", bj::array{5}), missing("array", "hashes")},
        AuthoriseCase{"HashesNone", set("hashes", bj::array{}), no_hash},
        AuthoriseCase{"HashesTooMany", set("hashes", many_hashes(101)), count_high},
        AuthoriseCase{"HashNotBase64", set("hashes", bj::array{"!!!!"}), not_base64},
        AuthoriseCase{"HashUnpadded", set("hashes", bj::array{base64(32).substr(0, 43)}), not_base64},
        AuthoriseCase{"HashBase64Url", set("hashes", bj::array{std::string(42, '_') + "8="}), not_base64},
        AuthoriseCase{"HashWithLineBreak", set("hashes", bj::array{base64(32) + "\n"}), not_base64},
        AuthoriseCase{"HashTooShort", set("hashes", bj::array{base64(31)}), wrong_length},
        AuthoriseCase{"HashTooLong", set("hashes", bj::array{base64(33)}), wrong_length},
        AuthoriseCase{"HashOfAnotherAlgorithm", set("hashes", bj::array{base64(48)}), wrong_length},
        AuthoriseCase{"HashOfSha1", set("hashes", bj::array{base64(20)}), wrong_length},
        AuthoriseCase{"HashEmpty", set("hashes", bj::array{""}), wrong_length},
        AuthoriseCase{"AlgorithmAbsent", remove("hashAlgorithmOID"), missing("string", "hashAlgorithmOID")},
        AuthoriseCase{"AlgorithmNumber", set("hashAlgorithmOID", 2), missing("string", "hashAlgorithmOID")},
        AuthoriseCase{"AlgorithmSha1", set("hashAlgorithmOID", oid_sha1), invalid("hashAlgorithmOID")},
        AuthoriseCase{"AlgorithmTooLong", set("hashAlgorithmOID", std::string(129, '1')), invalid("hashAlgorithmOID")},
        AuthoriseCase{"FactorsAbsent", remove("authData"), missing("array", "authData")},
        AuthoriseCase{"FactorsObject", set("authData", bj::object{}), missing("array", "authData")},
        AuthoriseCase{"FactorNumber", set("authData", bj::array{5}), missing("array", "authData")},
        AuthoriseCase{"FactorWithoutId", set("authData", bj::array{bj::object{{"value", "1"}}}), invalid("authData")},
        AuthoriseCase{"FactorValueNumber", set("authData", bj::array{factor("PIN", 27348101)}), invalid("authData")},
        AuthoriseCase{"FactorValueTooLong", set("authData", bj::array{factor("PIN", std::string(65, '1'))}),
                      invalid("authData")},
        AuthoriseCase{"FactorIdTooLong", set("authData", bj::array{factor(std::string(33, 'P'), "1")}),
                      invalid("authData")},
        AuthoriseCase{"FactorsTooMany", set("authData", bj::array(9, bj::value(factor("PIN", "1")))),
                      invalid("authData")},
        AuthoriseCase{"DescriptionTooLong", set("description", std::string(501, 'd')), invalid("description")},
        AuthoriseCase{"ClientDataNumber", set("clientData", 5), invalid("clientData")},
        AuthoriseCase{"NoFactorAtAll", set("authData", bj::array{}), from_sam(wrong_factors())},
        AuthoriseCase{"PinAlone", [](bj::object& body) { body["authData"].as_array().pop_back(); },
                      from_sam(wrong_factors())},
        AuthoriseCase{"CodeAlone",
                      [](bj::object& body) { body["authData"].as_array().erase(body["authData"].as_array().begin()); },
                      from_sam(wrong_factors())},
        AuthoriseCase{"PinTwice",
                      [](bj::object& body) { body["authData"].as_array()[1] = body["authData"].as_array()[0]; },
                      from_sam(wrong_factors())},
        AuthoriseCase{"OneFactorTooMany",
                      [](bj::object& body) { body["authData"].as_array().push_back(factor("SMS", "123456")); },
                      from_sam(wrong_factors())},
        AuthoriseCase{"UnknownFactor",
                      [](bj::object& body) { body["authData"].as_array()[1].as_object()["id"] = "FINGER"; },
                      from_sam(wrong_factors())},
        AuthoriseCase{"FactorOfAnotherKind",
                      [](bj::object& body) { body["authData"].as_array()[1].as_object()["id"] = "SMS"; },
                      from_sam(wrong_factors())},
        AuthoriseCase{"PageOnlyCredential",
                      [](bj::object& body) { body["credentialID"] = Stage::cast().boris_page.id; },
                      from_sam({400, "access_denied", access_denied_text, "access_denied"})}),
    name_of_case<testing::TestParamInfo<AuthoriseCase>>);

// --- bodies that are no JSON object of one meaning ---

struct BodyCase {
    std::string name;
    Rewrite rewrite;
};
std::ostream& operator<<(std::ostream& out, const BodyCase& each) { return out << each.name; }
class BodyRefusal : public RefusedAuthorisation, public testing::WithParamInterface<BodyCase> {};

TEST_P(BodyRefusal, IsMalformedAndReadNoFurther) {
    auto& cast = Stage::cast();
    const auto body = GetParam().rewrite(bj::serialize(right()));
    const Evidence evidence{cast.deployment};
    expect_refusal(evidence, cast.portal_1.post("credentials/authorize", body), malformed());
}
Rewrite with_member(std::string member) {
    return [=](const std::string& body) { return body.substr(0, body.size() - 1) + "," + member + "}"; };
}
INSTANTIATE_TEST_SUITE_P(
    All, BodyRefusal,
    testing::Values(BodyCase{"Empty", [](const std::string&) { return std::string{}; }},
                    BodyCase{"Truncated", [](const std::string& body) { return body.substr(0, body.size() - 1); }},
                    BodyCase{"Array", [](const std::string& body) { return "[" + body + "]"; }},
                    BodyCase{"Number", [](const std::string&) { return std::string{"5"}; }},
                    BodyCase{"TwoObjects", [](const std::string& body) { return body + body; }},
                    BodyCase{"TextBehind", [](const std::string& body) { return body + "x"; }},
                    BodyCase{"ByteOrderMark", [](const std::string& body) { return "\xef\xbb\xbf" + body; }},
                    BodyCase{"Form", [](const std::string&) { return std::string{"credentialID=1&numSignatures=1"}; }},
                    BodyCase{"SameNameTwice", with_member("\"numSignatures\":1")},
                    BodyCase{"SameNameTwiceEscaped", with_member("\"numSignature\\u0073\":1")},
                    BodyCase{"SameNameTwiceBelow", with_member("\"x\":{\"a\":1,\"a\":1}")},
                    BodyCase{"NotUtf8", with_member("\"clientData\":\"\xff\xfe\"")},
                    BodyCase{"OverlongUtf8", with_member("\"clientData\":\"\xc0\xaf\"")},
                    BodyCase{"SurrogateInUtf8", with_member("\"clientData\":\"\xed\xa0\x80\"")},
                    BodyCase{"LoneSurrogate", with_member("\"clientData\":\"\\ud800\"")},
                    BodyCase{"ControlCharacter", with_member("\"clientData\":\"\n\"")},
                    BodyCase{"TooDeep", with_member("\"x\":" + std::string(16, '[') + std::string(16, ']'))},
                    BodyCase{"MuchTooDeep", with_member("\"x\":" + std::string(100'000, '['))},
                    BodyCase{"NumberTooLarge", with_member("\"x\":1e999")},
                    BodyCase{"IntegerTooLarge", with_member("\"x\":18446744073709551616")},
                    BodyCase{"NotANumber", with_member("\"x\":NaN")}, BodyCase{"LeadingZero", with_member("\"x\":01")},
                    BodyCase{"CommaAtTheEnd",
                             [](const std::string& body) { return body.substr(0, body.size() - 1) + ",}"; }},
                    BodyCase{"Comment", with_member("/* */\"x\":1")}, BodyCase{"SingleQuotes", with_member("'x':1")}),
    name_of_case<testing::TestParamInfo<BodyCase>>);

TEST_F(RefusedAuthorisation, TheContentTypeMustBeJsonInUtf8) {
    auto& cast = Stage::cast();
    for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "application/json; charset=iso-8859-1",
                             "application/jsonx", "application/json; x=y"}) {
        const Evidence evidence{cast.deployment};
        expect_refusal(evidence,
                       cast.portal_1.post("credentials/authorize", bj::serialize(right()), {{"Content-Type", type}}),
                       malformed());
    }
}

// --- signHash with a good SAD token that stays unused ---

struct SignCase {
    std::string name;
    Change change;
    Refusal refusal;
    net::Headers headers = {};
};
std::ostream& operator<<(std::ostream& out, const SignCase& each) { return out << each.name; }

class SignRefusal : public testing::TestWithParam<SignCase> {
protected:
    static void SetUpTestSuite() {
        auto& cast = Stage::cast();
        sad_ = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)});
    }
    static SigningRequest right() { return {Stage::cast().anna_qscd.id, sad_, {hash_numbered(1)}}; }
    static void TearDownTestSuite() {
        const auto answer = Stage::cast().portal_1.sign(right());
        EXPECT_EQ(answer.status, 200U) << "the refusals used the SAD token: " << answer;
    }
    static inline std::string sad_;
};

TEST_P(SignRefusal, NamesTheParameterAndUsesNothing) {
    auto& cast = Stage::cast();
    auto body = right().body();
    GetParam().change(body);
    const Evidence evidence{cast.deployment};
    expect_refusal(evidence, cast.portal_1.call("signatures/signHash", body, GetParam().headers), GetParam().refusal);
}
const auto outside = from_sam(invalid_request("Hash is not authorized by the SAD", "hash_not_authorised"));
Change both(const Change& first, const Change& second) {
    return [=](bj::object& body) {
        first(body);
        second(body);
    };
}
INSTANTIATE_TEST_SUITE_P(
    All, SignRefusal,
    testing::Values(
        SignCase{"SadAbsent", remove("SAD"), missing("string", "SAD")},
        SignCase{"SadNumber", set("SAD", 5), missing("string", "SAD")},
        SignCase{"SadEmpty", set("SAD", ""), invalid("SAD")},
        SignCase{"SadNoBase64Url", set("SAD", "*"), invalid("SAD")},
        SignCase{"SadTooLong", set("SAD", std::string(1025, 'A')), invalid("SAD")},
        SignCase{"SadUnknown", set("SAD", std::string(43, 'A')), from_sam(invalid("SAD"))},
        SignCase{"SadOfOddLength", set("SAD", "QUJD"), from_sam(invalid("SAD"))},
        SignCase{"CredentialAbsent", remove("credentialID"), missing("string", "credentialID")},
        SignCase{"CredentialUnknown", set("credentialID", unknown_credential), invalid("credentialID")},
        SignCase{"SadOfAnotherCredential", [](bj::object& body) { body["credentialID"] = Stage::cast().anna_lcp.id; },
                 from_sam(invalid("SAD"))},
        SignCase{"SadOfAnotherSigner", [](bj::object& body) { body["credentialID"] = Stage::cast().boris_sms.id; },
                 from_sam(invalid("SAD"))},
        SignCase{"HashesAbsent", remove("hashes"), missing("array", "hash")},
        SignCase{"HashesText", set("hashes", base64(32)), missing("array", "hash")},
        SignCase{"HashesNone", set("hashes", bj::array{}), no_hash},
        SignCase{"HashNotBase64", set("hashes", bj::array{"="}), not_base64},
        SignCase{"HashTooShort", set("hashes", bj::array{base64(31)}), wrong_length},
        SignCase{"HashesTooMany", set("hashes", many_hashes(101)), count_high},
        SignCase{"HashOutside", set("hashes", bj::array{base64(32)}), outside},
        SignCase{"OneOfTwoOutside",
                 [](bj::object& body) { body["hashes"].as_array().push_back(bj::value(base64(32))); }, outside},
        SignCase{"HashTwice",
                 [](bj::object& body) { body["hashes"].as_array().push_back(body["hashes"].as_array()[0]); }, outside},
        SignCase{"HashOfAnotherAlgorithm",
                 both(set("signAlgo", "1.2.840.10045.4.3.3"), set("hashes", bj::array{base64(48)})), outside},
        SignCase{"AlgorithmAbsent", remove("signAlgo"), missing("string", "signAlgo")},
        SignCase{"AlgorithmNumber", set("signAlgo", 1), missing("string", "signAlgo")},
        SignCase{"AlgorithmUnknown", set("signAlgo", "1.2.3"), invalid("signAlgo")},
        SignCase{"AlgorithmWithSha1", set("signAlgo", "1.2.840.10045.4.1"), invalid("signAlgo")},
        SignCase{"AlgorithmOfAnotherKey", set("signAlgo", "1.2.840.113549.1.1.11"), invalid("signAlgo")},
        SignCase{"PssForAnEcKey", set("signAlgo", "1.2.840.113549.1.1.10"), invalid("signAlgo")},
        SignCase{"HashAlgorithmAbsentWhereNeeded", set("signAlgo", "1.2.840.10045.2.1"),
                 missing("string", "hashAlgorithmOID")},
        SignCase{"HashAlgorithmSha1", both(set("signAlgo", "1.2.840.10045.2.1"), set("hashAlgorithmOID", oid_sha1)),
                 invalid("hashAlgorithmOID")},
        SignCase{"Asynchronous", set("operationMode", "A"), invalid("operationMode")},
        SignCase{"ModeNumber", set("operationMode", 5), invalid("operationMode")},
        SignCase{"ClientDataObject", set("clientData", bj::object{}), invalid("clientData")},
        SignCase{"IdempotencyKeyTooLong",
                 [](bj::object&) {},
                 invalid("Idempotency-Key"),
                 {{"Idempotency-Key", std::string(129, 'k')}}},
        SignCase{
            "IdempotencyKeyWithBlank", [](bj::object&) {}, invalid("Idempotency-Key"), {{"Idempotency-Key", "a b"}}}),
    name_of_case<testing::TestParamInfo<SignCase>>);

TEST(SadToken, IsRefusedWhenItWasUsed) {
    auto& cast = Stage::cast();
    const SigningRequest request{
        cast.anna_qscd.id, cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)}), {hash_numbered(1)}};
    ASSERT_EQ(cast.portal_1.sign(request).status, 200U);
    const Evidence evidence{cast.deployment};
    expect_refusal(evidence, cast.portal_1.sign(request), outside);
}

TEST(SadToken, IsRefusedFromAnotherPortal) {
    auto& cast = Stage::cast();
    const SigningRequest request{
        cast.boris_sms.id, cast.portal_1.sad_for(cast.boris, cast.boris_sms, {hash_numbered(1)}), {hash_numbered(1)}};
    const Evidence evidence{cast.deployment};
    auto expected = from_sam(invalid("SAD"));
    expected.client = "portal-2";
    expect_refusal(evidence, cast.portal_2.sign(request), expected);
    EXPECT_EQ(cast.portal_1.sign(request).status, 200U) << "its owner still has it";
}

TEST(SadToken, IsRefusedWhenItHasExpired) {
    auto& cast = Stage::cast();
    const SigningRequest request{
        cast.anna_qscd.id, cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)}), {hash_numbered(1)}};
    cast.deployment.advance(std::chrono::seconds{120});
    const Evidence evidence{cast.deployment};
    expect_refusal(evidence, cast.portal_1.sign(request), from_sam(invalid_request("SAD expired", "sad_expired")));
}

// --- getChallenge ---

struct ChallengeCase {
    std::string name;
    Change change;
    Refusal refusal;
};
std::ostream& operator<<(std::ostream& out, const ChallengeCase& each) { return out << each.name; }
class ChallengeRefusal : public testing::TestWithParam<ChallengeCase> {};

TEST_P(ChallengeRefusal, SendsNoMessage) {
    auto& cast = Stage::cast();
    bj::object body{{"credentialID", cast.boris_sms.id},
                    {"authObjectID", "SMS"},
                    {"numSignatures", 1},
                    {"hashes", base64_of({hash_numbered(1)})},
                    {"hashAlgorithmOID", oid_256}};
    GetParam().change(body);
    const auto sent = fs::file_size(cast.deployment.in("outbox/sms.jsonl"));
    const Evidence evidence{cast.deployment};
    expect_refusal(evidence, cast.portal_1.call("credentials/getChallenge", body), GetParam().refusal);
    EXPECT_EQ(fs::file_size(cast.deployment.in("outbox/sms.jsonl")), sent);
}
INSTANTIATE_TEST_SUITE_P(
    All, ChallengeRefusal,
    testing::Values(
        ChallengeCase{"CredentialAbsent", remove("credentialID"), missing("string", "credentialID")},
        ChallengeCase{"CredentialUnknown", set("credentialID", unknown_credential), invalid("credentialID")},
        ChallengeCase{"FactorAbsent", remove("authObjectID"), missing("string", "authObjectID")},
        ChallengeCase{"FactorUnknown", set("authObjectID", "FAX"), invalid("authObjectID")},
        ChallengeCase{"FactorPin", set("authObjectID", "PIN"), invalid("authObjectID")},
        ChallengeCase{"FactorTooLong", set("authObjectID", std::string(33, 'S')), invalid("authObjectID")},
        ChallengeCase{"CredentialWithAnApp",
                      [](bj::object& body) { body["credentialID"] = Stage::cast().anna_qscd.id; },
                      invalid("authObjectID")},
        ChallengeCase{"CountZero", set("numSignatures", 0), count_wrong},
        ChallengeCase{"CountNotThatOfTheHashes", set("numSignatures", 2), count_wrong},
        ChallengeCase{"HashesNone", set("hashes", bj::array{}), no_hash},
        ChallengeCase{"HashTooShort", set("hashes", bj::array{base64(31)}), wrong_length},
        ChallengeCase{"AlgorithmAbsent", remove("hashAlgorithmOID"), missing("string", "hashAlgorithmOID")}),
    name_of_case<testing::TestParamInfo<ChallengeCase>>);

}  // namespace
}  // namespace qscd::integration
