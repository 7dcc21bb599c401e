// qscd-samd: the signature activation module. Holds the signer slot's login, cells and log; listens nowhere.
#include <mutex>
#include <unistd.h>

#include "base/diagnostics.hpp"
#include "base/process/call_filter.hpp"
#include "base/process/daemon.hpp"
#include "base/random.hpp"
#include "policy/deployment.hpp"
#include "qscd/sam/service.hpp"
#include "qscd/sam/state/module_keys.hpp"
#include "qscd/sam/state/sql_state_store.hpp"

namespace qscd::sam {
namespace {

Result<protocol::TrustedKeys> paper_keys(const policy::Deployment& deployment) {
    protocol::TrustedKeys keys;
    QSCD_TRY(keys.add_file(protocol::Issuer::rule_key, deployment.pki(policy::rule_key)));
    QSCD_TRY(keys.add_folder(protocol::Issuer::registration_officer, deployment.pki(policy::officer_keys)));
    return keys;
}

// The issuing CAs, each checked against the root that the deployment's owner wrote.
Result<IssuingCas> issuers(const policy::Deployment& deployment) {
    QSCD_TRY(auto root_pem, read_file(deployment.pki(policy::root_certificate)));
    QSCD_TRY(auto root, certificate_from_pem(root_pem));
    const auto under_root = [&](const char* name) -> Result<X509Cert> {
        QSCD_TRY(auto pem, read_file(deployment.pki(name)));
        QSCD_TRY(auto issuer, certificate_from_pem(pem));
        if (X509_verify(issuer.get(), X509_get0_pubkey(root.get())) != 1)
            return Error{Errc::configuration, std::string{name} + " is not issued by the root"};
        return issuer;
    };
    QSCD_TRY(auto lcp, under_root(policy::lcp_certificate));
    QSCD_TRY(auto qualified, under_root(policy::qualified_certificate));
    return IssuingCas{std::move(lcp), std::move(qualified)};
}

// Before anything from outside is read. What is missing is said here, in health, and may be a reason not to start.
Result<void> confine(const policy::Deployment& deployment) {
    if (const auto filtered = process::filter_calls({.dials_store = deployment.servers.contains("samd")}); !filtered)
        note(Level::alarm, "no-system-call-filter", {{"reason", describe(filtered.error())}});
    std::string missing;
    for (const auto& each : process::confinement().missing()) missing += (missing.empty() ? "" : ", ") + each;
    if (missing.empty()) return success();
    if (deployment.require_confinement)
        return Error{Errc::configuration, "[sam] require_confinement in qscd.toml: " + missing};
    note(Level::warning, "confinement-incomplete", {{"missing", missing}});
    return success();
}

constexpr std::chrono::seconds signing_patience{5};  // at the end, for what the token still works on

// Everything of the daemon, made in the order of its members and ended the other way round.
class Samd : public process::Daemon {
public:
    static Result<std::unique_ptr<process::Daemon>> start(const std::filesystem::path& folder) {
        QSCD_TRY(auto deployment, policy::Deployment::load(folder));
        QSCD_TRY(confine(deployment));
        QSCD_TRY(auto rules, policy::Policy::load(deployment.policy_file()));
        QSCD_TRY(auto keys, paper_keys(deployment));
        QSCD_TRY(auto authorities, issuers(deployment));
        QSCD_TRY(auto module, hsm::Module::load({deployment.library, "", deployment.module_environment("samd"),
                                                 deployment.durable_folder("samd")}));
        QSCD_TRY(auto sam_pin, deployment.token_pin(policy::sam_token));
        QSCD_TRY(auto sam_token, hsm::Token::open(module, policy::sam_token, std::move(sam_pin), 1));
        const auto& label = deployment.signer_tokens.front();
        QSCD_TRY(auto signer_pin, deployment.token_pin(label));
        QSCD_TRY(auto signer_token, hsm::Token::open(module, label, std::move(signer_pin), deployment.signing_threads));
        QSCD_TRY(const auto where, deployment.database("samd"));
        QSCD_TRY(auto database, store::Database::open(where));
        if (rules.has_trial()) note(Level::warning, "trial-policy", {{"meaning", "factors in clear are accepted"}});
        return std::unique_ptr<process::Daemon>{new Samd{std::move(deployment), std::move(rules), std::move(keys),
                                                         std::move(authorities), std::move(sam_token),
                                                         std::move(signer_token), std::move(database)}};
    }

    void connection(process::Connection connection) override {
        if (connection.we_ask) notifier_.connect(std::move(connection.socket));
        else server_.serve(std::move(connection.socket), std::move(connection.peer));
    }

    ~Samd() override { Samd::stop(); }

    void stop() override {
        server_.stop();
        if (!service_.drain(signing_patience)) note(Level::warning, "stopped-while-signing");
        core_->post([](Ledger& ledger) { ledger.record({Event::stopped, "samd"}); }, [](const Error&) {});
        core_->stop();
    }

private:
    Samd(policy::Deployment deployment, policy::Policy rules, protocol::TrustedKeys keys, IssuingCas authorities,
         std::unique_ptr<hsm::Token> sam_token, std::unique_ptr<hsm::Token> signer_token,
         std::unique_ptr<store::Database> database)
        : deployment_(std::move(deployment)),
          policy_(std::move(rules)),
          paper_keys_(std::move(keys)),
          issuers_(std::move(authorities)),
          sam_token_(std::move(sam_token)),
          signer_token_(std::move(signer_token)),
          database_(std::move(database)),
          state_(*database_),
          notifier_("notifierd"),
          messenger_(notifier_),
          sam_{nullptr,      policy_,    paper_keys_,    issuers_, *signer_token_, *sam_token_, deployment_.module,
               process_key_, messenger_, process_clock()},
          service_(sam_),
          server_([this](const std::string& role, ByteView request, const protocol::Responder& responder) {
              service_.handle(role, request, responder);
          }) {
        core_ = std::make_unique<Core>([this](const Opening& opening) { return open(opening); },
                                       [](const Error& error) {
                                           const bool fenced = error.code == Errc::fenced;
                                           note(Level::alarm, fenced ? "fenced" : "store-is-lost",
                                                {{"reason", describe(error)}});
                                           // The supervisor starts us again, and the next start reads what is true; but a fenced one would only take
                                           // the state back from its new owner.
                                           ::_exit(fenced ? process::stay_down : 1);
                                       });
        sam_.core = core_.get();
    }

    // On the core's thread.
    Result<std::unique_ptr<Ledger>> open(const Opening& opening) {
        QSCD_TRY(keys_, ModuleKeys::unlock(*sam_token_));
        return service_.take_over(state_, *keys_, opening);
    }

    policy::Deployment deployment_;
    policy::Policy policy_;
    protocol::TrustedKeys paper_keys_;
    IssuingCas issuers_;
    std::unique_ptr<Core> core_;  // outlives the tokens and the key makers, whose threads still call it
    std::unique_ptr<hsm::Token> sam_token_, signer_token_;
    std::unique_ptr<store::Database> database_;
    SqlStateStore state_;
    std::unique_ptr<ModuleKeys> keys_;
    ProcessKey process_key_{fill_random};
    protocol::Client notifier_;
    Messenger messenger_;
    Sam sam_;
    Service service_;
    protocol::Server server_;
};

}  // namespace
}  // namespace qscd::sam

int main(int argc, char** argv) { return qscd::process::run("qscd-samd", argc, argv, qscd::sam::Samd::start); }
