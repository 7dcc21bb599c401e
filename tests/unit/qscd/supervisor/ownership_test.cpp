#include <fstream>
#include <gmock/gmock.h>
#include <grp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/process/daemon.hpp"
#include "tests/unit/qscd/supervisor/running_deployment.hpp"

namespace qscd::supervisor {
namespace {

using testing::HasSubstr;

class OwnershipTest : public RunningDeployment {
protected:
    void SetUp() override {
        RunningDeployment::SetUp();
        deployment_.own_users = true;
        write(in("qscd.toml"), "");
        write(in("policy/policy.toml"), "");
        write(in("modules/softhsm2.toml"), "");
        write(in("pki/root.pem"), "");
        write(in("pki/registration-officers/first.pub.pem"), "");
        write(in("pki/registration-officers/first.key.pem"), "");
        write(in("tls/gateway.pem"), "");
        write(in("tls/gateway.key"), "", 0644);
        write(in("tls/ca.pem"), "");
        write(in("tls/ca.key"), "");
        write(in("tokens/samd/softhsm2.conf"), "");
        write(in("tokens/samd/tokens/1/token.object"), "");
        for (const auto token : {"qscd-sam", "qscd-signers-1", "qscd-ra", "qscd-ca", "qscd-root"})
            write(in("secrets/" + std::string{token} + ".pin"), "1234", 0644);
    }
    unsigned user(std::string_view daemon) const {
        const auto* const found = std::ranges::find(product_daemons, daemon);
        return deployment_.first_user + static_cast<unsigned>(found - product_daemons.begin());
    }
    std::string separation(const std::string& member) const {
        return json::Object::parse(status(deployment_).value()).value().string(member, 4096).value();
    }
};

#define NEEDS_ROOT() \
    if (::geteuid() != 0) GTEST_SKIP() << "needs root"

// All four ids of each kind in /proc/PID/status, and the groups.
std::string ids_of(pid_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/status"};
    std::string out;
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("Uid:") || line.starts_with("Gid:") || line.starts_with("Groups:") ||
            line.starts_with("CapPrm:"))
            out += line + "\n";
    return out;
}

// None, or, where root itself cannot lift the limit of locked memory, CAP_IPC_LOCK alone.
std::string capabilities_of_a_daemon() {
    const auto pid = ::fork();
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    if (pid == 0) ::_exit(::setrlimit(RLIMIT_MEMLOCK, &unlimited) == 0 ? 0 : 1);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return status == 0 ? "0000000000000000" : "0000000000004000";
}

TEST_F(OwnershipTest, SAM_20_EachDaemonRunsUnderAUserOfItsOwn) {
    NEEDS_ROOT();
    start();
    EXPECT_EQ(separation("separation"), "on");
    EXPECT_EQ(separation("separation_reason"), "");
    for (const auto& each : daemons()) {
        const auto id = std::to_string(user(each.name));
        EXPECT_EQ(each.uid, user(each.name));
        EXPECT_EQ(ids_of(each.pid), "Uid:\t" + id + "\t" + id + "\t" + id + "\t" + id + "\nGid:\t" + id + "\t" + id +
                                        "\t" + id + "\t" + id + "\nGroups:\t \nCapPrm:\t" + capabilities_of_a_daemon() +
                                        "\n");
    }
    EXPECT_EQ(ask("gatewayd", "samd", "hello").value(), "samd hears gatewayd: hello");
    end("samd");
    ASSERT_TRUE(eventually([&] { return daemon("samd").restarts == 1 && daemon("samd").state == "ready"; }));
    EXPECT_THAT(ids_of(daemon("samd").pid), HasSubstr("Uid:\t" + std::to_string(user("samd"))))
        << "after a restart too";
}

TEST_F(OwnershipTest, GivesEachDaemonItsOwnAndLeavesTheRestWithTheOwner) {
    NEEDS_ROOT();
    start();
    struct Row {
        std::string path;
        unsigned owner, mode;
    };
    const std::vector<Row> rows{
        {"", 0, 0755},
        {"run", 0, 0700},
        {"run/qscd.sock", 0, 0600},
        {"db/samd", user("samd"), 0700},
        {"db/cad", user("cad"), 0700},
        {"tokens/samd", user("samd"), 0700},
        {"tokens/samd/softhsm2.conf", user("samd"), 0600},
        {"tokens/samd/tokens/1/token.object", user("samd"), 0600},
        {"outbox", user("notifierd"), 0700},
        {"log/samd.log", user("samd"), 0600},
        {"secrets/qscd-sam.pin", user("samd"), 0600},
        {"secrets/qscd-signers-1.pin", user("samd"), 0600},
        {"secrets/qscd-ra.pin", user("rad"), 0600},
        {"secrets/qscd-ca.pin", user("cad"), 0600},
        {"secrets/qscd-root.pin", 0, 0600},
        {"tls/gateway.key", user("gatewayd"), 0600},
        {"tls/gateway.pem", 0, 0644},
        {"tls/ca.pem", 0, 0644},
        {"tls/ca.key", 0, 0600},
        {"qscd.toml", 0, 0644},
        {"policy/policy.toml", 0, 0644},
        {"modules/softhsm2.toml", 0, 0644},
        {"pki/root.pem", 0, 0644},
        {"pki/registration-officers", 0, 0755},
        {"pki/registration-officers/first.pub.pem", 0, 0644},
        {"pki/registration-officers/first.key.pem", 0, 0600},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(state_of(in(row.path)).st_uid, row.owner) << row.path;
        EXPECT_EQ(state_of(in(row.path)).st_gid, row.owner) << row.path;
        EXPECT_EQ(mode_of(in(row.path)), row.mode) << row.path;
    }
}

TEST_F(OwnershipTest, IsNotTrickedByLinksThatADaemonPlanted) {
    NEEDS_ROOT();
    write(top_ / "shadow", "root's");
    fs::create_directories(in("db/samd"));
    fs::create_symlink(top_ / "shadow", in("db/samd/samd.sqlite"));
    launch();
    EXPECT_THAT(hear(), HasSubstr("db/samd/samd.sqlite: a symbolic link cannot stand here"));
    EXPECT_EQ(wait(), 1);
    fs::remove(in("db/samd/samd.sqlite"));
    fs::create_hard_link(top_ / "shadow", in("db/samd/samd.sqlite"));
    launch();
    EXPECT_THAT(hear(), HasSubstr("db/samd/samd.sqlite: a file with a second name cannot stand here"));
    EXPECT_EQ(wait(), 1);
    EXPECT_EQ(state_of(top_ / "shadow").st_uid, 0U);
}

TEST_F(OwnershipTest, SaysSeparationOffWhereTheFolderIsOutOfReach) {
    NEEDS_ROOT();
    fs::create_directories(top_ / "closed");
    fs::rename(deployment_.folder, top_ / "closed/deployment");
    fs::permissions(top_ / "closed", fs::perms{0700});
    deployment_.folder = top_ / "closed/deployment";
    fs::permissions(deployment_.folder, fs::perms{0750});
    start();
    EXPECT_EQ(separation("separation"), "off");
    EXPECT_THAT(separation("separation_reason"), HasSubstr("folder is out of reach of user 61200"));
    for (const auto& each : daemons()) EXPECT_EQ(each.uid, 0);
    EXPECT_THAT(ids_of(daemon("samd").pid), HasSubstr("Uid:\t0\t0\t0\t0"));
    EXPECT_EQ(mode_of(deployment_.folder), 0750U) << "opened for the trial alone";
    EXPECT_EQ(state_of(in("db/samd")).st_uid, 0U);
    EXPECT_EQ(mode_of(in("secrets/qscd-sam.pin")), 0600U) << "closed in any case";
}

TEST_F(OwnershipTest, SaysSeparationOffWhereABinaryIsOutOfReach) {
    NEEDS_ROOT();
    fs::permissions(binaries() / "echo", fs::perms{0700});
    start();
    EXPECT_THAT(separation("separation_reason"),
                testing::MatchesRegex("the daemon's binary is out of reach of user 61200 .*"));
}

TEST_F(OwnershipTest, SaysSeparationOffWhenTheDeploymentDoesNotWantIt) {
    deployment_.own_users = false;
    start();
    EXPECT_EQ(separation("separation"), "off");
    EXPECT_EQ(separation("separation_reason"), "own_users is false in qscd.toml");
}

// What `user` is told at the socket, with a question or, where it is empty, without one.
std::string answer_to(uid_t user, const fs::path& socket_path, std::string_view question) {
    int ends[2];
    if (::pipe(ends) != 0) return "no pipe";
    const auto pid = ::fork();
    if (pid == 0) {
        if (::setgroups(0, nullptr) != 0 || ::setgid(user) != 0 || ::setuid(user) != 0) ::_exit(1);
        const Descriptor socket{::socket(AF_UNIX, SOCK_SEQPACKET, 0)};
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        socket_path.string().copy(address.sun_path, sizeof address.sun_path - 1);
        std::string text = "no connection";
        if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
            if (!question.empty()) (void)process::send_control(socket.get(), question);
            const auto answer = process::receive_control(socket.get());
            text = answer ? answer.value().text : "no answer";
        }
        (void)!::write(ends[1], text.data(), text.size());
        ::_exit(0);
    }
    ::close(ends[1]);
    std::string text(256, '\0');
    const auto count = ::read(ends[0], text.data(), text.size());
    text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    ::close(ends[0]);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return text;
}

TEST_F(OwnershipTest, TheOwnersSocketAnswersNobodyElse) {
    NEEDS_ROOT();
    start();
    const auto socket = in("run/qscd.sock");
    EXPECT_EQ(answer_to(0, socket, "connect samd"), "ok");
    EXPECT_EQ(answer_to(user("gatewayd"), socket, "connect samd"), "no connection");
    fs::permissions(in("run"), fs::perms{0755});
    fs::permissions(socket, fs::perms{0666});
    EXPECT_EQ(answer_to(user("gatewayd"), socket, ""), "error only the owner of the deployment may ask")
        << "not even where the modes were opened by mistake";
    EXPECT_NE(answer_to(user("gatewayd"), socket, "connect samd"), "ok");
}

}  // namespace
}  // namespace qscd::supervisor
