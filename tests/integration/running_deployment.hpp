// A whole deployment in a temporary folder, made and run by the real `qscd` binary: `qscd init`, `qscd up` with the
// daemons whose clock is a file, fresh SoftHSM2 tokens, free ports. Its stores are SQLite files or, where the environment
// says QSCD_TEST_STORE=postgresql, on a PostgreSQL server of its own. Stopping asserts a clean end.
// Thread rules: one thread; one deployment at a time owns this process's test clock.
#pragma once

#include <filesystem>

#include "base/clock.hpp"
#include "base/json/object.hpp"
#include "base/net/client.hpp"
#include "policy/deployment.hpp"
#include "protocol/channel.hpp"
#include "tests/instruments/cluster/cluster.hpp"
#include "tests/integration/program.hpp"

namespace qscd::integration {

namespace fs = std::filesystem;

extern const fs::path source_folder, binary_folder;  // of this build

class RunningDeployment {
public:
    struct How {
        fs::path qscd = QSCD_BINARY;                                // which runs `up`; from top() on, daemons beside it
        std::vector<std::string> up = {};                           // more words for it
        std::vector<std::string> init = {};                         // more words for `qscd init`
        std::function<void(RunningDeployment&)> before_start = {};  // made, not started
    };
    explicit RunningDeployment(How how);  // made, started, ready
    RunningDeployment() : RunningDeployment(How{}) {}
    ~RunningDeployment();  // stopped, removed
    RunningDeployment(const RunningDeployment&) = delete;
    RunningDeployment& operator=(const RunningDeployment&) = delete;

    const fs::path& top() const { return top_; }  // beside the deployment there is room for a test's own files
    fs::path in(std::string_view path) const { return top_ / "deployment" / path; }
    instruments::Cluster* cluster() const { return cluster_.get(); }  // null on SQLite
    const policy::Deployment& settings() const { return *settings_; }

    void start();
    int stop();  // SIGTERM; the exit code of `qscd up`, which must be 0
    pid_t supervisor() const { return supervisor_; }
    struct Daemon {
        pid_t pid = 0;
        std::int64_t restarts = 0;
        bool ready = false;
    };
    std::map<std::string, Daemon> daemons() const;
    void kill_daemons(const std::vector<std::string>& names);  // SIGKILL, all at once; returns when they are back
    bool ready();                                              // what /health/ready says now

    // Time of the test daemons, of this process and of nobody else.
    TimePoint now() const { return process_clock().now(); }
    void advance(std::chrono::seconds by);

    // `qscd --deployment …`. answer() adds --json and wants success.
    Finished qscd(std::vector<std::string> words, const std::map<int, std::string>& secrets = {}) const;
    json::Object answer(std::vector<std::string> words, const std::map<int, std::string>& secrets = {}) const;

    // As the owner, under the role "bootstrap": what `qscd` itself uses.
    template <class Reply>
    Result<Reply> ask(std::string_view daemon, const google::protobuf::Message& request) const {
        QSCD_TRY(auto client, owner_of(daemon));
        return client->template call<Reply>(request);
    }
    Result<std::unique_ptr<protocol::Client>> owner_of(std::string_view daemon) const;

    net::ClientResponse https(std::string_view verb, std::string_view path, const net::Headers& headers = {},
                              std::string_view body = {});
    net::Client another_client() const;               // with a connection of its own
    net::ClientResponse http(std::string_view path);  // of statusd

    // What must never be found in a log or a store.
    void remember_secret(std::string text) { secrets_.push_back(std::move(text)); }
    const std::vector<std::string>& secrets() const { return secrets_; }

private:
    How how_;
    fs::path top_;
    std::unique_ptr<instruments::Cluster> cluster_;
    std::optional<policy::Deployment> settings_;
    pid_t supervisor_ = 0;
    std::chrono::seconds offset_{0};
    std::optional<net::Client> api_;
    std::vector<std::string> secrets_;
};

}  // namespace qscd::integration
