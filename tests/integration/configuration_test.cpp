// Mistakes in what the operator writes: `qscd up` ends, names file, line and key, says what would be right, and leaves
// nothing running.
#include <algorithm>
#include <gmock/gmock.h>

#include "base/file.hpp"
#include "base/store/database.hpp"
#include "tests/integration/cast.hpp"

namespace qscd::integration {
namespace {

using testing::HasSubstr;

struct Mistake {
    std::string name, file;
    std::string from, to;  // in the file; an empty `from`: `to` is added at the end; both empty: the file is absent
    std::vector<std::string> named;  // what the refusal says
    std::string at_line_of = {};     // the line that holds this is named, too
};
std::ostream& operator<<(std::ostream& out, const Mistake& each) { return out << each.name; }

// One deployment is made and run once; each test breaks a copy of it.
class Configuration : public testing::TestWithParam<Mistake> {
protected:
    static void SetUpTestSuite() {
        made_ = std::make_unique<RunningDeployment>();
        made_->stop();
    }
    static void TearDownTestSuite() { made_.reset(); }
    void SetUp() override {
        folder_ = made_->top() / ("copy-" + GetParam().name);
        fs::copy(made_->in(""), folder_, fs::copy_options::recursive);
    }
    Finished up() const {
        return run_program({"timeout", "30", QSCD_BINARY, "--deployment", folder_, "up", "--test-binaries"});
    }
    static inline std::unique_ptr<RunningDeployment> made_;
    fs::path folder_;
};

TEST_P(Configuration, MistakeIsNamedWithFileLineAndKey) {
    const auto& mistake = GetParam();
    const auto path = folder_ / mistake.file;
    if (mistake.from.empty() && mistake.to.empty()) {
        ASSERT_TRUE(fs::remove(path)) << path;
    } else {
        auto text = required(read_file(path), "the file");
        const auto at = mistake.from.empty() ? text.size() : text.find(mistake.from);
        ASSERT_NE(at, std::string::npos) << mistake.from;
        text.replace(at, mistake.from.size(), mistake.to);
        ASSERT_TRUE(write_file(path, text));
    }
    const auto said = up();
    EXPECT_NE(said.exit_code, 0);
    EXPECT_NE(said.exit_code, 124) << "it did not end by itself";
    EXPECT_THAT(said.err, testing::AnyOf(HasSubstr(path.string()), HasSubstr(path.parent_path().string() + ": ")));
    for (const auto& word : mistake.named) EXPECT_THAT(said.err, HasSubstr(word));
    if (!mistake.at_line_of.empty()) {
        const auto text = required(read_file(path), "the file");
        const auto line = 1 + std::count(text.begin(),
                                         text.begin() + static_cast<std::ptrdiff_t>(text.find(mistake.at_line_of)),
                                         '\n');
        EXPECT_THAT(said.err, HasSubstr(path.filename().string() + ":" + std::to_string(line) + ":"));
    }
    const auto status = run_program({QSCD_BINARY, "--deployment", folder_, "status"});
    EXPECT_NE(status.exit_code, 0) << "nothing runs";
}

const char* const toml = "qscd.toml";
const char* const rules = "policy/policy.toml";
INSTANTIATE_TEST_SUITE_P(
    All, Configuration,
    testing::Values(
        Mistake{"Typo",
                toml,
                "[api]\naddress",
                "[api]\nadress",
                {"api.adress", "unknown key", "did you mean \"address\"?"},
                "adress ="},
        Mistake{"UnknownTable", toml, "", "\n[metrics]\nport = 1\n", {"metrics"}, "[metrics]"},
        Mistake{"PortOutOfRange",
                toml,
                "[status]\naddress = \"127.0.0.1\"\nport = ",
                "[status]\naddress = \"127.0.0.1\"\nport = 9",
                {"status.port", "0 to 65535"},
                "port = 9"},
        Mistake{"WrongType", toml, "lang = \"en\"", "lang = 5", {"service.lang"}, "lang = 5"},
        Mistake{"MissingKey", toml, "region = \"EU\"\n", "", {"service.region", "missing"}},
        Mistake{"MissingTable", toml, "[service]", "[servise]", {"service"}},
        Mistake{"KeyTwice", toml, "lang = \"en\"", "lang = \"en\"\nlang = \"de\"", {"lang"}, "lang = \"de\""},
        Mistake{"StoreNoUrl", toml, "", "\n[store]\nurl = \"localhost/qscd\"\n", {"store.url"}, "url = \"localhost"},
        Mistake{"StoreTypo",
                toml,
                "",
                "\n[store]\nulr = \"postgresql:///qscd\"\n",
                {"store.ulr", "did you mean \"url\"?"},
                "ulr ="},
        Mistake{"StoreWithPassword",
                toml,
                "",
                "\n[store]\nurl = \"postgresql://qscd:hunter2@localhost/qscd\"\n",
                {"store.url", "a password", "secrets/store-"},
                "url = \"postgresql"},
        Mistake{"StoreAcrossANetworkWithoutTls",
                toml,
                "",
                "\n[store]\nurl = \"postgresql://db.example/qscd\"\n",
                {"store.url", "sslrootcert"},
                "url = \"postgresql"},
        Mistake{"StoreNotThere",
                toml,
                "",
                "\n[store]\nrad = \"postgresql:///qscd?host=/nowhere\"\n",
                {"store.rad", "/nowhere"},
                "rad = \"postgresql"},
        Mistake{"NoToml", toml, "[module]", "[module", {}, "[module"},
        Mistake{"NoFile", toml, "", "", {"No such file"}},
        Mistake{"PolicyTypo",
                rules,
                "tries = 5",
                "tires = 5",
                {"profile.qscd-totp.pin.tires", "did you mean \"tries\"?"},
                "tires"},
        Mistake{"PolicyValue",
                rules,
                "validity   = \"5 years\"",
                "validity   = \"9 years\"",
                {"profile.qscd-totp.validity"},
                "9 years"},
        Mistake{"PolicyType", rules, "\"QCP-n-qscd\"", "\"QCP-x\"", {"profile.qscd-totp.type"}, "QCP-x"},
        Mistake{"PolicyPinTooShort",
                rules,
                "digits = [4, 8]",
                "digits = [3, 8]",
                {"profile.qscd-totp.pin.digits"},
                "[3, 8]"},
        Mistake{"PolicyNumber",
                rules,
                "policy     = \"qualified\"\nvalidity   = \"5 years\"",
                "policy     = \"qualified\"\nvalidity   = \"5 years\"\notp_failures_a_day = 31",
                {"profile.qscd-page.otp_failures_a_day", "1 to 30"},
                "a_day = 31"},
        Mistake{"PolicyModes",
                rules,
                "modes      = [\"page\"]",
                "modes      = [\"explicit\"]",
                {"profile.qscd-page.modes"},
                "modes      = [\"explicit\"]\n"},
        Mistake{"PolicyWithoutBase", rules, "public_base", "# public_base", {"public_base", "missing"}},
        Mistake{"PolicyNoFile", rules, "", "", {"No such file"}},
        Mistake{"NoRootCertificate", "pki/root.pem", "", "", {"No such file"}},
        Mistake{"NoPinOfTheSam", "secrets/qscd-sam.pin", "", "", {"No such file"}},
        Mistake{"NoTlsKey", "tls/gateway.key", "", "", {}},
        Mistake{"NoModuleEntry", "modules/softhsm2.toml", "", "", {"no module here"}}),
    [](const auto& each) { return each.param.name; });

TEST(Initialisation, ChangesNoDeploymentThatIsThere) {
    RunningDeployment deployment;
    const auto before = required(read_file(deployment.in("qscd.toml")), "qscd.toml");
    const auto said = deployment.qscd({"init", "--policy", source_folder / "packaging/demo/policy.toml", "--modules",
                                       source_folder / "hsm-config/modules"});
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_THAT(said.err, HasSubstr("holds a deployment already"));
    EXPECT_EQ(required(read_file(deployment.in("qscd.toml")), "qscd.toml"), before);
    EXPECT_TRUE(deployment.ready());
}

// --- init --store ---

class InitialisationOnAServer : public testing::Test {
protected:
    static void SetUpTestSuite() { cluster_ = std::make_unique<instruments::Cluster>(); }
    static void TearDownTestSuite() { cluster_.reset(); }
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "qscd-init-XXXXXX").string();
        require(::mkdtemp(pattern.data()) != nullptr, "a temporary folder");
        folder_ = pattern;
    }
    void TearDown() override { fs::remove_all(folder_); }
    Finished init(const std::vector<std::string>& more, const std::map<int, std::string>& inputs = {}) const {
        std::vector<std::string> words{QSCD_BINARY,      "--deployment",
                                       folder_ / "d",    "init",
                                       "--policy",       source_folder / "packaging/demo/policy.toml",
                                       "--modules",      source_folder / "hsm-config/modules",
                                       "--organisation", "qscd TEST"};
        words.insert(words.end(), more.begin(), more.end());
        return run_program(words, inputs);
    }
    void expect_nothing_was_made(const Finished& said) const {
        EXPECT_EQ(said.exit_code, 2) << said.err;
        EXPECT_THAT(said.err, HasSubstr("--store: "));
        EXPECT_FALSE(fs::exists(folder_ / "d" / "tokens")) << "nothing was begun";
        EXPECT_TRUE(cluster_->ask("SELECT rolname FROM pg_roles WHERE rolname LIKE 'qscd%'").empty());
    }
    static inline std::unique_ptr<instruments::Cluster> cluster_;
    fs::path folder_;
};

