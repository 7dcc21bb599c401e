// qscd-rad: the registration authority's process.
#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"
#include "ca/registration/requests.hpp"
#include "ca/registration/rule_key.hpp"
#include "policy/deployment.hpp"
#include "protocol/channel.hpp"

namespace qscd::ca {
namespace {

// Whose signature makes a Grant here: the registration officers' and the rule key's.
struct Approvers {
    protocol::TrustedKeys keys;
    Sha256Digest rule_key;
};

Result<Approvers> load_approvers(const policy::Deployment& deployment) {
    protocol::TrustedKeys keys;
    QSCD_TRY(const auto rule_pem, read_file(deployment.pki(policy::rule_key)));
    QSCD_TRY(auto rule, public_key_from_pem(rule_pem));
    const auto rule_id = protocol::key_id_of(*rule);
    keys.add(protocol::Issuer::rule_key, std::move(rule));
    std::error_code none;
    for (const auto& file : std::filesystem::directory_iterator{deployment.pki(policy::officer_keys), none}) {
        if (!file.path().string().ends_with(".pub.pem")) continue;
        QSCD_TRY(const auto pem, read_file(file.path()));
        QSCD_TRY(auto key, public_key_from_pem(pem));
        keys.add(protocol::Issuer::registration_officer, std::move(key));
    }
    return Approvers{std::move(keys), rule_id};
}

class Rad : public process::Daemon {
public:
    static Result<std::unique_ptr<process::Daemon>> start(const std::filesystem::path& folder) {
        QSCD_TRY(const auto deployment, policy::Deployment::load(folder));
        QSCD_TRY(auto policy, policy::Policy::load(deployment.policy_file()));
        QSCD_TRY(auto approvers, load_approvers(deployment));
        QSCD_TRY(auto store, RegistrationStore::open(deployment.database("rad")));
        RuleKey::Settings rule_key{
            .module = {.library = deployment.library,
                       .environment = deployment.module_environment("rad"),
                       .durable_folder = deployment.durable_folder("rad")},
            .token = policy::ra_token,
            .pin = [deployment] { return deployment.token_pin(policy::ra_token); },
            .key_id = approvers.rule_key,
        };
        return std::unique_ptr<process::Daemon>{new Rad{std::move(policy), std::move(approvers.keys), std::move(store),
                                                        std::move(rule_key),
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
        RuleKey::Settings rule_key, std::chrono::days request_life)
        : store_(std::move(store)),
          rule_key_(std::move(rule_key)),
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
