// What breaks around the product: the HSM goes away and comes back, daemons are killed, nobody listens who should not.
#include <csignal>
#include <gmock/gmock.h>
#include <sstream>
#include <unistd.h>

#include "base/file.hpp"
#include "tests/integration/refusal.hpp"

namespace qscd::integration {
namespace {

using testing::HasSubstr;

[[maybe_unused]] const auto* const stage = testing::AddGlobalTestEnvironment(new Stage);

// Takes a folder away for as long as it lives.
class Away {
public:
    explicit Away(fs::path folder) : folder_(std::move(folder)), hidden_(folder_.string() + ".away") {
        fs::rename(folder_, hidden_);
    }
    ~Away() { back(); }
    void back() {
        if (fs::exists(hidden_)) fs::rename(hidden_, folder_);
    }

private:
    fs::path folder_, hidden_;
};

const Refusal away{503, "temporarily_unavailable", temporarily_unavailable_text, "token_away"};

void expect_unavailable(const Evidence& evidence, const Answer& answer) {
    EXPECT_EQ(answer.status, away.status) << answer;
    EXPECT_EQ(answer.error, away.error);
    EXPECT_EQ(answer.description, away.description);
    ASSERT_FALSE(evidence.gateway().empty());
    EXPECT_EQ(evidence.gateway().back().status, "503");
    EXPECT_EQ(evidence.gateway().back().error, away.reason);
}

TEST(Hsm, AwayIs503AndBackIsWorkWithoutARestart) {
    auto& cast = Stage::cast();
    const std::vector<Bytes> hashes{hash_numbered(1), hash_numbered(2)};
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
    const auto before = cast.deployment.daemons();
    for (int round = 0; round < 2; ++round) {
        const SigningRequest request{cast.anna_qscd.id, sad, {hashes.at(static_cast<std::size_t>(round))}};
        const Evidence evidence{cast.deployment};
        Away token{cast.deployment.in("tokens/samd/tokens")};
        const auto code = cast.anna.code_at(cast.deployment.now());
        expect_unavailable(evidence, cast.portal_1.sign(request));
        expect_unavailable(evidence,
                           cast.portal_1.authorise(cast.anna_qscd.id, hashes, {cast.anna.pin(), "TOTP", code}));
        EXPECT_TRUE(eventually([&] { return !cast.deployment.ready(); })) << "health says so";
        EXPECT_THAT(cast.deployment.https("GET", "/health/ready").body, HasSubstr("token_away"));
        EXPECT_EQ(cast.deployment.https("GET", "/health/live").status, 200U);
        EXPECT_EQ(evidence.count("signed"), 0U);

        token.back();
        Answer answer;
        EXPECT_TRUE(eventually([&] { return (answer = cast.portal_1.sign(request)).status == 200; })) << answer;
        EXPECT_EQ(evidence.count("signed"), 1U);
        EXPECT_TRUE(eventually([&] { return cast.deployment.ready(); }));
    }
    const auto again = cast.portal_1.sad_for(cast.anna, cast.anna_lcp, hashes);
    EXPECT_EQ(cast.portal_1.sign({cast.anna_lcp.id, again, hashes}).status, 200U);
    for (const auto& [name, daemon] : cast.deployment.daemons()) EXPECT_EQ(daemon.pid, before.at(name).pid) << name;
}

TEST(Hsm, OfTheCaAwayDelaysEnrolmentAndNothingElse) {
    auto& cast = Stage::cast();
    const auto enrolment = cast.boris.begin("qscd-sms", "P-384");
    cast.deployment.kill_daemons({"cad"});  // so that it has to open its token
    Away token{cast.deployment.in("tokens/cad/tokens")};
    EXPECT_THROW(cast.boris.finish(enrolment, "qscd-sms", "P-384"), std::runtime_error);
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, {hash_numbered(1)});
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, sad, {hash_numbered(1)}}).status, 200U);
    token.back();
    std::optional<Credential> credential;
    EXPECT_TRUE(eventually([&] {
        try {
            credential = cast.boris.finish(enrolment, "qscd-sms", "P-384");
        } catch (const std::runtime_error&) {}
        return credential.has_value();
    }));
    ASSERT_TRUE(credential);
    const auto signed_again = cast.portal_2.sad_for(cast.boris, *credential, {hash_numbered(1)});
    EXPECT_EQ(cast.portal_2.sign({credential->id, signed_again, {hash_numbered(1)}}).status, 200U);
}

class Killed : public testing::TestWithParam<const char*> {};

