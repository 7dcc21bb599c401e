// The demo as people start it: fresh, again on what is there, and from the beginning while it goes on serving. What it
// leaves in demo.json is enough for any program to sign with.
#include <csignal>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/file.hpp"
#include "base/json/object.hpp"
#include "base/net/client.hpp"
#include "base/openssl.hpp"
#include "tests/integration/running_deployment.hpp"

namespace qscd::integration {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;

constexpr std::size_t longest = 10'000;

class Demo : public testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "qscd-demo-XXXXXX").string();
        require(::mkdtemp(pattern.data()) != nullptr, "a temporary folder");
        top_ = pattern;
        fs::permissions(top_, fs::perms{0755});
        ::setenv("QSCD_BIN", binary_folder.c_str(), 1);
        ::unsetenv("QSCD_TEST_CLOCK_FILE");
    }
    void TearDown() override {
        std::error_code ignored;
        if (!HasFailure()) fs::remove_all(top_, ignored);
    }
    std::vector<std::string> words(std::vector<std::string> more) const {
        more.insert(more.begin(), {source_folder / "packaging/demo/demo.sh", "--dir", top_});
        return more;
    }
    json::Object demo_json() const {
        const auto path = top_ / "demo.json";
        struct stat state{};
        require(::stat(path.c_str(), &state) == 0, "demo.json");
        EXPECT_EQ(state.st_mode & 07777U, 0600U);
        return required(json::Object::parse(required(read_file(path), "demo.json")), "demo.json");
    }
    static std::string text(const json::Object& object, const char* name) {
        return required(object.string(name, longest), name);
    }
    bool runs() const {
        return run_program({QSCD_BINARY, "--deployment", top_ / "deployment", "status"}).exit_code == 0;
    }
    fs::path top_;
};

void expect_contract(const json::Object& demo) {
    for (const char* name : {"base_url_v1", "base_url_v2", "oauth_issuer", "admin_url", "status_url", "tsa_url",
                             "tls_ca", "trust_root", "issuing_cas", "client_id", "client_secret", "redirect_uri",
                             "client_jwk", "service_token", "signers", "sms_outbox", "mail_outbox", "officers", "pids"})
        EXPECT_TRUE(demo.members().contains(name)) << name;
    EXPECT_THAT(demo.string("base_url_v2", longest).value(), EndsWith("/csc/v2"));
    const auto authorities = demo.strings("issuing_cas", 10, longest).value();
    EXPECT_EQ(authorities.size(), 2U);
    for (const auto& path : {demo.string("tls_ca", longest).value(), demo.string("trust_root", longest).value(),
                             authorities.at(0), authorities.at(1), demo.string("sms_outbox", longest).value()})
        EXPECT_TRUE(fs::exists(path)) << path;
    const auto pids = demo.object("pids").value();
    for (const char* daemon : {"gatewayd", "rad", "cad", "samd", "statusd", "notifierd"})
        EXPECT_TRUE(pids.integer(std::string{"qscd-"} + daemon)) << daemon;

    struct Row {
        std::string type, algorithm, authorization, policy;
        bool operator==(const Row&) const = default;
    };
    std::vector<std::vector<Row>> found;
    const auto signers = demo.objects("signers", 10).value();
    for (const auto& signer : signers) {
        for (const char* name : {"name", "username", "password", "email", "phone", "pin", "totp_secret_base32"})
            EXPECT_TRUE(signer.string(name, longest)) << name;
        EXPECT_EQ(signer.integer("totp_period").value(), 30);
        found.emplace_back();
        const auto credentials = signer.objects("credentials", 10).value();
        for (const auto& each : credentials) {
            EXPECT_EQ(each.string("placement", longest).value(), "resident");
            EXPECT_EQ(each.string("credentialID", longest).value().size(), 32U);
            const auto pem = required(read_file(each.string("certificate", longest).value()), "certificate");
            const auto certificate = required(certificate_from_pem(pem), "certificate");
            std::array<char, 512> issuer{}, subject{};
            X509_NAME_oneline(X509_get_issuer_name(certificate.get()), issuer.data(), issuer.size());
            X509_NAME_oneline(X509_get_subject_name(certificate.get()), subject.data(), subject.size());
            EXPECT_THAT(issuer.data(), HasSubstr("TEST"));
            EXPECT_THAT(subject.data(), testing::AnyOf(HasSubstr("TEST"), HasSubstr("Test")));
            found.back().push_back({each.string("type", longest).value(), each.string("algorithm", longest).value(),
                                    each.string("authorization", longest).value(),
                                    each.string("policy", longest).value()});
        }
    }
    EXPECT_THAT(found, ElementsAre(ElementsAre(Row{"QCP-n-qscd", "P-256", "PIN AND TOTP", "trial"},
                                               Row{"QCP-n-qscd", "RSA-3072", "PIN AND TOTP", "trial"},
                                               Row{"LCP", "P-256", "PIN AND TOTP", "trial"}),
                                   ElementsAre(Row{"QCP-n-qscd", "P-256", "PIN AND SMS", "trial"},
                                               Row{"QCP-n-qscd", "P-256", "PIN AND TOTP", "qualified"})));
}

