#include <algorithm>
#include <gmock/gmock.h>
#include <ranges>

#include "tests/unit/qscd/supervisor/running_deployment.hpp"

namespace qscd::supervisor {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using SupervisorTest = RunningDeployment;

TEST(ProductTables, ConnectNobodyBeyondTheDesign) {
    std::vector<std::string> arrows;
    for (const auto& link : product_links) arrows.push_back(std::string{link.asks} + "→" + std::string{link.answers});
    EXPECT_THAT(arrows, testing::UnorderedElementsAre("gatewayd→samd", "gatewayd→rad", "samd→notifierd",
                                                      "rad→notifierd", "cad→statusd"));
    for (const auto& link : product_links) {
        EXPECT_THAT(product_daemons, testing::Contains(link.asks));
        EXPECT_THAT(product_daemons, testing::Contains(link.answers));
    }
}

TEST_F(SupervisorTest, StartsAllDaemonsOfTheTableAndSaysReadyOnce) {
    start();
    std::vector<std::string_view> names;
    const auto found = daemons();
    for (const auto& each : found) {
        names.push_back(each.name);
        EXPECT_EQ(each.state, "ready");
        EXPECT_EQ(each.restarts, 0);
        EXPECT_EQ(each.uid, ::geteuid());
        EXPECT_GT(each.pid, 0);
        EXPECT_EQ(::kill(each.pid, 0), 0);
    }
    EXPECT_TRUE(std::ranges::equal(names, product_daemons));
    EXPECT_EQ(stop(), 0);
    EXPECT_EQ(hear(), "") << "nothing said after the one ready";
}

TEST_F(SupervisorTest, SAM_22_ConnectsWhoTheTableNamesAndNobodyElse) {
    start();
    EXPECT_EQ(ask("gatewayd", "samd", "hello").value(), "samd hears gatewayd: hello");
    EXPECT_EQ(ask("cad", "statusd", "hello").value(), "statusd hears cad: hello");
    const auto none = ask("gatewayd", "notifierd", "hello");
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().detail, "no link to notifierd");
    const auto backwards = ask("samd", "gatewayd", "hello");
    ASSERT_FALSE(backwards);
    EXPECT_EQ(backwards.error().code, Errc::access_denied);
}

TEST_F(SupervisorTest, RunsTablesHandedIn) {
    constexpr std::array<std::string_view, 2> daemons{"cad", "samd"};
    constexpr std::array links{Link{"cad", "samd"}};
    Options options;
    options.daemons = daemons;
    options.links = links;
    start(options);
    EXPECT_EQ(this->daemons().size(), 2U);
    EXPECT_EQ(ask("cad", "samd", "hello").value(), "samd hears cad: hello");
}

TEST_F(SupervisorTest, StartsTheBinariesWithATestClockWhenAsked) {
    for (const auto daemon : product_daemons)
        fs::rename(binaries() / ("qscd-" + std::string{daemon}),
                   binaries() / ("qscd-" + std::string{daemon} + "-test"));
    Options options;
    options.test_binaries = true;
    start(options);
    EXPECT_EQ(ask("samd", "", "hello").value(), "samd hears bootstrap: hello");
}

TEST_F(SupervisorTest, ConnectsTheOwnerUnderTheRoleBootstrap) {
    start();
    for (const auto daemon : product_daemons)
        EXPECT_EQ(ask(daemon, "", "hello").value(), std::string{daemon} + " hears bootstrap: hello");
}

TEST_F(SupervisorTest, RefusesDaemonsThatAreNotItsOwn) {
    start();
    for (const auto name : {"tsad", "", "samd ", "../samd", "SAMD"}) {
        const auto refused = connect_to(deployment_, name);
        ASSERT_FALSE(refused) << name;
        EXPECT_EQ(refused.error().code, Errc::parameter_invalid) << name;
    }
    EXPECT_FALSE(connect_to(deployment_, std::string(4096, 'x')));
    EXPECT_TRUE(status(deployment_)) << "still serving";
}

TEST_F(SupervisorTest, DaemonsInheritNothingButWhatTheyNeed) {
    start({}, [this] {
        ::setenv("OPERATOR_PASSWORD", "hunter2", 1);
        ::setenv("QSCD_TEST_CLOCK_FILE", "/nonexistent", 1);
        (void)::open((binaries() / "echo").c_str(), O_RDONLY);  // left open across exec by somebody careless
    });
    EXPECT_THAT(ask("samd", "", "environment").value(),
                AllOf(Not(HasSubstr("OPERATOR_PASSWORD")), Not(HasSubstr("HOME=")), HasSubstr("PATH="),
                      HasSubstr("QSCD_TEST_CLOCK_FILE=/nonexistent")));
    EXPECT_THAT(ask("samd", "", "descriptors").value(), AllOf(Not(HasSubstr("bin/echo;")), Not(HasSubstr("/run")),
                                                              HasSubstr("/dev/null;"), HasSubstr("log/samd.log;")));
}

