// [SAM-20] [SAM-05] [OPS-12] [T-40] [T-42] [T-49] The real daemons in their confinement: it holds, what is missing is
// named in health and status and can be a reason not to start, and a death leaves no core behind.
#include <csignal>
#include <cstring>
#include <gmock/gmock.h>
#include <set>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.hpp"
#include "protocol/sam.pb.h"
#include "tests/integration/cast.hpp"

namespace qscd::integration {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;

#define NEEDS_ROOT() \
    if (::geteuid() != 0) GTEST_SKIP() << "separation, and taking calls away, are root's"

// One deployment; each test runs it its own way.
class Confined : public testing::Test {
protected:
    static void SetUpTestSuite() {
        deployment = std::make_unique<RunningDeployment>();
        configuration = required(read_file(deployment->in("qscd.toml")), "qscd.toml");
        can_lock = missing().empty();
    }
    static void TearDownTestSuite() { deployment.reset(); }

    static std::vector<std::string> missing() {
        const auto said = deployment->qscd({"--json", "status"});
        const auto state = json::Object::parse(said.out);
        require(said.exit_code == 0 && state && state.value().has("samd_missing"), "qscd status: " + said.out);
        return state.value().strings("samd_missing", 16, 100).value();
    }
    static std::string status_of(const std::string& daemon, const std::string& file = "status") {
        return required(read_file("/proc/" + std::to_string(deployment->daemons().at(daemon).pid) + "/" + file), file);
    }

