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

}  // namespace
}  // namespace qscd::policy