TEST_F(SupervisorTest, KeepsEachDaemonsLinesInALogOfItsOwn) {
    start();
    EXPECT_EQ(mode_of(in("log/samd.log")), 0600U);
    EXPECT_THAT(read_file(in("log/samd.log")).value(), AllOf(HasSubstr("\"started\""), Not(HasSubstr("qscd-rad"))));
}

TEST_F(SupervisorTest, ShowsTheLogsWhenVerbose) {
    const auto shown = top_ / "shown";
    Options options;
    options.verbose = true;
    start(options, [&] {
        const int file = ::open(shown.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(file, STDERR_FILENO);
    });
    EXPECT_EQ(stop(), 0);
    const auto text = read_file(shown).value();
    for (const auto daemon : product_daemons) {
        const auto line = "\"process\":\"qscd-" + std::string{daemon} + "\",\"level\":\"info\",\"event\":";
        EXPECT_THAT(text, AllOf(HasSubstr(line + "\"started\""), HasSubstr(line + "\"stopped\"")));
    }
}

TEST_F(SupervisorTest, RestartsAKilledDaemonWithNewLinksAndLeavesTheOthersAlone) {
    start();
    const auto before = daemons();
    const auto samd = daemon("samd").pid;
    ASSERT_EQ(ask("gatewayd", "samd", "hello").value(), "samd hears gatewayd: hello");
    end("samd");
    ASSERT_TRUE(eventually([&] { return daemon("samd").restarts == 1 && daemon("samd").state == "ready"; }));
    EXPECT_NE(daemon("samd").pid, samd);
    EXPECT_TRUE(eventually([&] { return ask("gatewayd", "samd", "again").has_value(); }));
    EXPECT_TRUE(eventually([&] { return ask("samd", "notifierd", "again").has_value(); }));
    for (const auto& each : before) {
        if (each.name != "samd") {
            EXPECT_EQ(daemon(each.name).pid, each.pid) << each.name;
        }
    }
}

TEST_F(SupervisorTest, WaitsLongerBeforeEachRestartOfADaemonThatDoesNotLast) {
    start();
    auto killed = std::chrono::steady_clock::now();
    std::chrono::milliseconds expected{200};
    for (int restarts = 1; restarts <= 3; ++restarts, expected *= 2) {
        killed = std::chrono::steady_clock::now();
        end("rad");
        ASSERT_TRUE(eventually([&] { return daemon("rad").restarts == restarts; }));
        EXPECT_GE(std::chrono::steady_clock::now() - killed, expected);
        EXPECT_EQ(daemon("rad").delay_ms, expected.count());
    }
}

TEST_F(SupervisorTest, SaysThatADaemonIsAwayWhileItWaits) {
    start();
    ASSERT_TRUE(write_file(in("away-cad"), "its store is away"));
    end("cad");
    ASSERT_TRUE(eventually([&] { return daemon("cad").state == "waiting" && daemon("cad").restarts >= 1; }))
        << "what is away later is tried again, not fatal";
    const auto refused = connect_to(deployment_, "cad");
    if (!refused) {
        EXPECT_EQ(refused.error().code, Errc::service_away);
    }
    fs::remove(in("away-cad"));
    EXPECT_TRUE(eventually([&] { return daemon("cad").state == "ready"; }));
}

TEST_F(SupervisorTest, LeavesADaemonDownThatFindsItsConfigurationWrong) {
    start();
    ASSERT_TRUE(write_file(in("fail-cad"), "the PIN is wrong"));
    end("cad");
    ASSERT_TRUE(eventually([&] { return daemon("cad").state == "waiting" && daemon("cad").restarts == 1; }));
    fs::remove(in("fail-cad"));
    for (int restarts = 1; restarts <= 3; ++restarts) {  // longer than cad would wait
        end("rad");
        ASSERT_TRUE(eventually([&] { return daemon("rad").restarts == restarts && daemon("rad").state == "ready"; }));
    }
    EXPECT_EQ(daemon("cad").restarts, 1) << "a PIN that is tried again and again locks its token";
    EXPECT_EQ(daemon("cad").state, "waiting");
}

// The times at which the daemons said that they stopped, from their logs.
std::vector<std::string> stop_times(const fs::path& folder) {
    std::vector<std::string> out;
    for (const auto daemon : product_daemons | std::views::reverse) {
        const auto text = read_file(folder / "log" / (std::string{daemon} + ".log")).value();
        const auto line = text.rfind("{", text.find("\"stopped\""));
        out.push_back(line == std::string::npos
                          ? "absent"
                          : text.substr(line, sizeof "{\"time\":\"2026-01-01T00:00:00.000000Z" - 1));
    }
    return out;
}

class StopTest : public SupervisorTest, public testing::WithParamInterface<int> {};

TEST_P(StopTest, StopsTheGatewayFirstThenBackwardsAndLeavesNothing) {
    start();
    const auto before = daemons();
    EXPECT_EQ(stop(GetParam()), 0);
    for (const auto& each : before) EXPECT_EQ(::kill(each.pid, 0), -1) << each.name << " still runs";
    const auto times = stop_times(deployment_.folder);
    EXPECT_THAT(times, testing::Each(HasSubstr("time")));
    EXPECT_TRUE(std::ranges::is_sorted(times)) << testing::PrintToString(times);
    EXPECT_FALSE(fs::exists(in("run/qscd.sock")));
    start();
}
INSTANTIATE_TEST_SUITE_P(Signals, StopTest, testing::Values(SIGTERM, SIGINT),
                         [](const auto& info) { return info.param == SIGTERM ? "Term" : "Int"; });

TEST_F(SupervisorTest, EndsADaemonThatDoesNotStopInTenSeconds) {
    start();
    ASSERT_TRUE(write_file(in("stubborn-gatewayd"), ""));
    const auto gatewayd = daemon("gatewayd").pid;
    EXPECT_EQ(stop(), 0);
    EXPECT_EQ(::kill(gatewayd, 0), -1);
}

TEST_F(SupervisorTest, SaysWhyADaemonDidNotStartAndStopsTheOthers) {
    ASSERT_TRUE(write_file(in("fail-rad"), "policy/policy.toml:7: pin.digits must be 4 to 8"));
    launch();
    EXPECT_EQ(hear(), "configuration: qscd-rad did not start: policy/policy.toml:7: pin.digits must be 4 to 8\n");
    EXPECT_EQ(wait(), 1);
    EXPECT_FALSE(fs::exists(in("run/qscd.sock")));
    fs::remove(in("fail-rad"));
    start();
}

TEST_F(SupervisorTest, NamesABinaryThatIsMissing) {
    fs::remove(binaries() / "qscd-cad");
    launch();
    EXPECT_THAT(hear(), AllOf(testing::StartsWith("configuration: "), HasSubstr("bin/qscd-cad: No such file")));
    EXPECT_EQ(wait(), 1);
}

TEST_F(SupervisorTest, NamesABinaryThatCannotBeExecuted) {
    fs::remove(binaries() / "qscd-cad");
    write(binaries() / "qscd-cad", "this is no program", 0755);
    launch();
    EXPECT_THAT(hear(), HasSubstr("qscd-cad did not start: cannot execute the daemon's binary"));
    EXPECT_EQ(wait(), 1);
}

TEST_F(SupervisorTest, RefusesASecondSupervisorOfTheSameDeployment) {
    start();
    const auto first = supervisor_;
    const auto before = daemon("samd").pid;
    launch();
    EXPECT_THAT(hear(), AllOf(testing::StartsWith("out_of_order: "),
                              HasSubstr("already running (process " + std::to_string(first) + ")")));
    EXPECT_EQ(wait(), 1);
    supervisor_ = first;
    EXPECT_EQ(daemon("samd").pid, before) << "the first goes on";
}

TEST_F(SupervisorTest, TheClientSaysWhenNothingRuns) {
    for (const auto& prepare : std::vector<std::function<void()>>{[] {}, [this] { fs::create_directories(in("run")); },
                                                                  [this] { write(in("run/qscd.sock"), ""); }}) {
        prepare();
        const auto none = status(deployment_);
        ASSERT_FALSE(none);
        EXPECT_EQ(none.error().code, Errc::service_away);
        EXPECT_EQ(none.error().detail, "the deployment is not running; start it with `qscd up`");
    }
}

TEST_F(SupervisorTest, DaemonsEndWithASupervisorThatWasKilledAndANewOneTakesOver) {
    start();
    const auto before = daemons();
    EXPECT_EQ(stop(SIGKILL), -SIGKILL);
    EXPECT_TRUE(fs::exists(in("run/qscd.sock"))) << "a dead supervisor leaves its socket";
    EXPECT_EQ(status(deployment_).error().code, Errc::service_away);
    start();
    for (const auto& each : before) {
        int status = 0;
        EXPECT_TRUE(eventually([&] { return ::waitpid(each.pid, &status, WNOHANG) == each.pid; })) << each.name;
    }
}

TEST_F(SupervisorTest, NeverStartsADaemonTwiceWhileAnOldOneLives) {
    ASSERT_TRUE(write_file(in("stubborn-samd"), ""));
    start();
    const auto old = daemon("samd").pid;
    stop(SIGKILL);
    launch();
    ASSERT_TRUE(eventually([&] { return daemon("gatewayd").state == "ready"; }));
    EXPECT_EQ(daemon("samd").state, "waiting");
    ASSERT_GT(old, 0);
    ASSERT_EQ(::kill(old, 0), 0);
    ::kill(old, SIGKILL);
    EXPECT_EQ(hear(), "ready\n");
    EXPECT_NE(daemon("samd").pid, old);
    fs::remove(in("stubborn-samd"));
    EXPECT_EQ(stop(), 0);
    EXPECT_TRUE(eventually([] {  // the first crew, adopted by this process
        int status = 0;
        while (::waitpid(-1, &status, WNOHANG) > 0) {}
        return ::waitpid(-1, &status, WNOHANG) < 0;
    }));
}

TEST_F(SupervisorTest, WorksInAFolderWithALongName) {
    deployment_.folder = top_ / std::string(100, 'l') / std::string(100, 'o');
    fs::create_directories(deployment_.folder);
    start();
    EXPECT_EQ(ask("samd", "", "hello").value(), "samd hears bootstrap: hello");
}

}  // namespace
}  // namespace qscd::supervisor