    static inline std::unique_ptr<RunningDeployment> deployment;
    static inline std::string configuration;
    static inline bool can_lock = false;
};

TEST_F(Confined, SAM_20_NothingIsMissing) {
    NEEDS_ROOT();
    if (!can_lock) GTEST_SKIP() << "this machine lets nobody lock memory";
    EXPECT_THAT(missing(), IsEmpty());
    EXPECT_THAT(deployment->https("GET", "/health/ready").body, HasSubstr(R"("missing":[])"));
    EXPECT_THAT(deployment->qscd({"status"}).out, HasSubstr("samd confined"));
    EXPECT_THAT(status_of("samd"), HasSubstr("Seccomp:\t2\n"));
}

TEST_F(Confined, SAM_05_NoDaemonDumpsGainsPrivilegesOrCanBeTraced) {
    for (const auto& [name, daemon] : deployment->daemons()) {
        EXPECT_THAT(status_of(name), HasSubstr("NoNewPrivs:\t1\n")) << name;
        EXPECT_THAT(status_of(name, "limits"), testing::ContainsRegex("Max core file size +0 +0 ")) << name;
        struct stat memory{};
        ASSERT_EQ(::stat(("/proc/" + std::to_string(daemon.pid) + "/mem").c_str(), &memory), 0);
        EXPECT_EQ(memory.st_uid, 0U) << name << ": of a process that can be dumped it would be the daemon's user";
    }
}

// --- what is missing is named, and can be a reason not to start

struct Taken {
    const char* name;
    std::vector<std::string> world;  // in front of `qscd up`
    std::string configuration;       // before the rest of qscd.toml
    std::vector<std::string> missing;
};
const std::string without{QSCD_WITHOUT_CALL};
const Taken taken[] = {
    {"MemoryLocking", {without, "mlockall", "any"}, "", {"memory not locked"}},
    {"Undumpability", {without, "prctl", std::to_string(PR_SET_DUMPABLE)}, "", {"core dumps possible"}},
    {"NoNewPrivileges",
     {without, "prctl", std::to_string(PR_SET_NO_NEW_PRIVS)},
     "",
     {"new privileges possible", "no system call filter"}},
    {"Filtering", {without, "seccomp", "any"}, "", {"no system call filter"}},
    {"OwnUsers", {}, "own_users = false\n", {"separation off"}},
};

class Restriction : public Confined, public testing::WithParamInterface<Taken> {
protected:
    void SetUp() override {
        NEEDS_ROOT();
        if (!can_lock) GTEST_SKIP() << "this machine lets nobody lock memory";
        deployment->stop();
    }
    void TearDown() override {
        if (IsSkipped()) return;
        if (supervisor_ > 0) {
            ::kill(supervisor_, SIGTERM);
            (void)ended();
        }
        required(write_file(deployment->in("qscd.toml"), configuration), "qscd.toml");
        deployment->start();
    }
    void up(const std::string& more) {
        required(write_file(deployment->in("qscd.toml"), GetParam().configuration + configuration + more), "qscd.toml");
        auto words = GetParam().world;
        for (const std::string& word : {std::string{QSCD_BINARY}, std::string{"--deployment"},
                                        deployment->in("").string(), std::string{"up"}, std::string{"--test-binaries"}})
            words.push_back(word);
        supervisor_ = start_program(words, log_);
    }
    // Of `qscd up`.
    int ended() {
        int status = -1;
        EXPECT_TRUE(eventually([&] { return ::waitpid(supervisor_, &status, WNOHANG) == supervisor_; }));
        supervisor_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    fs::path log_ = deployment->top() / "restricted.log";
    pid_t supervisor_ = 0;
};
INSTANTIATE_TEST_SUITE_P(, Restriction, testing::ValuesIn(taken), [](const auto& each) { return each.param.name; });

TEST_P(Restriction, SAM_20_ThatIsMissingIsNamedInHealthStatusAndLog) {
    up("");
    ASSERT_TRUE(eventually([] { return deployment->ready(); }));
    EXPECT_THAT(missing(), ElementsAreArray(GetParam().missing));
    const auto health = deployment->https("GET", "/health/ready").body;
    const auto words = deployment->qscd({"status"}).out;
    for (const auto& each : GetParam().missing) {
        EXPECT_THAT(health, HasSubstr("\"" + each + "\""));
        EXPECT_THAT(words, HasSubstr(each));
        EXPECT_THAT(required(read_file(deployment->in("log/samd.log")), "log"), HasSubstr(each));
    }
}

TEST_P(Restriction, SAM_20_ThatIsMissingIsNoStartWhereAllAreRequired) {
    up("[sam]\nrequire_confinement = true\n");
    EXPECT_GT(ended(), 0);
    const auto said = required(read_file(log_), "what qscd up said");
    EXPECT_THAT(said, HasSubstr("qscd-samd did not start"));
    EXPECT_THAT(said, HasSubstr("require_confinement"));
    for (const auto& each : GetParam().missing) EXPECT_THAT(said, HasSubstr(each));
}

TEST_F(Confined, SAM_20_WhereAllAreRequiredAndAllHoldItStarts) {
    NEEDS_ROOT();
    if (!can_lock) GTEST_SKIP() << "this machine lets nobody lock memory";
    deployment->stop();
    required(write_file(deployment->in("qscd.toml"), configuration + "[sam]\nrequire_confinement = true\n"),
             "qscd.toml");
    deployment->start();
    EXPECT_THAT(missing(), IsEmpty());
    deployment->stop();
    required(write_file(deployment->in("qscd.toml"), configuration), "qscd.toml");
    deployment->start();
}

// --- deaths

class Death : public Confined, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(, Death, testing::Values(SIGSEGV, SIGABRT, SIGSYS),
                         [](const auto& each) { return std::string{"Of"} + ::sigabbrev_np(each.param); });

TEST_P(Death, SAM_05_T_49_OfSamdLeavesNoCore) {
    const auto files = [] {
        std::set<std::string> out;
        for (const auto& each : fs::directory_iterator{deployment->in("")}) out.insert(each.path().filename());
        return out;
    };
    deployment->advance(std::chrono::hours{25});  // a day has room for few unclean ends
    const auto before = files();
    const auto pid = deployment->daemons().at("samd").pid;
    ::kill(pid, GetParam());
    ASSERT_TRUE(eventually([&] {
        const auto samd = deployment->daemons()["samd"];
        return samd.ready && samd.pid != pid;
    }));
    EXPECT_EQ(files(), before) << "a core would stand in the folder where the daemon runs";
    EXPECT_TRUE(eventually([] { return deployment->ready(); }));
}

// --- the clock

// The deployment's clock, set by somebody: the time of day moves, and what has run does not.
class Clock : public Confined {
protected:
    static void SetUpTestSuite() {
        Confined::SetUpTestSuite();
        anna = std::make_unique<Signer>(*deployment, "anna", 1);
        credential = anna->enrol("qscd-totp");
        portal = std::make_unique<Portal>(*deployment, "portal-1", std::vector<std::string>{"anna"});
    }
    static void TearDownTestSuite() {
        portal.reset();
        anna.reset();
        Confined::TearDownTestSuite();
    }
    void SetUp() override { script_ = required(read_file(path()), "the clock"); }
    void TearDown() override { says(""); }
    // Behind what the script said before.
    void says(const std::string& more) const { required(write_file(path(), script_ + more), "the clock"); }
    static fs::path path() { return deployment->top() / "clock"; }
    static std::string clock_of_samd() {
        pb::SamRequest request;
        (void)request.mutable_health();
        return required(deployment->ask<pb::SamHealthReport>("samd", request), "health").clock();
    }
    std::string script_;
    static inline std::unique_ptr<Signer> anna;
    static inline Credential credential;
    static inline std::unique_ptr<Portal> portal;
};

TEST_F(Clock, AUD_11_HealthSaysWhetherItIsSynchronised) {
    says(" unsynchronised");
    EXPECT_EQ(clock_of_samd(), "unsynchronised");
    says(" synchronised");
    EXPECT_EQ(clock_of_samd(), "synchronised");
}

struct Jump {
    const char* name;
    std::chrono::seconds by;
    bool stops;
};
struct JumpOfTheClock : Clock, testing::WithParamInterface<Jump> {};
INSTANTIATE_TEST_SUITE_P(, JumpOfTheClock,
                         testing::Values(Jump{"OneSecondForward", std::chrono::seconds{1}, false},
                                         Jump{"OneSecondBack", std::chrono::seconds{-1}, false},
                                         Jump{"OneHourForward", std::chrono::hours{1}, true},
                                         Jump{"OneHourBack", std::chrono::hours{-1}, true},
                                         Jump{"OneYearForward", std::chrono::years{1}, true},
                                         Jump{"OneYearBack", std::chrono::years{-1}, true}),
                         [](const auto& each) { return each.param.name; });

TEST_P(JumpOfTheClock, OPS_12_T_34_StopsSigningIsAnAlarmAndEndsWithIt) {
    const auto hash = hash_numbered(7);
    const auto sad = portal->sad_for(*anna, credential, {hash});
    script_ = required(read_file(path()), "the clock");  // getting a code took time
    const auto lines = required(read_file(deployment->in("log/samd.log")), "log").size();
    const Evidence evidence{*deployment};
    says(" jump=" + std::to_string(GetParam().by.count()));

    EXPECT_EQ(clock_of_samd() == "jumped", GetParam().stops);
    const auto answer = portal->sign({credential.id, sad, {hash}});
    EXPECT_EQ(answer.status == 200, !GetParam().stops) << answer;
    EXPECT_EQ(evidence.count("signed"), GetParam().stops ? 0U : 1U);
    if (!GetParam().stops) return;
    EXPECT_NE(portal->authorise(credential.id, {hash}, {anna->pin(), "TOTP", "000000"}).status, 200U);
    EXPECT_TRUE(eventually([] {
        return deployment->https("GET", "/health/ready").body.find(R"("samd":"clock_jumped")") != std::string::npos;
    }));
    EXPECT_THAT(required(read_file(deployment->in("log/samd.log")), "log").substr(lines),
                HasSubstr(R"("level":"alarm","event":"clock-jumped")"));

    says("");
    EXPECT_EQ(portal->sign({credential.id, sad, {hash}}).status, 200U) << "the token was not used meanwhile";
    EXPECT_EQ(evidence.count("signed"), 1U);
    EXPECT_TRUE(eventually([] { return deployment->ready(); }));
}

}  // namespace
}  // namespace qscd::integration
