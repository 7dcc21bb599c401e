#include "policy/module_registry.hpp"

#include <fstream>
#include <gtest/gtest.h>

namespace qscd::policy {
namespace {

using namespace std::chrono_literals;

const std::string digest_a(64, 'a');
const std::string digest_b(64, 'b');
const std::string certified =
    "name = \"acme\"\n"
    "library = \"/opt/acme/p11.so\"\n"
    "model = \"Acme HSM 9\"\n"
    "manufacturer = \"Acme\"\n"
    "concurrency = 64\n"
    "firmware = [\"7.4\", \"7.10\"]\n"
    "[qscd]\n"
    "trial = false\n"
    "certificate = \"ACME-2026-1\"\n"
    "firmware = \"7.4\"\n"
    "sam_build = \"" +
    digest_a +
    "\"\n"
    "configuration = \"" +
    digest_b +
    "\"\n"
    "expires = 2030-12-31\n";

Result<ModuleEntry> parse(std::string_view text) { return ModuleRegistry::parse(text, "acme.toml", "acme"); }

ModuleEntry acme() { return parse(certified).value(); }

ObservedModule acme_before_us() {
    return {"Acme HSM 9      ", "7.4", *Sha256Digest::from_hex(digest_a), *Sha256Digest::from_hex(digest_b)};
}
const TimePoint noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h;

std::string changed(std::string text, std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

TEST(ModuleRegistry, KnowsSoftHsmAsATrialThatDoesNotSync) {
    const auto registry = ModuleRegistry::load(QSCD_SOURCE_DIR "/hsm-config/modules");
    ASSERT_TRUE(registry) << registry.error().detail;
    const auto* softhsm = registry.value().find("softhsm2");
    ASSERT_TRUE(softhsm);
    EXPECT_EQ(softhsm->library, "/usr/lib/softhsm/libsofthsm2.so");
    EXPECT_EQ(softhsm->model, "SoftHSM v2");
    EXPECT_EQ(softhsm->manufacturer, "SoftHSM project");
    EXPECT_FALSE(softhsm->syncs);
    EXPECT_EQ(softhsm->firmware, (std::vector<std::string>{"2.6"}));
    const auto start = softhsm->start_in("/d/tokens/samd");
    EXPECT_EQ(start.environment.at("SOFTHSM2_CONF"), "/d/tokens/samd/softhsm2.conf");
    EXPECT_EQ(start.durable_folder, "/d/tokens/samd/tokens");
    EXPECT_EQ(start.reserved, "");
    EXPECT_FALSE(softhsm->certification);
    ASSERT_TRUE(softhsm->qscd);
    EXPECT_TRUE(softhsm->qscd->trial);
    EXPECT_FALSE(softhsm->qscd->external_key_storage);
    EXPECT_FALSE(registry.value().find("other"));
}

TEST(ModuleRegistry, QSCD_03_ATrialCountsOnlyUnderATestCa) {
    const auto registry = ModuleRegistry::load(QSCD_SOURCE_DIR "/hsm-config/modules").value();
    auto observed = acme_before_us();
    observed.model = "SoftHSM v2";
    EXPECT_TRUE(registry.find("softhsm2")->counts_as_qscd(observed, noon, true));
    EXPECT_FALSE(registry.find("softhsm2")->counts_as_qscd(observed, noon, false));
}

TEST(ModuleEntry, QSCD_03_CountsWhenEverythingMatches) {
    EXPECT_EQ(acme().qscd->certificate, "ACME-2026-1");
    EXPECT_TRUE(acme().syncs);
    EXPECT_EQ(acme().concurrency, 64u);
    EXPECT_TRUE(acme().counts_as_qscd(acme_before_us(), noon, false));
    EXPECT_TRUE(acme().counts_as_qscd(acme_before_us(), noon, true));
}

TEST(ModuleEntry, QSCD_03_DoesNotCountWithoutAnEntry) {
    const auto entry = parse(certified.substr(0, certified.find("[qscd]"))).value();
    EXPECT_FALSE(entry.qscd);
    EXPECT_FALSE(entry.counts_as_qscd(acme_before_us(), noon, true));
}

struct Difference {
    const char* name;
    void (*make)(ObservedModule&);
    friend void PrintTo(const Difference& row, std::ostream* out) { *out << row.name; }
};
struct DifferentModule : ::testing::TestWithParam<Difference> {};
INSTANTIATE_TEST_SUITE_P(
    , DifferentModule,
    ::testing::Values(Difference{"Model", [](auto& observed) { observed.model = "Acme HSM 8"; }},
                      Difference{"Firmware", [](auto& observed) { observed.firmware = "7.5"; }},
                      Difference{"SamBuild", [](auto& observed) { observed.sam_build = observed.configuration; }},
                      Difference{"Configuration", [](auto& observed) { observed.configuration = observed.sam_build; }}),
    [](const auto& test) { return test.param.name; });
TEST_P(DifferentModule, QSCD_03_DoesNotCount) {
    auto observed = acme_before_us();
    GetParam().make(observed);
    EXPECT_FALSE(acme().counts_as_qscd(observed, noon, true));
}

TEST(ModuleEntry, QSCD_03_CountsThroughTheLastDayOnly) {
    const TimePoint over = std::chrono::sys_days{std::chrono::year{2031} / 1 / 1};
    EXPECT_TRUE(acme().counts_as_qscd(acme_before_us(), over - 1s, false));
    EXPECT_FALSE(acme().counts_as_qscd(acme_before_us(), over, false));
}

// --- what a module reports, and the entry says ---

const ReportedToken acme_token{"signers", "Acme", "Acme HSM 9", "7.10"};

TEST(ModuleEntry, QSCD_04_AcceptsATokenThatReportsWhatItSays) { EXPECT_TRUE(acme().check(acme_token)); }

struct OtherToken {
    const char *name, *what, *says, *wanted;
    std::string ReportedToken::* field;
    friend void PrintTo(const OtherToken& row, std::ostream* out) { *out << row.name; }
};
struct TokenOfAnotherKind : ::testing::TestWithParam<OtherToken> {};
INSTANTIATE_TEST_SUITE_P(
    , TokenOfAnotherKind,
    ::testing::Values(OtherToken{"Manufacturer", "manufacturer", "Acme Ltd", "Acme", &ReportedToken::manufacturer},
                      OtherToken{"Model", "model", "Acme HSM 8", "Acme HSM 9", &ReportedToken::model},
                      OtherToken{"Firmware", "firmware", "7.1", "7.4, 7.10", &ReportedToken::firmware},
                      OtherToken{"NoFirmware", "firmware", "", "7.4, 7.10", &ReportedToken::firmware}),
    [](const auto& test) { return test.param.name; });
TEST_P(TokenOfAnotherKind, QSCD_04_IsRefusedAndBothAreNamed) {
    auto token = acme_token;
    token.*GetParam().field = GetParam().says;
    const auto checked = acme().check(token);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Errc::configuration);
    EXPECT_EQ(checked.error().detail, std::string{"token signers reports "} + GetParam().what + " \"" +
                                          GetParam().says + "\"; the module registry's entry acme says \"" +
                                          GetParam().wanted + "\" [QSCD-04]");
}

TEST(ModuleEntry, IsStartedWithTheTokenFolderFilledIn) {
    const auto entry = parse(changed(certified, "[qscd]",
                                     "reserved = \"configdir='sql:{tokens}' flags=\"\n"
                                     "[environment]\nACME_CONF = \"{tokens}/a:{tokens}/b\"\nACME_PORT = "
                                     "\"7\"\nAcmeConfigurationPath = \"/etc\"\n"
                                     "[quirks]\nsyncs = false\nfiles = \"{tokens}/store\"\n[qscd]"))
                           .value();
    const auto start = entry.start_in("/d/tokens/cad");
    EXPECT_EQ(start.library, "/opt/acme/p11.so");
    EXPECT_EQ(start.reserved, "configdir='sql:/d/tokens/cad' flags=");
    EXPECT_EQ(start.environment, (std::map<std::string, std::string>{{"ACME_CONF", "/d/tokens/cad/a:/d/tokens/cad/b"},
                                                                     {"ACME_PORT", "7"},
                                                                     {"AcmeConfigurationPath", "/etc"}}));
    EXPECT_EQ(start.durable_folder, "/d/tokens/cad/store");
    EXPECT_EQ(acme().start_in("/d").durable_folder, "");
}

// --- its certificate ---

const std::string certification =
    "[certification]\ncertificate = \"CC-4711\"\nfirmware = [\"7.10\"]\nconfiguration = \"guidance 1.2, mode A\"\n"
    "expires = 2030-12-31\n[qscd]";

TEST(ModuleEntry, QSCD_04_RecordsCertificateFirmwareConfigurationAndExpiry) {
    const auto entry = parse(changed(certified, "[qscd]", certification)).value();
    ASSERT_TRUE(entry.certification);
    EXPECT_EQ(entry.certification->certificate, "CC-4711");
    EXPECT_EQ(entry.certification->configuration, "guidance 1.2, mode A");
    const TimePoint over = std::chrono::sys_days{std::chrono::year{2031} / 1 / 1};
    EXPECT_TRUE(entry.certification->covers("7.10", over - 1s));
    EXPECT_FALSE(entry.certification->covers("7.10", over));
    EXPECT_FALSE(entry.certification->covers("7.4", noon));
}

TEST(ModuleEntry, QSCD_03_ACertifiedModuleAloneIsNoQscd) {
    const auto text = changed(certified, "[qscd]", certification);
    const auto entry = parse(text.substr(0, text.find("[qscd]"))).value();
    EXPECT_TRUE(entry.certification);
    EXPECT_FALSE(entry.counts_as_qscd(acme_before_us(), noon, true));
}

struct Change {
    const char *name, *from, *to, *refusal;
    friend void PrintTo(const Change& row, std::ostream* out) { *out << row.name; }
};
struct ChangedModule : ::testing::TestWithParam<Change> {};
INSTANTIATE_TEST_SUITE_P(
    , ChangedModule,
    ::testing::Values(
        Change{"OtherName", "\"acme\"", "\"other\"", "acme.toml:1: name: this is not the file's name; write \"acme\""},
        Change{"RelativeLibrary", "/opt/", "opt/",
               "acme.toml:2: library: this is not an absolute path; write the path of the PKCS#11 library"},
        Change{"MisspeltLibrary", "library", "libary", "acme.toml:2: libary: unknown key; did you mean \"library\"?"},
        Change{
            "LongModel", "Acme HSM 9", "Acme HSM 9 is too",
            "acme.toml:3: model: this is not as C_GetTokenInfo reports it, without padding; write 1 to 16 characters"},
        Change{
            "PaddedModel", "Acme HSM 9", "Acme HSM 9  ",
            "acme.toml:3: model: this is not as C_GetTokenInfo reports it, without padding; write 1 to 16 characters"},
        Change{"NoModel", "model = \"Acme HSM 9\"\n", "", "acme.toml:1: model: is missing; write a text in quotes"},
        Change{"NoConcurrency", "64", "0", "acme.toml:5: concurrency: 0 is not allowed; write 1 to 1024"},
        Change{"TooMuchConcurrency", "64", "1025", "acme.toml:5: concurrency: 1025 is not allowed; write 1 to 1024"},
        Change{"UnknownQuirk", "[qscd]", "[quirks]\nsync = true\n[qscd]",
               "acme.toml:8: quirks.sync: unknown key; did you mean \"syncs\"?"},
        Change{"NoFirmware", "firmware = [\"7.4\", \"7.10\"]\n", "",
               "acme.toml:1: firmware: is missing; write a list of texts in quotes"},
        Change{"EmptyFirmware", "[\"7.4\", \"7.10\"]", "[]",
               "acme.toml:6: firmware: this is no list of versions; write [\"2.6\"], as C_GetTokenInfo reports it"},
        Change{"FirmwareThatIsNone", "\"7.10\"", "\"7.256\"",
               "acme.toml:6: firmware: this is no list of versions; write [\"2.6\"], as C_GetTokenInfo reports it"},
        Change{"OtherBraces", "[qscd]", "reserved = \"configdir={token}\"\n[qscd]",
               "acme.toml:7: reserved: braces that mean nothing; write {tokens} for the daemon's token folder"},
        Change{"VariableWithADash", "[qscd]", "[environment]\nacme-port = \"1\"\n[qscd]",
               "acme.toml:8: environment.acme-port: this is no name of a variable; write letters, digits and _"},
        Change{"VariableWithADigitFirst", "[qscd]", "[environment]\n7port = \"1\"\n[qscd]",
               "acme.toml:8: environment.7port: this is no name of a variable; write letters, digits and _"},
        Change{"VariableThatIsNoText", "[qscd]", "[environment]\nACME = 1\n[qscd]",
               "acme.toml:8: environment.ACME: a whole number is not allowed; write a text in quotes"},
        Change{"NobodySyncs", "[qscd]", "[quirks]\nsyncs = false\n[qscd]",
               "acme.toml:7: quirks.files: is missing; write a text in quotes"},
        Change{"SyncedTwice", "[qscd]", "[quirks]\nfiles = \"{tokens}\"\n[qscd]",
               "acme.toml:8: quirks.files: a module that syncs what it writes needs no help; "
               "leave it out, or write syncs = false"},
        Change{"CertificateOfAnotherFirmware", "[qscd]",
               "[certification]\ncertificate = \"C\"\nfirmware = [\"9.9\"]\nconfiguration = \"c\"\n"
               "expires = 2030-12-31\n[qscd]",
               "acme.toml:9: certification.firmware: a certified version is not among those that the entry accepts; "
               "add it to the entry's firmware"},
        Change{"CertificateForever", "[qscd]",
               "[certification]\ncertificate = \"C\"\nfirmware = [\"7.4\"]\nconfiguration = \"c\"\n[qscd]",
               "acme.toml:7: certification.expires: is missing; write the certificate's last day: 2030-12-31"},
        Change{"TrialNotSaid", "trial = false\n", "", "acme.toml:7: qscd.trial: is missing; write true or false"},
        Change{"CertifiedWithoutCertificate", "certificate = \"ACME-2026-1\"\n", "",
               "acme.toml:7: qscd.certificate: is missing, and an entry that is no trial needs it [QSCD-03]; "
               "add it, or write trial = true"},
        Change{"CertifiedForever", "expires = 2030-12-31\n", "",
               "acme.toml:7: qscd.expires: is missing, and an entry that is no trial needs it [QSCD-03]; "
               "add it, or write trial = true"},
        Change{"CertifiedForFirmwareThatIsRefused", "firmware = \"7.4\"", "firmware = \"9.9\"",
               "acme.toml:10: qscd.firmware: this version is not among those that the entry accepts; "
               "add it to the entry's firmware"},
        Change{"ShortDigest", "\"aa", "\"a",
               "acme.toml:11: qscd.sam_build: this is not a SHA-256 digest; write 64 hex digits"},
        Change{"DateInQuotes", "2030-12-31", "\"2030-12-31\"",
               "acme.toml:13: qscd.expires: a text is not allowed; write a date without quotes, such as 2030-12-31"}),
    [](const auto& test) { return test.param.name; });
TEST_P(ChangedModule, IsRefused) {
    const auto entry = parse(changed(certified, GetParam().from, GetParam().to));
    ASSERT_FALSE(entry);
    EXPECT_EQ(entry.error().code, Errc::configuration);
    EXPECT_EQ(entry.error().detail, GetParam().refusal);
}

TEST(ModuleRegistry, RefusesAFolderThatIsAbsentOrEmpty) {
    const auto folder = std::filesystem::path{::testing::TempDir()} / "qscd_policy_registry";
    std::filesystem::remove_all(folder);
    EXPECT_EQ(ModuleRegistry::load(folder).error().code, Errc::configuration);
    std::filesystem::create_directory(folder);
    EXPECT_EQ(ModuleRegistry::load(folder).error().detail,
              folder.string() + ": no module here; write one TOML file a model");
    std::ofstream{folder / "acme.toml"} << certified;
    std::ofstream{folder / "notes.txt"} << "not a module";
    EXPECT_EQ(ModuleRegistry::load(folder).value().modules().size(), 1u);
    std::ofstream{folder / "bad.toml"} << "name = 1\n";
    EXPECT_FALSE(ModuleRegistry::load(folder));
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace qscd::policy
