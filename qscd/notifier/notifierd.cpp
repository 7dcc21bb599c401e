// qscd-notifierd: sends codes and messages out.
#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"
#include "protocol/channel.hpp"
#include "qscd/notifier/requests.hpp"

namespace qscd::notifier {
namespace {

class Notifierd : public process::Daemon {
public:
    explicit Notifierd(const std::filesystem::path& deployment)
        : outbox_(deployment / "outbox"),
          requests_(outbox_, process_clock()),
          server_([this](const std::string& role, ByteView request, protocol::Responder responder) {
              answer(role, request, responder);
          }) {}

    static Result<std::unique_ptr<process::Daemon>> start(const std::filesystem::path& folder) {
        return std::unique_ptr<process::Daemon>{new Notifierd{folder}};
    }

    void connection(process::Connection connection) override {
        if (!connection.we_ask) return server_.serve(std::move(connection.socket), std::move(connection.peer));
        note(Level::warning, "connection-refused", {{"peer", connection.peer}});
    }
    void stop() override { server_.stop(); }

private:
    void answer(const std::string& role, ByteView request, const protocol::Responder& responder) {
        const auto reply = requests_.answer(role, request);
        if (reply) return responder.answer(*reply.value());
        note(Level::warning, "request-refused", {{"role", role}, {"reason", describe(reply.error())}});
        responder.fail(reply.error());
    }

    Outbox outbox_;
    NotifierRequests requests_;
    protocol::Server server_;
};

}  // namespace
}  // namespace qscd::notifier

int main(int argc, char** argv) {
    return qscd::process::run("qscd-notifierd", argc, argv, qscd::notifier::Notifierd::start);
}
