// qscd-cad: the certification authority's process.
#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"
#include "ca/issuing/ca_token.hpp"
#include "ca/issuing/certificate_parts.hpp"
#include "ca/issuing/publisher.hpp"
#include "ca/issuing/requests.hpp"
#include "hsm/deployed/deployed_modules.hpp"
#include "hsm/provider/provider.hpp"
#include "protocol/channel.hpp"
#include "protocol/sam.pb.h"

namespace qscd::ca {
namespace {

Result<X509Cert> load_certificate(const policy::Deployment& deployment, const char* file) {
    QSCD_TRY(const auto pem, read_file(deployment.pki(file)));
    return certificate_from_pem(pem);
}

Result<std::unique_ptr<Hierarchy>> load_hierarchy(const policy::Deployment& deployment) {
    QSCD_TRY(auto root, load_certificate(deployment, policy::root_certificate));
    QSCD_TRY(auto lcp, load_certificate(deployment, policy::lcp_certificate));
    QSCD_TRY(auto qualified, load_certificate(deployment, policy::qualified_certificate));
    return std::make_unique<Hierarchy>(Hierarchy{std::move(root), std::move(lcp), std::move(qualified)});
}

// Registration officers, the RA's rule key, the SAM's attestation key: whose papers count here.
Result<protocol::TrustedKeys> load_trusted_keys(const policy::Deployment& deployment) {
    protocol::TrustedKeys keys;
    QSCD_TRY(keys.add_file(protocol::Issuer::attestation_key, deployment.pki(policy::attestation_key)));
    QSCD_TRY(keys.add_file(protocol::Issuer::rule_key, deployment.pki(policy::rule_key)));
    QSCD_TRY(keys.add_folder(protocol::Issuer::registration_officer, deployment.pki(policy::officer_keys)));
    return keys;
}

constexpr unsigned sessions = 1;  // certificates are signed one at a time

class Cad : public process::Daemon {
public:
    static Result<std::unique_ptr<process::Daemon>> start(const std::filesystem::path& folder) {
        QSCD_TRY(hsm::load_provider());
        QSCD_TRY(const auto deployment, policy::Deployment::load(folder));
        QSCD_TRY(auto policy, policy::Policy::load(deployment.policy_file()));
        QSCD_TRY(auto modules, policy::ModuleRegistry::load(folder / "modules"));
        QSCD_TRY(auto trusted, load_trusted_keys(deployment));
        QSCD_TRY(auto hierarchy, load_hierarchy(deployment));
        QSCD_TRY(const auto database, deployment.database("cad"));
        QSCD_TRY(auto certificates, Register::open(database));
        hsm::DeployedModules loaded{deployment, "cad"};
        QSCD_TRY(const auto own, loaded.of());
        QSCD_TRY(auto token, loaded.open(own, policy::ca_token, sessions, {hsm::Use::service}));
        return std::unique_ptr<process::Daemon>{new Cad{std::move(policy), std::move(modules), std::move(trusted),
                                                        std::move(hierarchy), std::move(certificates), std::move(token),
                                                        deployment.pki(policy::root_crl)}};
    }

    void connection(process::Connection connection) override {
        if (!connection.we_ask) return server_.serve(std::move(connection.socket), std::move(connection.peer));
        if (connection.peer == "statusd") return statusd_.connect(std::move(connection.socket));
        note(Level::warning, "connection-refused", {{"peer", connection.peer}});
    }
    void stop() override { server_.stop(); }

private:
    Cad(policy::Policy policy, policy::ModuleRegistry modules, protocol::TrustedKeys trusted,
        std::unique_ptr<Hierarchy> hierarchy, std::unique_ptr<Register> certificates, std::unique_ptr<hsm::Token> token,
        std::filesystem::path root_crl)
        : hierarchy_(std::move(hierarchy)),
          register_(std::move(certificates)),
          token_(std::move(token), *hierarchy_),
          issuing_({std::move(policy), std::move(modules), std::move(trusted), *hierarchy_, *register_, keys(),
                    process_clock(), random_serial}),
          requests_({issuing_, *register_, [this] { return token_.reachable(); }}),
          server_([this](const std::string& role, ByteView request, protocol::Responder responder) {
              answer(role, request, responder);
          }),
          publisher_(std::make_shared<Publisher>(
              Publisher::Parts{.hierarchy = *hierarchy_,
                               .register_of_certificates = *register_,
                               .keys = keys(),
                               .clock = process_clock(),
                               .root_crl = std::move(root_crl),
                               .publish = [this](const pb::StatusRequest& request) { return publish(request); }})) {
        // Called on a thread of the client's own, perhaps while we are being destroyed.
        statusd_.on_connected([weak = std::weak_ptr{publisher_}] {
            if (const auto publisher = weak.lock()) publisher->wake();
        });
    }

    Result<void> publish(const pb::StatusRequest& request) {
        QSCD_TRY(statusd_.call<pb::Done>(request));
        return success();
    }

    AuthorityKeys keys() {
        return [this](const Authority& authority) { return token_.key_of(authority); };
    }

    void answer(const std::string& role, ByteView request, const protocol::Responder& responder) {
        const auto reply = requests_.answer(role, request);
        if (reply) return responder.answer(*reply.value());
        note(Level::warning, "request-refused", {{"role", role}, {"reason", describe(reply.error())}});
        responder.fail(reply.error());
    }

    std::unique_ptr<Hierarchy> hierarchy_;
    std::unique_ptr<Register> register_;
    CaToken token_;
    Issuing issuing_;
    CaRequests requests_;
    protocol::Server server_;
    protocol::Client statusd_{"statusd", protocol::publication_limit};
    std::shared_ptr<Publisher> publisher_;
};

}  // namespace
}  // namespace qscd::ca

int main(int argc, char** argv) { return qscd::process::run("qscd-cad", argc, argv, qscd::ca::Cad::start); }
