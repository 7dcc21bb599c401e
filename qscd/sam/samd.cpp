// qscd-samd: the signature activation module. Holds the signer slot's login, cells and log; listens nowhere.
#include <mutex>
#include <set>
#include <unistd.h>

#include "base/diagnostics.hpp"
#include "base/process/call_filter.hpp"
#include "base/process/daemon.hpp"
#include "base/random.hpp"
#include "hsm/deployed/deployed_modules.hpp"
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

// The shards' tokens. One that is away is opened when it is back: nobody waits for it here.
Result<std::vector<Shards::Opened>> shards(const policy::Deployment& deployment, hsm::DeployedModules& modules,
                                           const X509& qualified_ca) {
    QSCD_TRY(const auto build, hsm::build_of_this_process());
    std::vector<Shards::Opened> out;
    for (const auto& shard : deployment.shards) {
        QSCD_TRY(auto wired, modules.of(shard.module));
        QSCD_TRY(const auto configuration, hsm::configuration_of(wired.wiring.entry));
        const auto place = std::make_shared<hsm::AttestedPlace>(wired.wiring.entry, build, configuration,
                                                                hsm::says_test(qualified_ca));
        QSCD_TRY(auto token, modules.open(wired, shard.token, wired.wiring.signing_threads,
                                          {hsm::Use::elliptic_signers, hsm::Use::rsa_signers}, place));
        if (wired.wiring.entry.qscd && token->reachable() && !place->counts_as_qscd(process_clock().now()))
            note(Level::alarm, "not-the-certified-combination",
                 {{"token", shard.token}, {"build", build.hex()}, {"configuration", configuration.hex()}});
        out.push_back({{.number = shard.number,
                        .token = shard.token,
                        .module = shard.module,
                        .accepts_new = shard.accepts_new,
                        .for_qscd = wired.wiring.entry.qscd.has_value(),
                        .limit = shard.limit,
                        .profiles = shard.profiles,
                        .attest = [place](hsm::GeneratedKey& key) { place->attest(key); },
                        .counts_as_qscd = [place](TimePoint at) { return place->counts_as_qscd(at); }},
                       std::move(token)});
    }
    return out;
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
        hsm::DeployedModules modules{deployment, "samd"};
        QSCD_TRY(const auto own, modules.of());
        QSCD_TRY(auto sam_token, modules.open(own, policy::sam_token, 1, {hsm::Use::sam}));
        QSCD_TRY(auto opened, shards(deployment, modules, authorities.issuer_of(true)));
        QSCD_TRY(const auto where, deployment.database("samd"));
        QSCD_TRY(auto database, store::Database::open(where));
        if (rules.has_trial()) note(Level::warning, "trial-policy", {{"meaning", "factors in clear are accepted"}});
        return std::unique_ptr<process::Daemon>{new Samd{std::move(deployment), std::move(rules), std::move(keys),
                                                         std::move(authorities), std::move(sam_token),
                                                         std::move(opened), std::move(database)}};
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
        shards_.stop();
    }

private:
    Samd(policy::Deployment deployment, policy::Policy rules, protocol::TrustedKeys keys, IssuingCas authorities,
         std::unique_ptr<hsm::Token> sam_token, std::vector<Shards::Opened> opened,
         std::unique_ptr<store::Database> database)
        : deployment_(std::move(deployment)),
          policy_(std::move(rules)),
          paper_keys_(std::move(keys)),
          issuers_(std::move(authorities)),
          sam_token_(std::move(sam_token)),
          shards_(std::move(opened)),
          database_(std::move(database)),
          state_(*database_),
          notifier_("notifierd"),
          messenger_(notifier_),
          sam_{nullptr,     policy_,      paper_keys_, issuers_,        shards_,
               *sam_token_, process_key_, messenger_,  process_clock(), secrets_},
          service_(sam_),
          server_([this](const std::string& role, ByteView request, const protocol::Responder& responder) {
              service_.handle(role, request, responder);
          }) {
        core_ = std::make_unique<Core>([this](const Opening& opening) { return open(opening); },
                                       [this](const Error& error) {
                                           const bool fenced = error.code == Errc::fenced;
                                           note(Level::alarm, fenced ? "fenced" : "store-is-lost",
                                                {{"reason", describe(error)}});
                                           leave_modules();
                                           // The supervisor starts us again, and the next start reads what is true; but a fenced one would only take
                                           // the state back from its new owner.
                                           ::_exit(fenced ? process::stay_down : 1);
                                       });
        sam_.core = core_.get();
        service_.begin();
    }

    // What a module keeps for a process, some modules keep until they are told that it has gone.
    void leave_modules() {
        std::set<const CK_FUNCTION_LIST*> left;
        const auto leave = [&](hsm::Module& module) {
            if (left.insert(&module.api()).second && !module.leave()) note(Level::warning, "module-not-finalised");
        };
        leave(sam_token_->module());
        for (const auto& shard : shards_.all()) leave(shard->token().module());
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
    std::unique_ptr<Core> core_;  // outlives the tokens and the shards, whose threads still call it
    std::unique_ptr<hsm::Token> sam_token_;
    Shards shards_;
    std::unique_ptr<store::Database> database_;
    SqlStateStore state_;
    std::unique_ptr<ModuleKeys> keys_;
    Secrets secrets_{*sam_token_};
    ProcessKey process_key_{fill_random};  // until the module can be asked
    protocol::Client notifier_;
    Messenger messenger_;
    Sam sam_;
    Service service_;
    protocol::Server server_;
};

}  // namespace
}  // namespace qscd::sam

int main(int argc, char** argv) { return qscd::process::run("qscd-samd", argc, argv, qscd::sam::Samd::start); }