TEST_P(Killed, IsStartedAgainAndEverythingWorks) {
    auto& cast = Stage::cast();
    const std::string name = GetParam();
    const auto before = cast.deployment.daemons();
    cast.deployment.kill_daemons({name});
    EXPECT_TRUE(eventually([&] { return cast.serves(); }));
    const auto after = cast.deployment.daemons();
    for (const auto& [each, daemon] : after) EXPECT_EQ(daemon.pid == before.at(each).pid, each != name) << each;

    const std::vector<Bytes> hashes{hash_numbered(1)};
    const auto app = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
    EXPECT_EQ(cast.portal_1.sign({cast.anna_qscd.id, app, hashes}).status, 200U);
    const auto sms = cast.portal_2.sad_for(cast.boris, cast.boris_sms, hashes);
    EXPECT_EQ(cast.portal_2.sign({cast.boris_sms.id, sms, hashes}).status, 200U);
    for (const auto* list : {"/crl/root.crl", "/crl/qualified.crl", "/crl/lcp.crl"})
        EXPECT_EQ(cast.deployment.http(list).status, 200U) << list;
    const auto thrown = cast.throw_away("lcp-totp");
    const auto fresh = thrown.portal.sad_for(*thrown.signer, thrown.credential, hashes);
    EXPECT_EQ(thrown.portal.sign({thrown.credential.id, fresh, hashes}).status, 200U);
}
INSTANTIATE_TEST_SUITE_P(EachDaemon, Killed, testing::Values("samd", "gatewayd", "rad", "cad", "statusd", "notifierd"),
                         [](const auto& each) { return std::string{each.param}; });

TEST(Killed, ManyTimesAmidRequestsSignsNothingTwice) {
    auto& cast = Stage::cast();
    cast.deployment.stop();
    cast.deployment.start();
    std::vector<Bytes> hashes;
    for (unsigned i = 0; i < 3; ++i) hashes.push_back(hash_numbered(i));
    const auto sad = cast.portal_1.sad_for(cast.anna, cast.anna_qscd, hashes);
    const Evidence evidence{cast.deployment};
    std::size_t got = 0;
    for (const auto& hash : hashes) {
        const auto victim = cast.deployment.daemons().at("samd").pid;
        ::kill(victim, SIGKILL);
        got += cast.portal_1.sign({cast.anna_qscd.id, sad, {hash}}).status == 200 ? 1U : 0U;
        ASSERT_TRUE(eventually([&] { return cast.deployment.daemons().at("samd").pid != victim && cast.serves(); }));
        for (int again = 0; again < 2; ++again)
            got += cast.portal_1.sign({cast.anna_qscd.id, sad, {hash}}).status == 200 ? 1U : 0U;
    }
    EXPECT_LE(got, hashes.size()) << "each occurrence once";
    EXPECT_LE(evidence.count("signed"), hashes.size());
    EXPECT_EQ(evidence.intents(),
              evidence.count("signed") + evidence.count("sign-outcome-unknown") + evidence.count("sign-failed"))
        << "each intent has its result";
}

// --- listening ---

struct Listener {
    std::string address;
    unsigned port;
};
// Sockets that listen, by their inode, from one of the kernel's tables.
std::map<std::string, Listener> listeners_in(const char* table) {
    std::map<std::string, Listener> out;
    std::istringstream lines{required(read_file(table), table)};
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        std::istringstream words{line};
        std::string number, local, remote, state, skip, inode;
        words >> number >> local >> remote >> state >> skip >> skip >> skip >> skip >> skip >> inode;
        if (state != "0A") continue;
        const auto colon = local.find(':');
        out["socket:[" + inode + "]"] = {local.substr(0, colon),
                                         static_cast<unsigned>(std::stoul(local.substr(colon + 1), nullptr, 16))};
    }
    return out;
}

TEST(Network, OnlyGatewaydAndStatusdListenEachOnItsPortOfLoopback) {
    if (::geteuid() != 0) GTEST_SKIP() << "the daemons' descriptors are shown to root alone";
    auto& cast = Stage::cast();
    auto listeners = listeners_in("/proc/net/tcp");
    listeners.merge(listeners_in("/proc/net/tcp6"));
    std::vector<std::string> found;
    for (const auto& [name, daemon] : cast.deployment.daemons()) {
        std::size_t seen = 0;
        for (const auto& each : fs::directory_iterator{"/proc/" + std::to_string(daemon.pid) + "/fd"}) {
            ++seen;
            std::error_code gone;
            const auto listener = listeners.find(fs::read_symlink(each.path(), gone).string());
            if (listener != listeners.end())
                found.push_back(name + " " + listener->second.address + " " + std::to_string(listener->second.port));
        }
        EXPECT_GT(seen, 3U) << name;
    }
    const auto& settings = cast.deployment.settings();
    EXPECT_THAT(found, testing::UnorderedElementsAre("gatewayd 0100007F " + std::to_string(settings.api.port),
                                                     "statusd 0100007F " + std::to_string(settings.status.port)));
}

}  // namespace
}  // namespace qscd::integration
