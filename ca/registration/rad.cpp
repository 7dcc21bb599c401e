// qscd-rad: the registration authority's process.
#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"
#include "ca/registration/requests.hpp"
#include "ca/registration/rule_key.hpp"
#include "hsm/deployed/deployed_modules.hpp"
#include "protocol/channel.hpp"

namespace qscd::ca {
namespace {

class Rad : public process::Daemon {
public:
    static Result<std::unique_ptr<process::Daemon>> start(const std::filesystem::path& folder) {
        QSCD_TRY(const auto deployment, policy::Deployment::load(folder));
        QSCD_TRY(auto policy, policy::Policy::load(deployment.policy_file()));
        protocol::TrustedKeys approvers;
        QSCD_TRY(const auto rule_key, approvers.add_file(protocol::Issuer::rule_key, deployment.pki(policy::rule_key)));
        QSCD_TRY(approvers.add_folder(protocol::Issuer::registration_officer, deployment.pki(policy::officer_keys)));
        QSCD_TRY(const auto database, deployment.database("rad"));
        QSCD_TRY(auto store, RegistrationStore::open(database));
        hsm::DeployedModules modules{deployment, "rad"};
        QSCD_TRY(const auto own, modules.of());
        QSCD_TRY(auto token, modules.open(own, policy::ra_token, 1, {hsm::Use::service}));
        return std::unique_ptr<process::Daemon>{new Rad{std::move(policy), std::move(approvers), std::move(store),
                                                        std::move(token), rule_key,
                                                        std::chrono::days{deployment.registration_days}}};
    }

    void connection(process::Connection connection) override {
        if (!connection.we_ask) return server_.serve(std::move(connection.socket), std::move(connection.peer));
        if (connection.peer == "notifierd") return notifierd_.connect(std::move(connection.socket));
        note(Level::warning, "connection-refused", {{"peer", connection.peer}});
    }
    void stop() override { server_.stop(); }

private:
    Rad(policy::Policy policy, protocol::TrustedKeys trusted, std::unique_ptr<RegistrationStore> store,
        std::unique_ptr<hsm::Token> token, const Sha256Digest& rule_key, std::chrono::days request_life)
        : store_(std::move(store)),
          rule_key_(std::move(token), rule_key),
          registration_({std::move(policy), std::move(trusted), *store_,
                         [this](ByteView message) { return rule_key_.sign(message); }, process_clock(), request_life}),
          requests_({registration_, [this] { return rule_key_.reachable(); }}),
          server_([this](const std::string& role, ByteView request, protocol::Responder responder) {
              answer(role, request, responder);
          }) {}

    void answer(const std::string& role, ByteView request, const protocol::Responder& responder) {
        const auto reply = requests_.answer(role, request);
        if (reply) return responder.answer(*reply.value());
        note(Level::warning, "request-refused", {{"role", role}, {"reason", describe(reply.error())}});
        responder.fail(reply.error());
    }

    std::unique_ptr<RegistrationStore> store_;
    RuleKey rule_key_;
    Registration registration_;
    RaRequests requests_;
    protocol::Client notifierd_{"notifierd"};  // kept open; what rad tells people comes with proofing by e-mail
    protocol::Server server_;
};

}  // namespace
}  // namespace qscd::ca

int main(int argc, char** argv) { return qscd::process::run("qscd-rad", argc, argv, qscd::ca::Rad::start); }
