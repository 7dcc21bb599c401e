// [SAM-05] [SAM-20] [T-49] What a hundred signatures leave in memory, stores and logs. The daemons are looked through as
// root can; what a factor was must not be found where it was used.
#include <gmock/gmock.h>
#include <set>

#include "base/file.hpp"
#include "base/openssl.hpp"
#include "tests/integration/memory_scan.hpp"
#include "tests/integration/portal.hpp"
#include "tests/integration/secrets_check.hpp"

namespace qscd::integration {
namespace {

constexpr unsigned signers_of_a_kind = 5, signatures_each = 10;  // two kinds: a hundred signatures

// A POST over TLS of which the body's end never comes: what was sent waits in the gateway.
class HalfRequest {
public:
    HalfRequest(std::uint16_t port, const fs::path& ca, const std::string& secret) {
        const SslContext context{SSL_CTX_new(TLS_client_method())};
        require(SSL_CTX_load_verify_locations(context.get(), ca.c_str(), nullptr) == 1, "the deployment's CA");
        bio_.reset(BIO_new_ssl_connect(context.get()));
        BIO_set_conn_hostname(bio_.get(), ("127.0.0.1:" + std::to_string(port)).c_str());
        const std::string text =
            "POST /csc/v2/credentials/authorize HTTP/1.1\r\nHost: localhost\r\n"
            "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"PIN\":\"" +
            secret + "\"";
        require(BIO_write(bio_.get(), text.data(), static_cast<int>(text.size())) == static_cast<int>(text.size()),
                "half a request is sent: " + openssl_reason());
        (void)BIO_flush(bio_.get());
    }

private:
    BioPtr bio_;
};

// What an app holds; `secrets` of a deployment are of many kinds.
bool is_app_secret(const std::string& text) {
    return text.size() >= 32 && text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == std::string::npos;
}

// A deployment with a hundred signatures behind it, and every secret of them.
class Memory : public testing::Test {
protected:
    static void SetUpTestSuite() {
        deployment = std::make_unique<RunningDeployment>();
        std::vector<std::string> names;
        for (unsigned n = 0; n < 2 * signers_of_a_kind; ++n) {
            names.push_back("signer-" + std::to_string(n));
            signers.push_back(std::make_unique<Signer>(*deployment, names.back(), n + 1));
            credentials.push_back(signers.back()->enrol(n < signers_of_a_kind ? "qscd-totp" : "qscd-sms"));
            note("PIN of " + names.back(), signers.back()->pin());
        }
        for (const auto& each : deployment->secrets())
            if (is_app_secret(each)) canaries.push_back(as_base32_and_raw("app secret", each));
        ASSERT_EQ(std::ranges::count(canaries, "app secret", &Canary::name), signers_of_a_kind);
        portal = std::make_unique<Portal>(*deployment, "portal-1", names);
        for (unsigned n = 0; n < signers.size() * signatures_each; ++n) sign(n);
        ASSERT_EQ(signatures, 100U);
        ASSERT_EQ(canaries.size(), 2 * signatures + signers.size() + signers_of_a_kind);
    }
    static void TearDownTestSuite() {
        if (deployment) expect_no_secret_was_written(*deployment);
        portal.reset();
        signers.clear();
        deployment.reset();
    }
    static void sign(unsigned number) {
        auto& signer = *signers[number % signers.size()];
        const auto& credential = credentials[number % signers.size()];
        const auto hash = hash_numbered(number);
        const bool sms = credential.profile == "qscd-sms";
        if (sms) require(portal->challenge(credential.id, {hash}).status == 204, "getChallenge");
        const auto code = sms ? signer.sent_code() : signer.fresh_code();
        const auto answer = portal->authorise(credential.id, {hash}, {signer.pin(), sms ? "SMS" : "TOTP", code});
        require(answer.status == 200, "authorize: " + answer.body);
        const auto sad = answer.text("SAD");
        canaries.push_back(as_text((sms ? "SMS code " : "app code ") + std::to_string(number), code));
        canaries.push_back(as_base64url_and_raw("SAD token " + std::to_string(number), sad));
        if (portal->sign({credential.id, sad, {hash}}).status == 200) ++signatures;
    }
    static void note(std::string name, std::string text) {
        canaries.push_back(as_text(std::move(name), std::move(text)));
    }