std::string first_credential(const json::Object& demo) {
    const auto signers = demo.objects("signers", 10).value();
    const auto credentials = signers.at(0).objects("credentials", 10).value();
    return credentials.at(0).string("credentialID", longest).value();
}

TEST_F(Demo, SignsFreshAgainAndFromTheBeginningAndLeavesNothingRunning) {
    const auto fresh = run_program(words({"--once"}));
    ASSERT_EQ(fresh.exit_code, 0) << fresh.out << fresh.err;
    EXPECT_THAT(fresh.out, HasSubstr("openssl cms -verify -cades: good"));
    EXPECT_THAT(fresh.out, HasSubstr("every step succeeded"));
    EXPECT_FALSE(runs());
    const auto first = demo_json();
    expect_contract(first);

    const auto again = run_program(words({"--once"}));
    ASSERT_EQ(again.exit_code, 0) << again.out << again.err;
    EXPECT_THAT(again.out, HasSubstr("exists already"));
    EXPECT_FALSE(runs());
    const auto second = demo_json();
    expect_contract(second);
    EXPECT_EQ(first_credential(second), first_credential(first)) << "its state is used again";
    EXPECT_EQ(text(second, "client_secret"), text(first, "client_secret"));

    const auto stranger = start_program({"sleep", "600"}, top_ / "stranger.log");
    ASSERT_TRUE(write_file(top_ / "deployment/run/qscd.lock", std::to_string(stranger) + "\n")) << "as after a reboot";
    const auto demo = start_program(words({"--reset"}), top_ / "serving.log");
    const auto serving = [&] {
        return required(read_file(top_ / "serving.log"), "the demo's words").find("Serving until") !=
                   std::string::npos ||
               ::waitpid(demo, nullptr, WNOHANG) != 0;
    };
    ASSERT_TRUE(eventually([&] { return fs::exists(top_ / "serving.log") && serving(); }, std::chrono::seconds{90}));
    const auto third = demo_json();
    expect_contract(third);
    EXPECT_NE(first_credential(third), first_credential(first)) << "--reset starts over";
    EXPECT_EQ(::waitpid(stranger, nullptr, WNOHANG), 0) << "a stale lock names nobody of ours";
    ::kill(stranger, SIGKILL);
    ::waitpid(stranger, nullptr, 0);
    auto endpoint = required(net::Endpoint::from_url(text(third, "base_url_v2")), "URL");
    endpoint.ca_pem = text(third, "tls_ca");
    net::Client client{endpoint};
    const auto list = required(client.request("POST", "/credentials/list",
                                              {{"Content-Type", "application/json"},
                                               {"Authorization", "Bearer " + text(third, "service_token")}},
                                              R"({"userID":"anna"})"),
                               "credentials/list");
    EXPECT_EQ(list.status, 200U);
    EXPECT_THAT(list.body, HasSubstr(first_credential(third)));
    const auto over_it = run_program(words({"--reset", "--once"}));
    EXPECT_EQ(over_it.exit_code, 0) << over_it.out << over_it.err;
    EXPECT_TRUE(eventually([&] { return ::waitpid(demo, nullptr, WNOHANG) != 0; })) << "--reset stops who serves";
    EXPECT_NE(first_credential(demo_json()), first_credential(third));
    EXPECT_FALSE(runs());
}

TEST_F(Demo, SaysWhatItDoesNotUnderstand) {
    const auto said = run_program(words({"--twice"}));
    EXPECT_EQ(said.exit_code, 2);
    EXPECT_THAT(said.err, HasSubstr("--twice"));
}

}  // namespace
}  // namespace qscd::integration
