// qscd-statusd: certificate status for everybody.
#include "base/diagnostics.hpp"
#include "base/net/server.hpp"
#include "base/process/daemon.hpp"
#include "ca/status/requests.hpp"
#include "ca/status/web.hpp"
#include "policy/deployment.hpp"
#include "protocol/channel.hpp"

namespace qscd::ca {
namespace {

constexpr unsigned web_workers = 8;

class Statusd : public process::Daemon {
public:
    static Result<std::unique_ptr<process::Daemon>> start(const std::filesystem::path& folder) {
        QSCD_TRY(const auto deployment, policy::Deployment::load(folder));
        QSCD_TRY(auto publications, Publications::open(deployment.daemon_folder("statusd") / "published"));
        auto out = std::unique_ptr<Statusd>{new Statusd{std::move(publications)}};
        net::Settings settings;
        settings.address = deployment.status.host;
        settings.port = deployment.status.port;
        settings.worker_threads = web_workers;
        settings.handler = [&publications = *out->publications_](const net::Request& request) {
            return answer_web(publications, request, process_clock().now());
        };
        QSCD_TRY(out->web_, net::Server::start(std::move(settings)));
        return std::unique_ptr<process::Daemon>{std::move(out)};
    }

    void connection(process::Connection connection) override {
        if (!connection.we_ask) return server_.serve(std::move(connection.socket), std::move(connection.peer));
        note(Level::warning, "connection-refused", {{"peer", connection.peer}});
    }
    void stop() override {
        web_->stop();
        server_.stop();
    }

private:
    explicit Statusd(std::unique_ptr<Publications> publications)
        : publications_(std::move(publications)),
          requests_(*publications_, process_clock()),
          server_([this](const std::string& role, ByteView request,
                         protocol::Responder responder) { answer(role, request, responder); },
                  protocol::publication_limit) {}

    void answer(const std::string& role, ByteView request, const protocol::Responder& responder) {
        const auto reply = requests_.answer(role, request);
        if (reply) return responder.answer(*reply.value());
        note(Level::warning, "request-refused", {{"role", role}, {"reason", describe(reply.error())}});
        responder.fail(reply.error());
    }

    std::unique_ptr<Publications> publications_;
    StatusRequests requests_;
    protocol::Server server_;
    std::unique_ptr<net::Server> web_;
};

}  // namespace
}  // namespace qscd::ca

int main(int argc, char** argv) { return qscd::process::run("qscd-statusd", argc, argv, qscd::ca::Statusd::start); }
