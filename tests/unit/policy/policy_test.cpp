#include "policy/policy.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.hpp"

namespace qscd::policy {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

const std::string good = R"(public_base = "http://pki.tsp.example"

[profile.qscd]
type = "QCP-n-qscd"
policy = "qualified"
validity = "5 years"
keys = ["P-256", "RSA-3072"]
placement = "resident"
own_policy = "1.3.6.1.4.1.99999.1.2"
modes = ["page"]
multisign = 50
sad_seconds = 100
otp_failures_a_day = 20
proofing = ["document", "live-video"]
otp = ["totp", "sms"]

[profile.qscd.pin]
digits = [6, 8]
tries = 5

[profile.qscd.totp]
period = 30
digits = 8
tolerance_steps = 2

[profile.qscd.sms]
digits = 7
life_seconds = 120
tries = 2

[[profile.qscd.pds]]
lang = "en"
url = "https://tsp.example/pds-en.pdf"
[[profile.qscd.pds]]
lang = "de"
url = "https://tsp.example/pds-de.pdf"
)";

std::string changed(std::string_view from, std::string_view to) {
    auto text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

Result<Policy> parse(std::string_view text) { return Policy::parse(text, "policy.toml"); }

Policy load(const char* path) {
    auto policy = Policy::load(std::filesystem::path{QSCD_SOURCE_DIR} / path);
    EXPECT_TRUE(policy) << (policy ? "" : policy.error().detail);
    return policy.value();
}

std::vector<std::string> texts(const std::vector<FactorExpression>& expressions) {
    std::vector<std::string> out;
    for (const auto& expression : expressions) out.push_back(expression.text());
    return out;
}

TEST(Policy, TakesEveryValueFromTheFile) {
    const auto policy = parse(good);
    ASSERT_TRUE(policy) << policy.error().detail;
    EXPECT_EQ(policy.value().public_base(), "http://pki.tsp.example");
    EXPECT_EQ(policy.value().version(), sha256(view_of(good)));
    EXPECT_FALSE(policy.value().has_trial());
    const auto* profile = policy.value().find("qscd");
    ASSERT_TRUE(profile);
    EXPECT_EQ(profile->name(), "qscd");
    EXPECT_EQ(profile->type(), CertificateType::qcp_n_qscd);
    EXPECT_EQ(profile->regime(), Regime::qualified);
    EXPECT_EQ(profile->lifetime().years(), 5);
    EXPECT_THAT(profile->key_kinds(), ElementsAre(KeyKind::p256, KeyKind::rsa3072));
    EXPECT_TRUE(profile->allows(KeyKind::rsa3072));
    EXPECT_FALSE(profile->allows(KeyKind::rsa4096));
    EXPECT_EQ(profile->placement(), Placement::resident);
    EXPECT_EQ(profile->own_policy(), "1.3.6.1.4.1.99999.1.2");
    EXPECT_THAT(profile->modes(), ElementsAre(Mode::page));
    EXPECT_FALSE(profile->allows(Mode::explicit_mode));
    EXPECT_EQ(profile->multisign(), 50u);
    EXPECT_EQ(profile->sad_life(), 100s);
    EXPECT_EQ(profile->otp_failures_a_day(), 20u);
    EXPECT_THAT(profile->proofing(), ElementsAre("document", "live-video"));
    EXPECT_THAT(texts(profile->expressions()), ElementsAre("PIN AND TOTP", "PIN AND SMS"));
    EXPECT_EQ(profile->pin().min_digits, 6u);
    EXPECT_EQ(profile->pin().max_digits, 8u);
    EXPECT_EQ(profile->pin().tries, 5u);
    EXPECT_EQ(profile->totp()->period, 30s);
    EXPECT_EQ(profile->totp()->digits, 8u);
    EXPECT_EQ(profile->totp()->tolerance_steps, 2u);
    EXPECT_EQ(profile->sms()->digits, 7u);
    EXPECT_EQ(profile->sms()->life, 120s);
    EXPECT_EQ(profile->sms()->tries, 2u);
    ASSERT_EQ(profile->pds().size(), 2u);
    EXPECT_EQ(profile->pds()[1].lang, "de");
    EXPECT_EQ(profile->pds()[1].url, "https://tsp.example/pds-de.pdf");
    EXPECT_FALSE(policy.value().find("other"));
}

// [CA-08] [SAM-06] [AUTHN-07] [AUTHN-11] [AUTHN-16]
TEST(Policy, HasTheDefaultsOfTheRequirements) {
    const auto policy = parse(
        "public_base = \"http://pki.tsp.example/\"\n[profile.a]\ntype = \"LCP\"\nkeys = [\"P-256\"]\n"
        "otp = [\"totp\", \"sms\"]\n");
    ASSERT_TRUE(policy) << policy.error().detail;
    EXPECT_EQ(policy.value().public_base(), "http://pki.tsp.example");
    const auto* profile = policy.value().find("a");
    EXPECT_EQ(profile->regime(), Regime::qualified);
    EXPECT_EQ(profile->lifetime(), Lifetime::five_years());
    EXPECT_EQ(profile->placement(), Placement::resident);
    EXPECT_FALSE(profile->own_policy());
    EXPECT_TRUE(profile->pds().empty());
    EXPECT_TRUE(profile->proofing().empty());
    EXPECT_EQ(profile->pin().min_digits, 6u);
    EXPECT_EQ(profile->pin().max_digits, 8u);
    EXPECT_EQ(profile->pin().tries, 5u);
    EXPECT_EQ(profile->totp()->period, 60s);
    EXPECT_EQ(profile->totp()->digits, 6u);
    EXPECT_EQ(profile->totp()->tolerance_steps, 1u);
    EXPECT_EQ(profile->sms()->digits, 6u);
    EXPECT_EQ(profile->sms()->life, 300s);
    EXPECT_EQ(profile->sms()->tries, 3u);
    EXPECT_THAT(profile->modes(), ElementsAre(Mode::page));
    EXPECT_EQ(profile->multisign(), 100u);
    EXPECT_EQ(profile->sad_life(), 120s);
    EXPECT_EQ(profile->otp_failures_a_day(), 30u);
}

TEST(Policy, CA_09_TheTypeAloneDecidesWhatTheCertificateClaims) {
    const auto policy = parse(good);
    const auto* profile = policy.value().find("qscd");
    EXPECT_EQ(profile->policy_oid(), "0.4.0.194112.1.2");
    EXPECT_EQ(profile->qc(), Qc::compliance | Qc::sscd | Qc::type_esign | Qc::pds);
    EXPECT_EQ(profile->key_usage(), KeyUsage::non_repudiation);
    EXPECT_EQ(iso8601(profile->not_after(from_unix(1'835'431'200))),
              "2033-02-28T09:59:59Z");  // from 2028-02-29T10:00:00Z
}

TEST(Policy, HasAnotherVersionForEveryOtherByte) {
    EXPECT_NE(parse(good).value().version(), parse(good + "\n").value().version());
}

TEST(Policy, AUTHN_01_RulesExistExactlyForTheFactorsListed) {
    const auto policy = parse(
        "public_base = \"http://pki.tsp.example\"\n[profile.a]\ntype = \"LCP\"\nkeys = [\"P-256\"]\n"
        "otp = [\"sms\"]\n");
    const auto* profile = policy.value().find("a");
    EXPECT_FALSE(profile->totp());
    EXPECT_TRUE(profile->sms());
    EXPECT_TRUE(profile->allows(*FactorExpression::pin_and(Factor::sms)));
    EXPECT_FALSE(profile->allows(*FactorExpression::pin_and(Factor::totp)));
}

// Take the good file, change one thing, and it does not load.
struct Change {
    const char *name, *from, *to, *refusal;
    friend void PrintTo(const Change& change, std::ostream* out) { *out << change.name; }
};
std::string name_of_change(const ::testing::TestParamInfo<Change>& test) { return test.param.name; }
struct ChangedPolicy : ::testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(
    File, ChangedPolicy,
    ::testing::Values(
        Change{"NoBase", "public_base = \"http://pki.tsp.example\"", "",
               "1: public_base: is missing; write a text in quotes"},
        Change{"MisspeltBase", "public_base", "public_bse",
               "1: public_bse: unknown key; did you mean \"public_base\"?"},
        Change{"HttpsBase", "http://", "https://",
               "1: public_base: it does not start with http://; write a public address such as "
               "\"http://pki.tsp.example\""},
        Change{"LoopbackBase", "pki.tsp.example", "127.0.0.1:8080",
               "1: public_base: the host is an address; write a public address such as \"http://pki.tsp.example\""},
        Change{
            "LocalhostBase", "pki.tsp.example", "localhost",
            "1: public_base: the host is an internal name; write a public address such as \"http://pki.tsp.example\""},
        Change{"UnknownTable", "[profile.qscd]", "[profiles]\n[profile.qscd]",
               "3: profiles: unknown table; did you mean \"profile\"?"},
        Change{"UnknownKeyAtTheTop", "\n\n", "\nbanner = \"hello\"\n",
               "2: banner: unknown key; remove it; known here: profile, public_base"},
        Change{"ProfileNotATable", "[profile.qscd]", "[profile]\nother = 1\n[profile.qscd]",
               "4: profile.other: a whole number is not allowed; write a table"},
        Change{"ShoutedName", "[profile.qscd]", "[profile.QSCD]\n[profile.qscd]",
               "3: profile.QSCD: this is not a profile's name; write 1 to 64 small letters, digits and dashes"}),
    name_of_change);
INSTANTIATE_TEST_SUITE_P(
    Certificate, ChangedPolicy,
    ::testing::Values(
        Change{"NoType", "type = \"QCP-n-qscd\"\n", "",
               "3: profile.qscd.type: is missing; write \"LCP\", \"QCP-n\" or \"QCP-n-qscd\""},
        Change{"UnknownType", "QCP-n-qscd", "QCP-x",
               "4: profile.qscd.type: \"QCP-x\" is not allowed; write \"LCP\", \"QCP-n\" or \"QCP-n-qscd\""},
        Change{"SealType", "QCP-n-qscd", "QCP-l-qscd",
               "4: profile.qscd.type: \"QCP-l-qscd\" certificates are not issued yet; "
               "write \"LCP\", \"QCP-n\" or \"QCP-n-qscd\""},
        Change{"TypeAsNumber", "\"QCP-n-qscd\"", "1",
               "4: profile.qscd.type: a whole number is not allowed; "
               "write a text in quotes"},
        Change{"UnknownRegime", "\"qualified\"", "\"strict\"",
               "5: profile.qscd.policy: \"strict\" is not allowed; write \"qualified\" or \"trial\""},
        Change{"NoYears", "5 years", "0 years",
               "6: profile.qscd.validity: this is not a number of years that is allowed; "
               "write \"1 year\" to \"5 years\""},
        Change{"SixYears", "5 years", "6 years",
               "6: profile.qscd.validity: this is not a number of years that is allowed; "
               "write \"1 year\" to \"5 years\""},
        Change{"OwnPolicyNotAnOid", "1.3.6.1.4.1.99999.1.2", "1.3",
               "9: profile.qscd.own_policy: this is not an object identifier; "
               "write one of your own arc, such as \"1.3.6.1.4.1.99999.1.2\""},
        Change{"OwnPolicyOfAnotherType", "1.3.6.1.4.1.99999.1.2", "0.4.0.194112.1.0",
               "9: profile.qscd.own_policy: this identifier belongs to a standard; "
               "write one of your own arc; the type's identifier is added by itself"},
        Change{"AnyPolicy", "1.3.6.1.4.1.99999.1.2", "2.5.29.32.0",
               "9: profile.qscd.own_policy: this identifier belongs to a standard; "
               "write one of your own arc; the type's identifier is added by itself"},
        Change{"UsageIsNoSetting", "multisign", "key_usage = [\"digitalSignature\"]\nmultisign",
               "11: profile.qscd.key_usage: unknown key; remove it; known here: keys, modes, multisign, otp, "
               "otp_failures_a_day, own_policy, pds, pin, placement, policy, proofing, sad_seconds, sms, totp, type, "
               "validity"},
        Change{"HttpDisclosure", "https://tsp.example/pds-en", "http://tsp.example/pds-en",
               "33: profile.qscd.pds[1].url: it does not start with https://; "
               "write a public address such as \"https://pki.tsp.example\""},
        Change{"InnerDisclosure", "https://tsp.example/pds-de", "https://tsp.local/pds-de",
               "36: profile.qscd.pds[2].url: the host is an internal name; "
               "write a public address such as \"https://pki.tsp.example\""},
        Change{"NoEnglishDisclosure", "\"en\"", "\"fr\"",
               "31: profile.qscd.pds: no location has lang = \"en\"; add the English one"},
        Change{"TwoInOneLanguage", "\"de\"", "\"en\"",
               "35: profile.qscd.pds[2].lang: \"en\" stands there twice; write one location a language"},
        Change{"CapitalLanguage", "\"de\"", "\"DE\"",
               "35: profile.qscd.pds[2].lang: this is not a language; "
               "write two small letters, such as \"en\""},
        Change{"LanguageWithoutPlace", "url = \"https://tsp.example/pds-de.pdf\"\n", "",
               "34: profile.qscd.pds[2].url: is missing; write a text in quotes"},
        Change{"UnknownInDisclosure", "lang = \"de\"", "lang = \"de\"\nmime = \"pdf\"",
               "36: profile.qscd.pds[2].mime: unknown key; remove it; known here: lang, url"},
        Change{"LcpWithDisclosure", "QCP-n-qscd", "LCP",
               "31: profile.qscd.pds: an LCP certificate carries no disclosure statement; remove this key"},
        Change{"ProofingWithSpace", "live-video", "live video",
               "14: profile.qscd.proofing: this is not the name of a method; "
               "write small letters, digits and dashes, such as \"live-video\""},
        Change{"ProofingTwice", "live-video", "document",
               "14: profile.qscd.proofing: \"document\" stands there twice; write it once"}),
    name_of_change);
INSTANTIATE_TEST_SUITE_P(
    Key, ChangedPolicy,
    ::testing::Values(
        Change{"NoKeys", "keys = [\"P-256\", \"RSA-3072\"]\n", "",
               "3: profile.qscd.keys: is missing; write a list of \"P-256\", \"P-384\", \"RSA-3072\" or \"RSA-4096\""},
        Change{"EmptyKeys", "[\"P-256\", \"RSA-3072\"]", "[]",
               "7: profile.qscd.keys: an empty list is not allowed; "
               "write a list of \"P-256\", \"P-384\", \"RSA-3072\" or \"RSA-4096\""},
        Change{"WeakKey", "RSA-3072", "RSA-2048",
               "7: profile.qscd.keys: \"RSA-2048\" is not allowed; "
               "write a list of \"P-256\", \"P-384\", \"RSA-3072\" or \"RSA-4096\""},
        Change{"KeyTwice", "RSA-3072", "P-256", "7: profile.qscd.keys: \"P-256\" stands there twice; write it once"},
        Change{"Wrapped", "\"resident\"", "\"wrapped\"",
               "8: profile.qscd.placement: \"wrapped\" is not supported yet; write \"resident\""},
        Change{"UnknownPlacement", "\"resident\"", "\"file\"",
               "8: profile.qscd.placement: \"file\" is not allowed; write \"resident\""}),
    name_of_change);
INSTANTIATE_TEST_SUITE_P(
    Factors, ChangedPolicy,
    ::testing::Values(
        Change{
            "AUTHN_01_NoSecondFactor", "otp = [\"totp\", \"sms\"]", "otp = []",
            "15: profile.qscd.otp: a PIN alone does not sign: every signature needs a second, held factor [AUTHN-01]; "
            "write a list of \"totp\" or \"sms\""},
        Change{
            "AUTHN_01_SecondFactorLeftOut", "otp = [\"totp\", \"sms\"]\n", "",
            "3: profile.qscd.otp: a PIN alone does not sign: every signature needs a second, held factor [AUTHN-01]; "
            "write a list of \"totp\" or \"sms\""},
        Change{"AUTHN_01_PinTwice", "[\"totp\", \"sms\"]", "[\"pin\"]",
               "15: profile.qscd.otp: \"pin\" is not allowed; write a list of \"totp\" or \"sms\""},
        Change{"AUTHN_01_NoneAsFactor", "[\"totp\", \"sms\"]", "[\"none\"]",
               "15: profile.qscd.otp: \"none\" is not allowed; write a list of \"totp\" or \"sms\""},
        Change{"RulesWithoutFactor", "[\"totp\", \"sms\"]", "[\"totp\"]",
               "26: profile.qscd.sms: rules for a factor that otp does not list; add \"sms\" to otp, or remove this "
               "table"},
        Change{"AUTHN_02_PinOfThree", "[6, 8]", "[3, 8]",
               "18: profile.qscd.pin.digits: 3 is not allowed; write 4 to 8"},
        Change{"AUTHN_02_PinOfNine", "[6, 8]", "[6, 9]", "18: profile.qscd.pin.digits: 9 is not allowed; write 4 to 8"},
        Change{"PinDigitsBackwards", "[6, 8]", "[8, 6]",
               "18: profile.qscd.pin.digits: the shortest length comes first; write [6, 8]"},
        Change{"PinDigitsAlone", "[6, 8]", "[8]",
               "18: profile.qscd.pin.digits: this is not a shortest and a longest length; "
               "write [6, 8], or [8, 8] for exactly 8"},
        Change{"PinDigitsAsNumber", "[6, 8]", "8",
               "18: profile.qscd.pin.digits: a whole number is not allowed; write a list of numbers from 4 to 8"},
        Change{"AUTHN_07_NoTries", "tries = 5", "tries = 0",
               "19: profile.qscd.pin.tries: 0 is not allowed; write 1 to 10"},
        Change{"AUTHN_07_ElevenTries", "tries = 5", "tries = 11",
               "19: profile.qscd.pin.tries: 11 is not allowed; write 1 to 10"},
        Change{"MisspeltTries", "tries = 5", "trys = 5",
               "19: profile.qscd.pin.trys: unknown key; did you mean \"tries\"?"},
        Change{"PinNotATable", "[profile.qscd.pin]\ndigits = [6, 8]\ntries = 5\n", "pin = 5\n",
               "17: profile.qscd.pin: a whole number is not allowed; write a table"},
        Change{"AUTHN_16_Period45", "period = 30", "period = 45",
               "22: profile.qscd.totp.period: 45 is not allowed; write 30 or 60"},
        Change{"AUTHN_16_Period61", "period = 30", "period = 61",
               "22: profile.qscd.totp.period: 61 is not allowed; write 30 to 60"},
        Change{"TotpOfSeven", "digits = 8", "digits = 7",
               "23: profile.qscd.totp.digits: 7 is not allowed; write 6 or 8"},
        Change{"TotpNegativeTolerance", "tolerance_steps = 2", "tolerance_steps = -1",
               "24: profile.qscd.totp.tolerance_steps: -1 is not allowed; write 0 to 2"},
        Change{"TotpWideTolerance", "tolerance_steps = 2", "tolerance_steps = 3",
               "24: profile.qscd.totp.tolerance_steps: 3 is not allowed; write 0 to 2"},
        Change{"AUTHN_11_SmsOfFive", "digits = 7", "digits = 5",
               "27: profile.qscd.sms.digits: 5 is not allowed; write 6 to 8"},
        Change{"AUTHN_11_SmsOfNine", "digits = 7", "digits = 9",
               "27: profile.qscd.sms.digits: 9 is not allowed; write 6 to 8"},
        Change{"AUTHN_11_SmsTooShort", "life_seconds = 120", "life_seconds = 29",
               "28: profile.qscd.sms.life_seconds: 29 is not allowed; write 30 to 300"},
        Change{"AUTHN_11_SmsTooLong", "life_seconds = 120", "life_seconds = 301",
               "28: profile.qscd.sms.life_seconds: 301 is not allowed; write 30 to 300"},
        Change{"AUTHN_11_SmsNoTries", "tries = 2", "tries = 0",
               "29: profile.qscd.sms.tries: 0 is not allowed; write 1 to 3"},
        Change{"AUTHN_11_SmsFourTries", "tries = 2", "tries = 4",
               "29: profile.qscd.sms.tries: 4 is not allowed; write 1 to 3"},
        Change{"NoFailures", "otp_failures_a_day = 20", "otp_failures_a_day = 0",
               "13: profile.qscd.otp_failures_a_day: 0 is not allowed; write 1 to 30"},
        Change{"TooManyFailures", "otp_failures_a_day = 20", "otp_failures_a_day = 31",
               "13: profile.qscd.otp_failures_a_day: 31 is not allowed; write 1 to 30"}),
    name_of_change);
INSTANTIATE_TEST_SUITE_P(
    Signature, ChangedPolicy,
    ::testing::Values(
        Change{"SAM_03_ExplicitForQscd", "modes = [\"page\"]", "modes = [\"page\", \"explicit\"]",
               "10: profile.qscd.modes: \"explicit\" hands over PIN and code in clear, under policy \"qualified\" only "
               "for "
               "LCP [SAM-03]; write [\"page\"]"},
        Change{"UnknownMode", "[\"page\"]", "[\"implicit\"]",
               "10: profile.qscd.modes: \"implicit\" is not allowed; write a list of \"explicit\" or \"page\""},
        Change{"NoMode", "[\"page\"]", "[]",
               "10: profile.qscd.modes: an empty list is not allowed; write a list of \"explicit\" or \"page\""},
        Change{"NoHash", "multisign = 50", "multisign = 0",
               "11: profile.qscd.multisign: 0 is not allowed; write 1 to 100"},
        Change{"AHashTooMany", "multisign = 50", "multisign = 101",
               "11: profile.qscd.multisign: 101 is not allowed; write 1 to 100"},
        Change{"SAM_06_ShortSad", "sad_seconds = 100", "sad_seconds = 9",
               "12: profile.qscd.sad_seconds: 9 is not allowed; write 10 to 300"},
        Change{"SAM_06_LongSad", "sad_seconds = 100", "sad_seconds = 301",
               "12: profile.qscd.sad_seconds: 301 is not allowed; write 10 to 300"}),
    name_of_change);
TEST_P(ChangedPolicy, DoesNotLoad) {
    const auto policy = parse(changed(GetParam().from, GetParam().to));
    ASSERT_FALSE(policy);
    EXPECT_EQ(policy.error().code, Errc::configuration);
    EXPECT_EQ(policy.error().detail, std::string{"policy.toml:"} + GetParam().refusal);
}

// And at every limit it still loads.
struct Limit {
    const char *name, *from, *to;
    friend void PrintTo(const Limit& limit, std::ostream* out) { *out << limit.name; }
};
struct PolicyAtTheLimit : ::testing::TestWithParam<Limit> {};
INSTANTIATE_TEST_SUITE_P(
    , PolicyAtTheLimit,
    ::testing::Values(
        Limit{"CA_08_OneYear", "5 years", "1 year"}, Limit{"AUTHN_02_FourToEight", "[6, 8]", "[4, 8]"},
        Limit{"AUTHN_02_ExactlyFour", "[6, 8]", "[4, 4]"}, Limit{"AUTHN_03_ExactlyEight", "[6, 8]", "[8, 8]"},
        Limit{"AUTHN_07_OneTry", "tries = 5", "tries = 1"}, Limit{"AUTHN_07_TenTries", "tries = 5", "tries = 10"},
        Limit{"AUTHN_16_Period60", "period = 30", "period = 60"}, Limit{"TotpOfSix", "digits = 8", "digits = 6"},
        Limit{"NoTolerance", "tolerance_steps = 2", "tolerance_steps = 0"},
        Limit{"AUTHN_11_SmsOfSix", "digits = 7", "digits = 6"},
        Limit{"AUTHN_11_SmsOfEight", "digits = 7", "digits = 8"},
        Limit{"AUTHN_11_HalfAMinute", "life_seconds = 120", "life_seconds = 30"},
        Limit{"AUTHN_11_FiveMinutes", "life_seconds = 120", "life_seconds = 300"},
        Limit{"AUTHN_11_OneSmsTry", "tries = 2", "tries = 1"},
        Limit{"AUTHN_11_ThreeSmsTries", "tries = 2", "tries = 3"},
        Limit{"OneFailure", "otp_failures_a_day = 20", "otp_failures_a_day = 1"},
        Limit{"ThirtyFailures", "otp_failures_a_day = 20", "otp_failures_a_day = 30"},
        Limit{"OneHash", "multisign = 50", "multisign = 1"},
        Limit{"AHundredHashes", "multisign = 50", "multisign = 100"},
        Limit{"SAM_06_ShortestSad", "sad_seconds = 100", "sad_seconds = 10"},
        Limit{"SAM_06_LongestSad", "sad_seconds = 100", "sad_seconds = 300"}),
    [](const auto& test) { return test.param.name; });
TEST_P(PolicyAtTheLimit, Loads) {
    const auto policy = parse(changed(GetParam().from, GetParam().to));
    EXPECT_TRUE(policy) << policy.error().detail;
}

Result<Policy> with_modes(std::string_view type, std::string_view regime) {
    return parse("public_base = \"http://pki.tsp.example\"\n[profile.a]\ntype = \"" + std::string{type} + "\"\n" +
                 std::string{regime} + "keys = [\"P-256\"]\notp = [\"totp\"]\nmodes = [\"explicit\"]\n" +
                 (type == "LCP" ? "" : "pds = [{lang = \"en\", url = \"https://tsp.example/pds-en.pdf\"}]\n"));
}

TEST(Policy, SAM_03_ExplicitModeNeedsTrialOrLcp) {
    EXPECT_TRUE(with_modes("LCP", ""));
    EXPECT_TRUE(with_modes("LCP", "policy = \"trial\"\n"));
    EXPECT_TRUE(with_modes("QCP-n", "policy = \"trial\"\n"));
    EXPECT_TRUE(with_modes("QCP-n-qscd", "policy = \"trial\"\n"));
    EXPECT_FALSE(with_modes("QCP-n", "policy = \"qualified\"\n"));
    EXPECT_FALSE(with_modes("QCP-n-qscd", "policy = \"qualified\"\n"));
    EXPECT_FALSE(with_modes("QCP-n", ""));
    EXPECT_FALSE(with_modes("QCP-n-qscd", ""));
}

TEST(Policy, CA_10_QualifiedTypesNeedADisclosureStatement) {
    for (const auto* type : {"QCP-n", "QCP-n-qscd"}) {
        const auto policy = parse("public_base = \"http://pki.tsp.example\"\n[profile.a]\ntype = \"" +
                                  std::string{type} + "\"\nkeys = [\"P-256\"]\notp = [\"totp\"]\n");
        ASSERT_FALSE(policy);
        EXPECT_EQ(policy.error().detail, "policy.toml:2: profile.a.pds: a " + std::string{type} +
                                             " certificate needs a disclosure statement; "
                                             "write [{lang = \"en\", url = \"https://tsp.example/pds-en.pdf\"}]");
    }
}

TEST(Policy, NamesLineAndColumnOfAKeyWrittenTwice) {
    const auto policy = parse(changed("tries = 5\n", "tries = 5\ntries = 6\n"));
    ASSERT_FALSE(policy);
    EXPECT_EQ(policy.error().code, Errc::configuration);
    EXPECT_THAT(policy.error().detail, ::testing::MatchesRegex("policy.toml:20:[0-9]+: this is not TOML: .*tries.*"));
}

TEST(Policy, NeedsAProfile) {
    const std::string base = "public_base = \"http://pki.tsp.example\"\n";
    EXPECT_EQ(parse(base).error().detail,
              "policy.toml:1: profile: there is no profile; write at least one [profile.NAME] table");
    EXPECT_EQ(parse(base + "[profile]\n").error().detail,
              "policy.toml:2: profile: there is no profile; write at least one [profile.NAME] table");
}

TEST(Policy, NamesTheFileThatIsAbsent) {
    const auto policy = Policy::load("/nowhere/policy.toml");
    ASSERT_FALSE(policy);
    EXPECT_EQ(policy.error().code, Errc::configuration);
    EXPECT_THAT(policy.error().detail, ::testing::HasSubstr("/nowhere/policy.toml"));
}

TEST(Presets, TrialLoads) {
    const auto policy = load("policy/presets/trial.toml");
    ASSERT_EQ(policy.profiles().size(), 3u);
    for (const auto& [name, profile] : policy.profiles()) {
        EXPECT_EQ(profile.regime(), Regime::trial) << name;
        EXPECT_TRUE(profile.allows(Mode::explicit_mode)) << name;
    }
    EXPECT_TRUE(policy.has_trial());
}

TEST(Presets, QualifiedLoadsAndHasNoTrial) {
    const auto policy = load("policy/presets/qualified.toml");
    EXPECT_FALSE(policy.has_trial());
    const auto* qscd = policy.find("signature-on-qscd");
    ASSERT_TRUE(qscd);
    EXPECT_EQ(qscd->type(), CertificateType::qcp_n_qscd);
    EXPECT_EQ(qscd->totp()->period, 60s);
    EXPECT_EQ(qscd->pin().min_digits, 6u);
    EXPECT_EQ(qscd->pin().max_digits, 8u);
    EXPECT_THAT(qscd->modes(), ElementsAre(Mode::page));
    EXPECT_EQ(policy.find("signature-on-qscd-pin8")->pin().min_digits, 8u);
    EXPECT_EQ(policy.find("signature")->type(), CertificateType::qcp_n);
    EXPECT_EQ(policy.find("lightweight")->type(), CertificateType::lcp);
}

TEST(Presets, DemoHasTheProfilesOfItsSigners) {
    const auto policy = load("packaging/demo/policy.toml");
    EXPECT_EQ(policy.public_base(), "http://pki.qscd-test.example");
    ASSERT_EQ(policy.profiles().size(), 4u);
    struct Row {
        const char* name;
        CertificateType type;
        Regime regime;
        const char* expression;
        std::vector<Mode> modes;
    };
    const std::vector both{Mode::explicit_mode, Mode::page}, page_alone{Mode::page};
    for (const auto& row :
         {Row{"qscd-totp", CertificateType::qcp_n_qscd, Regime::trial, "PIN AND TOTP", both},
          Row{"lcp-totp", CertificateType::lcp, Regime::trial, "PIN AND TOTP", both},
          Row{"qscd-sms", CertificateType::qcp_n_qscd, Regime::trial, "PIN AND SMS", both},
          Row{"qscd-page", CertificateType::qcp_n_qscd, Regime::qualified, "PIN AND TOTP", page_alone}}) {
        const auto* profile = policy.find(row.name);
        ASSERT_TRUE(profile) << row.name;
        EXPECT_EQ(profile->type(), row.type) << row.name;
        EXPECT_EQ(profile->regime(), row.regime) << row.name;
        EXPECT_THAT(texts(profile->expressions()), ElementsAre(row.expression)) << row.name;
        EXPECT_EQ(profile->modes(), row.modes) << row.name;
        EXPECT_THAT(profile->key_kinds(),
                    ElementsAre(KeyKind::p256, KeyKind::p384, KeyKind::rsa3072, KeyKind::rsa4096));
        EXPECT_EQ(profile->pin().min_digits, 4u);
        EXPECT_EQ(profile->pin().max_digits, 8u);
        EXPECT_EQ(profile->pin().tries, 5u);
        EXPECT_EQ(profile->lifetime(), Lifetime::five_years());
        EXPECT_EQ(profile->multisign(), 100u);
        if (profile->totp()) {
            EXPECT_EQ(profile->totp()->period, 30s);
            EXPECT_EQ(profile->totp()->digits, 6u);
        }
    }
}

}  // namespace
}  // namespace qscd::policy
