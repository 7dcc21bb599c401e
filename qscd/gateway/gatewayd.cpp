// qscd-gatewayd: the public face. HTTPS, the CSC API and OAuth; no key and no PIN stay here.
#include <atomic>

#include "base/diagnostics.hpp"
#include "base/net/server.hpp"
#include "base/process/daemon.hpp"
#include "protocol/channel.hpp"
#include "qscd/gateway/administration.hpp"
#include "qscd/gateway/channels.hpp"
#include "qscd/gateway/front_door.hpp"

namespace qscd::gateway {
namespace {

// With any free port, the address that qscd.toml gives has none yet.
void settle_public_url(policy::Deployment& deployment, std::uint16_t port) {
    constexpr std::string_view no_port = ":0";
    auto& url = deployment.public_url;
    if (url.ends_with(no_port)) url.replace(url.size() - no_port.size(), no_port.size(), ":" + std::to_string(port));
}

class Gatewayd : public process::Daemon {
public:
    static Result<std::unique_ptr<process::Daemon>> start(const std::filesystem::path& folder) {
        QSCD_TRY(auto deployment, policy::Deployment::load(folder));
        QSCD_TRY(auto policy, policy::Policy::load(deployment.policy_file()));
        QSCD_TRY(auto authorities, CaCertificates::load(deployment));
        std::error_code failed;
        std::filesystem::create_directories(deployment.daemon_folder("gatewayd"), failed);
        QSCD_TRY(const auto database, deployment.database("gatewayd"));
        QSCD_TRY(auto access, Access::open(database, process_clock()));
        if (policy.has_trial()) note(Level::warning, "policy-trial");
        auto out = std::unique_ptr<Gatewayd>{
            new Gatewayd{std::move(deployment), std::move(policy), std::move(authorities), std::move(access)}};
        QSCD_TRY(out->open_door());
        return std::unique_ptr<process::Daemon>{std::move(out)};
    }

    void connection(process::Connection connection) override {
        if (connection.we_ask && connection.peer == "samd") return sam_client_.connect(std::move(connection.socket));
        if (connection.we_ask && connection.peer == "rad") return ra_client_.connect(std::move(connection.socket));
        if (!connection.we_ask && connection.peer == "bootstrap")
            return server_.serve(std::move(connection.socket), std::move(connection.peer));
        note(Level::warning, "connection-refused", {{"peer", connection.peer}});
    }
    void stop() override {
        web_->stop();
        server_.stop();
    }

private:
    Gatewayd(policy::Deployment deployment, policy::Policy policy, CaCertificates authorities,
             std::unique_ptr<Access> access)
        : deployment_(std::move(deployment)),
          policy_(std::move(policy)),
          authorities_(std::move(authorities)),
          access_(std::move(access)),
          server_([this](const std::string& role, ByteView request, protocol::Responder responder) {
              answer(role, request, responder);
          }) {}

    // Requests wait behind `settled_` for the moment in which the port is known.
    Result<void> open_door() {
        net::Settings settings;
        settings.address = deployment_.api.host;
        settings.port = deployment_.api.port;
        settings.tls = net::Tls{deployment_.folder / "tls" / "gateway.pem", deployment_.folder / "tls" / "gateway.key"};
        settings.handler = [this](const net::Request& request) {
            settled_.wait(false);
            return door_.answer(request);
        };
        settings.on_refusal = FrontDoor::refuse;
        QSCD_TRY(web_, net::Server::start(std::move(settings)));
        settle_public_url(deployment_, web_->port());
        settled_ = true;
        settled_.notify_all();
        const auto file = deployment_.daemon_folder("gatewayd") / "port";
        return write_file(file, std::to_string(web_->port()) + "\n");
    }

    void answer(const std::string& role, ByteView request, const protocol::Responder& responder) {
        const auto reply = administration_.answer(role, request);
        if (reply) return responder.answer(*reply.value());
        note(Level::warning, "administration-refused", {{"role", role}, {"reason", describe(reply.error())}});
        responder.fail(reply.error());
    }

    policy::Deployment deployment_;
    policy::Policy policy_;
    CaCertificates authorities_;
    std::unique_ptr<Access> access_;
    protocol::Client sam_client_{"samd"}, ra_client_{"rad"};
    SamChannel sam_{sam_client_};
    RegistrationChannel registration_{ra_client_};
    CredentialDirectory directory_{sam_, registration_, *access_, policy_};
    Health health_{sam_, registration_, *access_, policy_};
    Administration administration_{*access_, health_, policy_};
    Service service_{sam_, *access_, directory_, health_, authorities_, policy_, deployment_, process_clock()};
    FrontDoor door_{service_};
    std::atomic<bool> settled_{false};
    protocol::Server server_;
    std::unique_ptr<net::Server> web_;  // dies first: its handlers use all the rest
};

}  // namespace
}  // namespace qscd::gateway

int main(int argc, char** argv) {
    return qscd::process::run("qscd-gatewayd", argc, argv, qscd::gateway::Gatewayd::start);
}