    void SetUp() override {
        for (const auto& [name, daemon] : deployment->daemons()) pids_[name] = daemon.pid;
    }
    // Skips the test where this process may not look; only root may look into a process that cannot be dumped.
    std::vector<Finding> found_in(const std::string& daemon, const std::vector<Canary>& wanted) {
        auto found = scan_memory(pids_.at(daemon), wanted);
        if (!found) refusal_ = found.error().detail;
        return found ? found.value() : std::vector<Finding>{};
    }
    static std::set<std::string> names_of(const std::vector<Finding>& findings) {
        std::set<std::string> out;
        for (const auto& each : findings) out.insert(each.canary);
        return out;
    }

    std::map<std::string, pid_t> pids_;
    std::string refusal_;
    static inline std::unique_ptr<RunningDeployment> deployment;
    static inline std::vector<std::unique_ptr<Signer>> signers;
    static inline std::vector<Credential> credentials;
    static inline std::unique_ptr<Portal> portal;
    static inline std::vector<Canary> canaries;
    static inline unsigned signatures = 0;
};

#define NOTHING_IS_FOUND_IN(daemon, wanted)                                        \
    do {                                                                           \
        const auto found = found_in(daemon, wanted);                               \
        if (!refusal_.empty()) GTEST_SKIP() << "only root may look: " << refusal_; \
        EXPECT_THAT(found, testing::IsEmpty()) << (daemon);                        \
    } while (false)

TEST_F(Memory, SAM_05_T_49_SamdKeepsNoPinNoCodeNoSadTokenAndNoAppSecret) { NOTHING_IS_FOUND_IN("samd", canaries); }
TEST_F(Memory, SAM_05_NotifierdForgetsTheCodesThatItSent) { NOTHING_IS_FOUND_IN("notifierd", canaries); }
// Explicit mode shows PIN and code to the gateway while a request lasts, and no longer.
TEST_F(Memory, SAM_05_TheGatewayForgetsTheFactorsThatPassedThroughIt) { NOTHING_IS_FOUND_IN("gatewayd", canaries); }
TEST_F(Memory, SAM_05_NoOtherDaemonEverHadOne) {
    for (const auto* daemon : {"rad", "cad", "statusd"}) NOTHING_IS_FOUND_IN(daemon, canaries);
}

TEST_F(Memory, TheLookFindsWhatIsThere) {
    // In every daemon: where it runs.
    const std::vector<Canary> folder{as_text("folder", deployment->in("").parent_path().string())};
    for (const auto& [daemon, pid] : pids_) {
        const auto found = found_in(daemon, folder);
        if (!refusal_.empty()) GTEST_SKIP() << "only root may look: " << refusal_;
        EXPECT_THAT(found, testing::Not(testing::IsEmpty())) << daemon;
    }
    // In samd's heap: the names of its cells, as bytes.
    std::vector<Canary> names;
    for (const auto& each : credentials) names.push_back({each.id, {std::string{text_of(from_hex(each.id).value())}}});
    EXPECT_EQ(names_of(found_in("samd", names)).size(), credentials.size());
    // In the gateway: a PIN in a request that has not come to its end, and after its end no more.
    const std::string pin = "73910466";
    const std::vector<Canary> wanted{as_text("PIN of a request under way", pin)};
    {
        const HalfRequest half{deployment->settings().api.port, deployment->in("tls/ca.pem"), pin};
        EXPECT_TRUE(eventually([&] { return !found_in("gatewayd", wanted).empty(); }));
    }
    EXPECT_TRUE(eventually([&] { return found_in("gatewayd", wanted).empty(); })) << "the connection is gone";
}

TEST_F(Memory, SAM_20_T_49_IsLockedWholeAndNothingOfItIsSwappedOut) {
    const auto said = json::Object::parse(deployment->qscd({"--json", "status"}).out).value();
    if (!said.strings("samd_missing", 16, 100).value().empty()) GTEST_SKIP() << "this machine lets nobody lock memory";
    for (const auto& [daemon, pid] : pids_) {
        const auto status = required(read_file("/proc/" + std::to_string(pid) + "/status"), "status");
        const auto number = [&](const std::string& name) {
            return std::stol(status.substr(status.find(name) + name.size()));
        };
        EXPECT_EQ(number("VmSwap:"), 0) << daemon;
        EXPECT_GT(number("VmLck:"), number("VmRSS:")) << daemon;
    }
}

}  // namespace
}  // namespace qscd::integration