TEST_F(InitialisationOnAServer, RefusesWhatCannotBeBeforeItMakesAnything) {
    expect_nothing_was_made(init({"--store", "mysql://localhost/qscd"}));
    expect_nothing_was_made(init({"--store", "postgresql://admin@/qscd?host=/nowhere"}));
    expect_nothing_was_made(init({"--store", "postgresql://admin:hunter2@localhost/qscd"}));
    expect_nothing_was_made(init({"--store", cluster_->url("admin", "public")}));
    cluster_->ask("CREATE ROLE clerk LOGIN PASSWORD 'open-sesame'");
    cluster_->ask("GRANT CONNECT ON DATABASE qscd TO clerk");
    const auto wrong = init({"--store", cluster_->url("clerk"), "--store-password-fd", "3"}, {{3, "hunter2"}});
    expect_nothing_was_made(wrong);
    EXPECT_THAT(wrong.err, testing::Not(HasSubstr("hunter2")));
    const auto weak = init({"--store", cluster_->url("clerk"), "--store-password-fd", "3"}, {{3, "open-sesame"}});
    expect_nothing_was_made(weak);
    EXPECT_THAT(weak.err, HasSubstr("CREATEROLE"));
}

TEST_F(InitialisationOnAServer, MakesARoleAndASchemaForEachDaemonAndRefusesToMakeThemTwice) {
    const auto made = init({"--store", cluster_->url("admin"), "--store-prefix", "first_"});
    ASSERT_EQ(made.exit_code, 0) << made.err;
    const auto deployment = required(policy::Deployment::load(folder_ / "d"), "qscd.toml");
    std::vector<std::string> passwords;
    for (const auto* daemon : policy::daemons_with_stores) {
        const auto place = required(deployment.database(daemon), "its place");
        EXPECT_TRUE(store::Database::open(place)) << daemon;
        const auto file = folder_ / "d" / policy::Deployment::store_secret(daemon);
        EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
        passwords.push_back(required(read_file(file), "its password"));
        EXPECT_EQ(cluster_->log().find(passwords.back()), std::string::npos);
    }
    std::ranges::sort(passwords);
    EXPECT_EQ(std::ranges::adjacent_find(passwords), passwords.end()) << "a password of its own for each";
    EXPECT_EQ(required(read_file(folder_ / "d" / "qscd.toml"), "qscd.toml").find("admin"), std::string::npos);
    fs::rename(folder_ / "d", folder_ / "kept");
    const auto again = init({"--store", cluster_->url("admin"), "--store-prefix", "first_"});
    EXPECT_EQ(again.exit_code, 2);
    EXPECT_THAT(again.err, HasSubstr("there is a role first_samd already"));
}

}  // namespace
}  // namespace qscd::integration
