// A deployment's tokens, opened as its module registry says, with real SoftHSM2 tokens; and what is attested of them.
#include "hsm/deployed/deployed_modules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::hsm {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

const TimePoint noon = std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h;

std::string registry_text() { return read_file(QSCD_SOURCE_DIR "/hsm-config/modules/softhsm2.toml").value(); }

std::string changed(std::string text, std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

// A deployment's folder with one token, as `qscd init` lays it out.
struct Deployed : ::testing::Test {
    void SetUp() override {
        for (const auto* name : {"modules", "secrets", "tokens/samd/tokens"})
            std::filesystem::create_directories(folder / name);
        std::ofstream{folder / "tokens/samd/softhsm2.conf"}
            << "directories.tokendir = " << (folder / "tokens/samd/tokens").string()
            << "\nobjectstore.backend = file\nlog.level = ERROR\n";
        write("secrets/sam.pin", "1234\n");
        registry(registry_text());
        configure("");
        auto modules = DeployedModules{deployment(), "samd"};
        const auto wired = modules.of().value();
        ASSERT_TRUE(SoftToken::initialise(*wired.module, "sam"));
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    void write(const char* file, std::string_view text) const { ASSERT_TRUE(write_file(folder / file, text)); }
    void registry(std::string_view text) const { write("modules/softhsm2.toml", text); }
    void configure(const std::string& module) {
        write("qscd.toml", "[service]\nname = \"n\"\nregion = \"EU\"\n[module]\nentry = \"softhsm2\"\nlibrary = \"" +
                               SoftToken::library().string() + "\"\n" + module);
    }
    const policy::Deployment& deployment() {
        loaded.push_back(std::make_unique<policy::Deployment>(policy::Deployment::load(folder).value()));
        return *loaded.back();
    }
    Result<std::unique_ptr<Token>> open(std::vector<Use> uses = {Use::sam}, std::shared_ptr<AttestedPlace> place = {}) {
        DeployedModules modules{deployment(), "samd"};
        QSCD_TRY(const auto wired, modules.of());
        return modules.open(wired, "sam", 1, std::move(uses), std::move(place));
    }
    std::filesystem::path folder = std::filesystem::temp_directory_path() /
                                   ("qscd-deployed-" + std::to_string(::getpid()));
    std::vector<std::unique_ptr<policy::Deployment>> loaded;
};

TEST_F(Deployed, ATokenIsOpenedWithTheRegistrysEnvironmentAndThePinFromSecrets) {
    const auto token = open();
    ASSERT_TRUE(token) << describe(token.error());
    EXPECT_TRUE(token.value()->reachable());
}

TEST_F(Deployed, ALibraryIsLoadedOnce) {
    DeployedModules modules{deployment(), "samd"};
    EXPECT_EQ(modules.of().value().module, modules.of("softhsm2").value().module);
    const auto absent = modules.of("acme");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, Errc::configuration);
    EXPECT_THAT(absent.error().detail, HasSubstr("no entry acme"));
}

struct Change {
    const char *name, *from, *to, *says;
    friend void PrintTo(const Change& row, std::ostream* out) { *out << row.name; }
};
struct ChangedEntry : Deployed, ::testing::WithParamInterface<Change> {};
INSTANTIATE_TEST_SUITE_P(
    , ChangedEntry,
    ::testing::Values(
        Change{"Firmware", "[\"2.6\"]", "[\"2.5\", \"2.7\"]",
               "token sam reports firmware \"2.6\"; the module registry's entry softhsm2 says \"2.5, 2.7\""},
        Change{"Model", "\"SoftHSM v2\"", "\"SoftHSM v3\"", "reports model \"SoftHSM v2\""},
        Change{"Manufacturer", "\"SoftHSM project\"", "\"Acme\"", "manufacturer \"SoftHSM project\""}),
    [](const auto& test) { return test.param.name; });
TEST_P(ChangedEntry, QSCD_04_RefusesTheTokenAsAMistakeOfConfiguration) {
    registry(changed(registry_text(), GetParam().from, GetParam().to));
    const auto token = open();
    ASSERT_FALSE(token);
    EXPECT_EQ(token.error().code, Errc::configuration);
    EXPECT_THAT(token.error().detail, HasSubstr(GetParam().says));
}

TEST_F(Deployed, ATokenThatIsAwayIsNoMistakeAndComesLater) {
    const auto there = folder / "tokens/samd/tokens", hidden = folder / "hidden";
    std::filesystem::rename(there, hidden);
    std::filesystem::create_directory(there);
    const auto token = open();
    ASSERT_TRUE(token) << describe(token.error());
    EXPECT_FALSE(token.value()->reachable());
    EXPECT_EQ(token.value()->random(8).error().code, Errc::token_away);
    std::filesystem::remove(there);
    std::filesystem::rename(hidden, there);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!token.value()->reachable() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_TRUE(token.value()->random(8));
}

// The same token comes back, and says that it is of another make: it was exchanged behind our back.
TEST_F(Deployed, QSCD_04_IsAskedAgainWhenATokenComesBack) {
    const auto there = folder / "tokens/samd/tokens", hidden = folder / "hidden";
    DeployedModules modules{deployment(), "samd"};
    const auto wired = modules.of().value();
    std::atomic<int> asked = 0;
    auto wanted = requirements_of(wired.wiring.entry, {Use::sam});
    wanted.model = [&](const TokenInfo&) -> Result<void> {
        if (++asked > 1) return Error{Errc::configuration, "another make"};
        return success();
    };
    const auto token = Token::open(wired.module, "sam", SecretBytes{"1234"}, 1, require(std::move(wanted))).value();
    EXPECT_EQ(asked, 1);
    std::filesystem::rename(there, hidden);
    const auto away = [&] {
        auto key = token->generate_hmac_key(CkaId::from(Bytes(16, 7)).value(), "k");
        return !key && !token->reachable();
    };
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!away() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    std::filesystem::rename(hidden, there);
    while (asked < 2 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    EXPECT_GE(asked, 2);
    EXPECT_EQ(token->random(8).error().code, Errc::token_away);
}

// --- what is attested ---

policy::ModuleEntry certified(const Sha256Digest& build, const Sha256Digest& configuration) {
    const auto text = changed(registry_text(), "trial                = true",
                              "trial = false\ncertificate = \"C\"\nfirmware = \"2.6\"\nsam_build = \"" + build.hex() +
                                  "\"\nconfiguration = \"" + configuration.hex() + "\"\nexpires = 2030-12-31");
    return policy::ModuleRegistry::parse(text, "softhsm2.toml", "softhsm2").value();
}

TEST_F(Deployed, QSCD_03_AKeyIsAttestedWithModelFirmwareConfigurationAndBuild) {
    const auto build = build_of_this_process().value();
    const auto place = std::make_shared<AttestedPlace>(
        policy::ModuleRegistry::parse(registry_text(), "softhsm2.toml", "softhsm2").value(), build, sha256(Bytes{1}),
        true);
    auto token = open({Use::elliptic_signers}, place).value();
    auto key = token->generate(KeyKind::p256, CkaId::from(Bytes(16, 1)).value(), "k").value();
    place->attest(key);
    const std::map<std::string, std::string> said(key.attributes.begin(), key.attributes.end());
    EXPECT_EQ(said.at("module.model"), "SoftHSM v2");
    EXPECT_EQ(said.at("module.firmware"), "2.6");
    EXPECT_EQ(said.at("module.configuration"), sha256(Bytes{1}).hex());
    EXPECT_EQ(said.at("sam.build"), build.hex());
    EXPECT_EQ(said.at("CKA_NEVER_EXTRACTABLE"), "true");
    EXPECT_EQ(build, sha256(view_of(read_file("/proc/self/exe", std::size_t{1} << 30).value())));
}

TEST(AttestedPlace, QSCD_03_CountsForTheCertifiedCombinationAlone) {
    const auto build = sha256(Bytes{1}), configuration = sha256(Bytes{2}), other = sha256(Bytes{3});
    const auto entry = certified(build, configuration);
    const auto counts = [&](const Sha256Digest& b, const Sha256Digest& c, const char* firmware, TimePoint at) {
        AttestedPlace place{entry, b, c, false};
        if (*firmware != 0) place.saw_firmware(firmware);
        return place.counts_as_qscd(at);
    };
    EXPECT_TRUE(counts(build, configuration, "2.6", noon));
    EXPECT_FALSE(counts(other, configuration, "2.6", noon)) << "[QSCD-04] another build";
    EXPECT_FALSE(counts(build, other, "2.6", noon));
    EXPECT_FALSE(counts(build, configuration, "2.7", noon));
    EXPECT_FALSE(counts(build, configuration, "", noon)) << "not seen yet";
    EXPECT_FALSE(counts(build, configuration, "2.6", noon + std::chrono::years{5}));
}

TEST(AttestedPlace, TheConfigurationIsTheLibraryItsStringAndItsVariables) {
    auto entry = policy::ModuleRegistry::parse(registry_text(), "softhsm2.toml", "softhsm2").value();
    entry.library = SoftToken::library();
    const auto before = configuration_of(entry).value();
    EXPECT_EQ(configuration_of(entry).value(), before);
    const auto change = [&](auto make) {
        auto other = entry;
        make(other);
        return configuration_of(other).value();
    };
    EXPECT_NE(change([](auto& e) { e.library = "/proc/self/exe"; }), before);
    EXPECT_NE(change([](auto& e) { e.reserved = "x"; }), before);
    EXPECT_NE(change([](auto& e) { e.environment["X"] = "1"; }), before);
    EXPECT_EQ(change([](auto& e) { e.concurrency = 7; }), before);
    entry.library = "/nowhere/libpkcs11.so";
    EXPECT_THAT(configuration_of(entry).error().detail, HasSubstr("/nowhere/libpkcs11.so"));
}

}  // namespace
}  // namespace qscd::hsm
