#include "policy/deployment.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.hpp"

namespace qscd::policy {
namespace {

using testing::HasSubstr;

class StoreOf : public testing::Test {
protected:
    void SetUp() override {
        folder_ = std::filesystem::temp_directory_path() / ("qscd-deployment-" + std::to_string(getpid()));
        std::filesystem::create_directories(folder_ / "secrets");
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    Result<Deployment> with(const std::string& store) const {
        EXPECT_TRUE(write_file(folder_ / "qscd.toml",
                               "[service]\nname = \"n\"\nregion = \"EU\"\n[module]\nentry = \"e\"\n"
                               "library = \"l\"\n" +
                                   store));
        return Deployment::load(folder_);
    }
    std::filesystem::path folder_;
};

TEST_F(StoreOf, EachDaemonIsAFileWhereNothingIsSaid) {
    const auto deployment = with("").value();
    for (const auto* daemon : daemons_with_stores) {
        const auto place = deployment.database(daemon).value();
        ASSERT_NE(place.file(), nullptr);
        EXPECT_EQ(*place.file(), folder_ / "db" / daemon / (std::string{daemon} + ".sqlite"));
    }
}

TEST_F(StoreOf, AllDaemonsIsOneDatabaseWithARoleAndASchemaForEach) {
    const auto deployment = with("[store]\nurl = \"postgresql:///qscd\"\n").value();
    for (const auto* daemon : daemons_with_stores) {
        const auto place = deployment.database(daemon).value();
        ASSERT_NE(place.server(), nullptr);
        EXPECT_EQ(place.server()->role, std::string{"qscd_"} + daemon);
        EXPECT_EQ(place.server()->schema, std::string{"qscd_"} + daemon);
        EXPECT_EQ(place.server()->password, nullptr);
        EXPECT_THAT(place.server()->origin, HasSubstr("qscd.toml:8: store.url"));
    }
}

TEST_F(StoreOf, OneDaemonMayBeElsewhere) {
    const auto deployment = with(
                                "[store]\nprefix = \"second_\"\nurl = \"postgresql:///qscd\"\n"
                                "samd = \"postgresql://keeper@localhost:7/sam?schema=cells\"\n")
                                .value();
    const auto sam = deployment.database("samd").value(), ra = deployment.database("rad").value();
    EXPECT_EQ(sam.text(), "postgresql://keeper@localhost:7/sam?schema=cells");
    EXPECT_THAT(sam.server()->origin, HasSubstr("store.samd"));
    EXPECT_EQ(ra.server()->role, "second_rad");
    const auto alone = with("[store]\nsamd = \"postgresql:///qscd\"\n").value();
    EXPECT_NE(alone.database("samd").value().server(), nullptr);
    EXPECT_NE(alone.database("rad").value().file(), nullptr);
}

TEST_F(StoreOf, ItsPasswordStandsInAFileOfItsOwn) {
    ASSERT_TRUE(write_file(folder_ / "secrets" / "store-samd", "hunter2\n", 0600));
    const auto deployment = with("[store]\nurl = \"postgresql:///qscd\"\n").value();
    const auto place = deployment.database("samd").value();
    EXPECT_EQ(text_of(place.server()->password->reveal()), "hunter2");
    EXPECT_EQ(place.text().find("hunter2"), std::string::npos);
    EXPECT_EQ(deployment.database("rad").value().server()->password, nullptr);
}

struct Mistake {
    const char *name, *store, *says;
};
class AStore : public StoreOf, public testing::WithParamInterface<Mistake> {};
INSTANTIATE_TEST_SUITE_P(
    , AStore,
    testing::Values(
        Mistake{"WithAPassword", "url = \"postgresql://x:hunter2@localhost/qscd\"", ":8: store.url: a password"},
        Mistake{"OfAnotherKind", "url = \"mysql://localhost/qscd\"", ":8: store.url: "},
        Mistake{"WithoutAUrl", "prefix = \"qscd_\"", ":7: store: it names no store"},
        Mistake{"OfNoDaemon", "statusd = \"postgresql:///qscd\"", "store.statusd: unknown key"},
        Mistake{"WithAPrefixThatIsNoName", "url = \"postgresql:///qscd\"\nprefix = \"A-\"", ":9: store.prefix"},
        Mistake{"AcrossANetworkInClear", "rad = \"postgresql://db.example/qscd\"", ":8: store.rad: "}),
    [](const auto& each) { return each.param.name; });
TEST_P(AStore, IsRefusedWithLineAndKey) {
    const auto deployment = with(std::string{"[store]\n"} + GetParam().store + "\n");
    ASSERT_FALSE(deployment);
    EXPECT_EQ(deployment.error().code, Errc::configuration);
    EXPECT_THAT(deployment.error().detail, HasSubstr(GetParam().says));
    EXPECT_THAT(deployment.error().detail, testing::Not(HasSubstr("hunter2")));
}

// --- [module] ---

class ModuleOf : public StoreOf {
protected:
    Result<Deployment> deployment(const std::string& top, const std::string& module) const {
        std::filesystem::create_directories(folder_ / "modules");
        EXPECT_TRUE(write_file(folder_ / "modules" / "acme.toml",
                               "name = \"acme\"\nlibrary = \"/opt/acme.so\"\nmodel = \"M\"\nmanufacturer = \"A\"\n"
                               "firmware = [\"1.0\"]\nconcurrency = 100\nreserved = \"dir={tokens}\"\n"
                               "[environment]\nACME = \"{tokens}/conf\"\nACME_PORT = \"1\"\n"
                               "[quirks]\nsyncs = false\nfiles = \"{tokens}/store\"\n"));
        EXPECT_TRUE(
            write_file(folder_ / "qscd.toml",
                       top + "[service]\nname = \"n\"\nregion = \"EU\"\n[module]\nentry = \"acme\"\n" + module));
        return Deployment::load(folder_);
    }
};

TEST_F(ModuleOf, ADaemonIsWiredAsTheRegistrySays) {
    const auto wired = deployment("", "").value().wiring("cad").value();
    const auto tokens = (folder_ / "tokens" / "cad").string();
    EXPECT_EQ(wired.entry.name, "acme");
    EXPECT_EQ(wired.start.library, "/opt/acme.so");
    EXPECT_EQ(wired.start.reserved, "dir=" + tokens);
    EXPECT_EQ(wired.start.environment,
              (std::map<std::string, std::string>{{"ACME", tokens + "/conf"}, {"ACME_PORT", "1"}}));
    EXPECT_EQ(wired.start.durable_folder, tokens + "/store");
    EXPECT_EQ(wired.signing_threads, 64U) << "the entry's concurrency, at most 64";
}

TEST_F(ModuleOf, TheDeploymentMayWireItOtherwise) {
    const auto wired = deployment("signing_threads = 3\n",
                                  "library = \"/usr/local/acme.so\"\nreserved = \"\"\n[module.environment]\n"
                                  "ACME_PORT = \"2\"\nACME_LOG = \"{tokens}/log\"\n")
                           .value()
                           .wiring("samd")
                           .value();
    const auto tokens = (folder_ / "tokens" / "samd").string();
    EXPECT_EQ(wired.start.library, "/usr/local/acme.so");
    EXPECT_EQ(wired.entry.library, "/usr/local/acme.so") << "what is attested is what is used";
    EXPECT_EQ(wired.start.reserved, "");
    EXPECT_EQ(wired.start.environment,
              (std::map<std::string, std::string>{
                  {"ACME", tokens + "/conf"}, {"ACME_LOG", tokens + "/log"}, {"ACME_PORT", "2"}}));
    EXPECT_EQ(wired.signing_threads, 3U);
}

TEST_F(ModuleOf, AnEntryThatIsNotThereIsNamed) {
    const auto loaded = deployment("", "").value();
    EXPECT_TRUE(loaded.wiring("samd", "acme"));
    const auto absent = loaded.wiring("samd", "other");
    ASSERT_FALSE(absent);
    EXPECT_EQ(absent.error().code, Errc::configuration);
    EXPECT_THAT(absent.error().detail, HasSubstr("the module registry has no entry other"));
}

TEST_F(ModuleOf, AVariableIsAText) {
    const auto refused = deployment("", "[module.environment]\nACME_PORT = 2\n");
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().detail, HasSubstr("qscd.toml:7: module.environment.ACME_PORT: "));
}

// ── Shards [QSCD-21] ────────────────────────────────────────────────────────────────────────────────────────────────

class ShardsOf : public StoreOf {
protected:
    // `top` stands before the first table.
    Result<Deployment> of(const std::string& top, const std::string& tables = "") const {
        EXPECT_TRUE(write_file(folder_ / "qscd.toml", top +
                                                          "[service]\nname = \"n\"\nregion = \"EU\"\n[module]\n"
                                                          "entry = \"softhsm2\"\nlibrary = \"l\"\n" +
                                                          tables));
        return Deployment::load(folder_);
    }
};

TEST_F(ShardsOf, ADeploymentThatSaysNothingIsOne) {
    const auto deployment = of("").value();
    ASSERT_EQ(deployment.shards.size(), 1U);
    const auto& shard = deployment.shards.front();
    EXPECT_EQ(shard.number, 1U);
    EXPECT_EQ(shard.token, first_signer_token);
    EXPECT_EQ(shard.module, "softhsm2");
    EXPECT_TRUE(shard.accepts_new);
    EXPECT_TRUE(shard.profiles.empty());
}

TEST_F(ShardsOf, OneLabelIsShardOne) {
    const auto deployment = of("signer_tokens = [\"mine\"]\n").value();
    ASSERT_EQ(deployment.shards.size(), 1U);
    EXPECT_EQ(deployment.shards.front().number, 1U);
    EXPECT_EQ(deployment.shards.front().token, "mine");
}

TEST_F(ShardsOf, TablesGiveEachItsNumberWhateverTheirOrder) {
    const auto deployment = of("",
                               "[[shard]]\nnumber = 7\ntoken = \"b\"\nmodule = \"other\"\naccepts_new = false\n"
                               "limit = 5\nprofiles = [\"lcp\"]\n"
                               "[[shard]]\nnumber = 2\ntoken = \"a\"\n")
                                .value();
    ASSERT_EQ(deployment.shards.size(), 2U);
    const auto &second = deployment.shards[0], &seventh = deployment.shards[1];
    EXPECT_EQ(second.number, 2U);
    EXPECT_EQ(second.token, "a");
    EXPECT_EQ(second.module, "softhsm2");
    EXPECT_EQ(second.limit, 10'000U);
    EXPECT_EQ(seventh.number, 7U);
    EXPECT_EQ(seventh.module, "other");
    EXPECT_FALSE(seventh.accepts_new);
    EXPECT_EQ(seventh.limit, 5U);
    EXPECT_EQ(seventh.profiles, std::vector<std::string>{"lcp"});
}

struct WrongShards {
    const char *name, *top, *tables, *says;
};
class TheseShards : public ShardsOf, public testing::WithParamInterface<WrongShards> {};
INSTANTIATE_TEST_SUITE_P(
    , TheseShards,
    testing::Values(
        WrongShards{"AListOfTwo", "signer_tokens = [\"a\", \"b\"]\n", "", ":1: signer_tokens: "},
        WrongShards{"NoLabelAtAll", "signer_tokens = []\n", "", ":1: signer_tokens: "},
        WrongShards{"AListAndTables", "signer_tokens = [\"a\"]\n", "[[shard]]\nnumber = 1\ntoken = \"a\"\n",
                    ":1: signer_tokens: "},
        WrongShards{"WithoutANumber", "", "[[shard]]\ntoken = \"a\"\n", "shard[1].number"},
        WrongShards{"WithNumberNought", "", "[[shard]]\nnumber = 0\ntoken = \"a\"\n", ":8: shard[1].number: "},
        WrongShards{"WithoutAToken", "", "[[shard]]\nnumber = 1\n", "shard[1].token"},
        WrongShards{"OneNumberTwice", "",
                    "[[shard]]\nnumber = 1\ntoken = \"a\"\n[[shard]]\nnumber = 1\ntoken = \"b\"\n",
                    ":11: shard[2].number: another shard"},
        WrongShards{"OneTokenTwice", "", "[[shard]]\nnumber = 1\ntoken = \"a\"\n[[shard]]\nnumber = 2\ntoken = \"a\"\n",
                    ":12: shard[2].token: another shard"},
        WrongShards{"TheSamsOwnToken", "", "[[shard]]\nnumber = 1\ntoken = \"qscd-sam\"\n", ":9: shard[1].token: "},
        WrongShards{"APathAsLabel", "", "[[shard]]\nnumber = 1\ntoken = \"../x\"\n", ":9: shard[1].token: "},
        WrongShards{"AMisspeltKey", "", "[[shard]]\nnumber = 1\ntoken = \"a\"\naccept_new = false\n",
                    "accept_new: unknown key"}),
    [](const auto& each) { return each.param.name; });
TEST_P(TheseShards, QSCD_21_AreRefusedWithLineAndKey) {
    const auto deployment = of(GetParam().top, GetParam().tables);
    ASSERT_FALSE(deployment);
    EXPECT_EQ(deployment.error().code, Errc::configuration);
    EXPECT_THAT(deployment.error().detail, HasSubstr(GetParam().says));
}

}  // namespace
}  // namespace qscd::policy
