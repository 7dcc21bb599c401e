#include "tests/integration/running_deployment.hpp"

#include <csignal>
#include <cstdlib>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <random>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.hpp"
#include "protocol/sam.pb.h"
#include "qscd/supervisor/client.hpp"
#include "tests/instruments/cluster/place.hpp"

namespace qscd::integration {
namespace {

constexpr std::chrono::seconds start_patience{60};

// Below the range that the kernel gives to outgoing connections, so that nobody takes it between two starts.
std::uint16_t free_port() {
    std::random_device random;
    std::uniform_int_distribution<unsigned> ports{20'000, 31'999};
    for (int tries = 0; tries < 200; ++tries) {
        const auto port = static_cast<std::uint16_t>(ports(random));
        const Descriptor socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return port;
    }
    throw std::runtime_error{"no free port"};
}

}  // namespace

const fs::path source_folder{QSCD_SOURCE_DIR}, binary_folder{fs::path{QSCD_BINARY}.parent_path()};

RunningDeployment::RunningDeployment(How how) : how_(std::move(how)) {
    std::string pattern = (fs::temp_directory_path() / "qscd-integration-XXXXXX").string();
    require(::mkdtemp(pattern.data()) != nullptr, "a temporary folder");
    top_ = pattern;
    fs::permissions(top_, fs::perms{0755});  // the daemons' own users pass through
    ::setenv("QSCD_TEST_CLOCK_FILE", (top_ / "clock").c_str(), 1);
    advance(std::chrono::seconds{0});
    const auto api = free_port();
    auto status = free_port();
    while (status == api) status = free_port();
    std::vector<std::string> words{"init",
                                   "--policy",
                                   source_folder / "packaging/demo/policy.toml",
                                   "--modules",
                                   source_folder / "hsm-config/modules",
                                   "--organisation",
                                   "qscd TEST",
                                   "--api-port",
                                   std::to_string(api),
                                   "--status-port",
                                   std::to_string(status)};
    words.insert(words.end(), how_.init.begin(), how_.init.end());
    if (instruments::on_postgresql()) {
        cluster_ = std::make_unique<instruments::Cluster>();
        words.insert(words.end(), {"--store", cluster_->url("admin")});
    }
    const auto made = qscd(words);
    require(made.exit_code == 0, "qscd init: " + made.err);
    settings_ = required(policy::Deployment::load(top_ / "deployment"), "qscd.toml");
    for (const auto& each : fs::directory_iterator{in("secrets")})
        remember_secret(required(read_file(each.path()), "a token's PIN"));
    api_.emplace(another_client());
    if (how_.before_start) how_.before_start(*this);
    start();
}

RunningDeployment::~RunningDeployment() {
    if (supervisor_ > 0) stop();
    std::error_code ignored;
    if (testing::UnitTest::GetInstance()->Failed()) (void)std::fprintf(stderr, "kept: %s\n", top_.c_str());
    else fs::remove_all(top_, ignored);
}

void RunningDeployment::start() {
    std::vector<std::string> words{top_ / how_.qscd, "--deployment", in(""), "up", "--test-binaries"};
    words.insert(words.end(), how_.up.begin(), how_.up.end());
    supervisor_ = start_program(words, top_ / "up.log");
    const bool good = eventually(
        [&] {
            if (::waitpid(supervisor_, nullptr, WNOHANG) != 0)
                require(false, "qscd up ended: " + required(read_file(top_ / "up.log"), "up.log"));
            return ready();
        },
        start_patience);
    require(good, "the deployment does not become ready");
}

int RunningDeployment::stop() {
    ::kill(supervisor_, SIGTERM);
    int status = 0;
    const auto ended = eventually([&] { return ::waitpid(supervisor_, &status, WNOHANG) == supervisor_; });
    EXPECT_TRUE(ended) << "qscd up does not stop";
    supervisor_ = 0;
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    EXPECT_EQ(code, 0);
    return code;
}

std::map<std::string, RunningDeployment::Daemon> RunningDeployment::daemons() const {
    std::map<std::string, Daemon> out;
    const auto said = qscd({"--json", "status"});
    const auto text = json::Object::parse(said.out);
    if (said.exit_code != 0 || !text) return out;
    const auto all = text.value().objects("daemons", 100);
    for (const auto& each : all.value())
        out[each.string("name", 100).value()] = {static_cast<pid_t>(each.integer("pid").value()),
                                                 each.integer("restarts").value(),
                                                 each.string("state", 100).value() == "ready"};
    return out;
}

namespace {
constexpr std::chrono::seconds one_step{31};
}  // namespace

void RunningDeployment::kill_daemons(const std::vector<std::string>& names) {
    const auto before = daemons();
    for (const auto& name : names) {
        require(before.contains(name) && before.at(name).pid > 1, name + " does not run");
        ::kill(before.at(name).pid, SIGKILL);
    }
    const bool back = eventually([&] {
        auto after = daemons();
        return std::ranges::all_of(names, [&](const auto& name) {
            return after[name].ready && after[name].restarts > before.at(name).restarts;
        });
    });
    require(back, "a killed daemon is not started again");
    // The new links reach the others, and health forgets what it knew a second ago.
    const bool samd_too = std::ranges::count(names, "samd") != 0;
    pb::SamRequest health;
    health.mutable_health();
    const bool good = eventually([&] {
        // The fourth unclean start of a day waits for people. The gateway remembers its last look: samd itself is asked.
        const auto said = ask<pb::SamHealthReport>("samd", health);
        if (samd_too && (!said || !said.value().store())) {
            std::ignore = qscd({"sam", "unseal", "--reason", "killed by a test"});
            return false;
        }
        return ready() && https("GET", "/health/ready").body.find("away") == std::string::npos;
    });
    require(good, "the service is not ready again");
    if (samd_too) advance(one_step);  // with the next fresh code past the floor: steps up to the kill's next are spent
}

bool RunningDeployment::ready() {
    const auto said = api_->request("GET", "/health/ready");
    return said && said.value().status == 200;
}

void RunningDeployment::advance(std::chrono::seconds by) {
    offset_ += by;
    required(write_file(top_ / "clock", "+" + std::to_string(offset_.count())), "the clock");  // renamed: never half
}

Finished RunningDeployment::qscd(std::vector<std::string> words, const std::map<int, std::string>& secrets) const {
    words.insert(words.begin(), {QSCD_BINARY, "--deployment", in("")});
    return run_program(words, secrets);
}

json::Object RunningDeployment::answer(std::vector<std::string> words,
                                       const std::map<int, std::string>& secrets) const {
    words.insert(words.begin(), "--json");
    const auto said = qscd(words, secrets);
    require(said.exit_code == 0, "qscd " + words[1] + " " + words[2] + ": " + said.err);
    return required(json::Object::parse(said.out), "what qscd answers");
}

Result<std::unique_ptr<protocol::Client>> RunningDeployment::owner_of(std::string_view daemon) const {
    QSCD_TRY(auto socket, supervisor::connect_to(*settings_, daemon));
    auto client = std::make_unique<protocol::Client>(std::string{daemon});
    client->connect(std::move(socket));
    return client;
}

net::ClientResponse RunningDeployment::https(std::string_view verb, std::string_view path, const net::Headers& headers,
                                             std::string_view body) {
    return required(api_->request(verb, path, headers, body), "HTTPS");
}

net::Client RunningDeployment::another_client() const {
    net::Endpoint endpoint{.host = "localhost", .port = settings_->api.port};
    endpoint.ca_pem = in("tls/ca.pem");
    return net::Client{std::move(endpoint)};
}

net::ClientResponse RunningDeployment::http(std::string_view path) {
    net::Client client{net::Endpoint{.tls = false, .host = "127.0.0.1", .port = settings_->status.port}};
    return required(client.request("GET", path), "HTTP");
}

}  // namespace qscd::integration
