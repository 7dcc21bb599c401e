// qscd: the command people type. The table of sub-commands; what they do stands in the files beside.
#include <CLI/CLI.hpp>
#include <boost/algorithm/string/join.hpp>
#include <boost/json.hpp>
#include <iostream>
#include <unistd.h>

#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"
#include "base/request_id.hpp"
#include "policy/policy.hpp"
#include "protocol/channel.hpp"
#include "protocol/sam.pb.h"
#include "qscd/cli/audit.hpp"
#include "qscd/cli/ceremony.hpp"
#include "qscd/cli/hsm.hpp"
#include "qscd/cli/init.hpp"
#include "qscd/cli/portals.hpp"
#include "qscd/cli/sam.hpp"
#include "qscd/cli/sign.hpp"
#include "qscd/cli/signers.hpp"
#include "qscd/supervisor/client.hpp"
#include "qscd/supervisor/supervisor.hpp"

namespace qscd::cli {
namespace {

constexpr std::chrono::seconds health_patience{2};

using Action = std::function<Result<void>(const Options&)>;

std::filesystem::path own_folder() { return std::filesystem::read_symlink("/proc/self/exe").parent_path(); }

Result<void> up(const Options& options, bool test_binaries, bool at_once, bool verbose) {
    const RequestScope none{std::nullopt};  // what the daemons do while it runs is not this command's doing
    QSCD_TRY(auto deployment, policy::Deployment::load(options.deployment));
    supervisor::Options how;
    how.test_binaries = test_binaries;
    if (at_once) how.pauses = {std::chrono::milliseconds{1}, std::chrono::milliseconds{1}};
    how.verbose = verbose;
    how.on_ready = [&] { say(options, "ready: " + deployment.public_url + "/csc/v2"); };
    return supervisor::up(deployment, own_folder(), how);
}

// What samd says of itself: the reason why it is sealed, what its confinement lacks [SAM-20].
Result<pb::SamHealthReport> health_of_samd(const policy::Deployment& deployment) {
    QSCD_TRY(auto socket, supervisor::connect_to(deployment, "samd"));
    protocol::Client samd{"samd"};
    samd.connect(std::move(socket));
    pb::SamRequest request;
    (void)request.mutable_health();
    return samd.call<pb::SamHealthReport>(request, health_patience);
}

Result<void> status(const Options& options) {
    QSCD_TRY(auto deployment, policy::Deployment::load(options.deployment));
    QSCD_TRY(auto text, supervisor::status(deployment));
    const auto samd = health_of_samd(deployment);
    const auto missing = samd ? std::vector<std::string>{samd.value().missing().begin(), samd.value().missing().end()}
                              : std::vector<std::string>{};
    if (options.json) {
        auto state = boost::json::parse(text).as_object();
        if (samd) {
            state["samd_missing"] = boost::json::value_from(missing);
            state["samd_says"] = samd.value().detail();
            boost::json::array shards;
            for (const auto& each : samd.value().shards())
                shards.push_back(boost::json::object{{"number", each.number()},
                                                     {"token", each.token()},
                                                     {"module", each.module()},
                                                     {"usable", each.usable()},
                                                     {"detail", each.detail()},
                                                     {"accepts_new", each.accepts_new()},
                                                     {"keys", each.keys()},
                                                     {"limit", each.limit()}});
            state["shards"] = std::move(shards);
        }
        std::cout << boost::json::serialize(state) << std::endl;
        return success();
    }
    QSCD_TRY(auto state, json::Object::parse(text));
    QSCD_TRY(auto separation, state.string("separation", 100));
    QSCD_TRY(auto daemons, state.objects("daemons", 100));
    std::cout << "separation " << separation << "\n";
    if (!samd) std::cout << "samd's confinement unknown: " << samd.error().detail << "\n";
    else if (missing.empty()) std::cout << "samd confined\n";
    else std::cout << "samd misses: " << boost::algorithm::join(missing, ", ") << "\n";
    if (samd && !samd.value().detail().empty()) std::cout << "samd serves nothing: " << samd.value().detail() << "\n";
    if (samd)
        for (const auto& each : samd.value().shards())
            std::cout << "shard " << each.number() << "  " << each.token() << "  " << each.keys() << " of "
                      << each.limit() << " keys" << (each.accepts_new() ? "" : ", takes no new ones")
                      << (each.usable() ? "" : "  NOT USABLE: " + each.detail()) << "\n";
    for (const auto& daemon : daemons) {
        QSCD_TRY(auto name, daemon.string("name", 100));
        QSCD_TRY(auto what, daemon.string("state", 100));
        QSCD_TRY(auto pid, daemon.integer("pid"));
        QSCD_TRY(auto restarts, daemon.integer("restarts"));
        std::cout << name << "  " << what << "  pid " << pid << "  restarts " << restarts << "\n";
    }
    return success();
}

Result<void> check_policy(const Options& options, const std::filesystem::path& file) {
    QSCD_TRY(auto rules, policy::Policy::load(file));
    answer(options,
           file.string() + " is good: " + std::to_string(rules.profiles().size()) + " profiles, version " +
               rules.version().hex(),
           {{"good", true}, {"profiles", rules.profiles().size()}, {"version", rules.version().hex()}});
    return success();
}

// Everything that can be typed. Options live as long as the parser.
struct CommandLine {
    CLI::App app{"qscd: a remote qualified signature creation device server", "qscd"};
    Options options;
    Action action;
    bool test_binaries = false, at_once = false, verbose = false;
    InitSettings init_settings;
    AddSigner signer;
    Enrol enrolment;
    Activate activation;
    AddClient client;
    std::string token_client, credential, reason;
    unsigned token_seconds = 86'400;
    AuditList audit;
    std::filesystem::path audit_file;
    SignSettings signing;
    VerifySettings verification;
    std::filesystem::path policy_file;
    ProbeSettings probed;
    std::string listed_token;
    CeremonySettings ceremony;

    CLI::App* command(CLI::App& parent, const char* name, const char* help, const char* example, Action what) {
        auto* sub = parent.add_subcommand(name, help);
        sub->footer(std::string{"Example: "} + example);
        sub->callback([this, what = std::move(what)] { action = what; });
        return sub;
    }

    CommandLine() {
        app.require_subcommand(1);
        app.fallthrough();
        app.set_version_flag("--version", QSCD_VERSION);
        app.add_option("--deployment", options.deployment, "the deployment's folder")->envname("QSCD_DEPLOYMENT");
        app.add_flag("--json", options.json, "answer with JSON on standard output");

        auto* setup = command(app, "init", "set up a deployment on this machine",
                              "qscd --deployment /var/lib/qscd init --policy policy.toml --modules hsm-config/modules",
                              [this](const Options& o) { return init(o, init_settings); });
        setup->add_option("--policy", init_settings.policy, "policy file to start from");
        setup->add_option("--modules", init_settings.modules, "folder of the module registry");
        setup->add_option("--module", init_settings.module, "registry entry of the module to use");
        setup->add_option("--library", init_settings.library, "the module's library, when not where the entry says");
        setup->add_option("--name", init_settings.name, "the service's name, for `info`");
        setup->add_option("--region", init_settings.region, "ISO 3166-1 code, for `info`");
        setup->add_option("--country", init_settings.country, "country of the CAs");
        setup->add_option("--organisation", init_settings.organisation,
                          "organisation of the CAs; with TEST in it under trial");
        setup->add_option("--store", init_settings.store,
                          "PostgreSQL instead of SQLite: postgresql://administrator@host/database");
        setup->add_option("--store-password-fd", init_settings.store_password_descriptor,
                          "descriptor to read the administrator's password from");
        setup->add_option("--store-prefix", init_settings.store_prefix,
                          "how the names of the daemons' roles and schemas begin");
        setup->add_option("--api-port", init_settings.api_port, "HTTPS port; 0: a free one at each start");
        setup->add_option("--shards", init_settings.shards, "tokens for signers' keys")->check(CLI::Range(1, 64));
        setup->add_option("--status-port", init_settings.status_port, "HTTP port of CRLs and CA certificates");

        setup->add_flag("--after-ceremonies", init_settings.after_ceremonies,
                        "the keys were made in ceremonies: keep them, and the policy that they were made under");

        auto* run = command(app, "up", "run the deployment until SIGTERM or Ctrl-C",
                            "qscd --deployment /var/lib/qscd up",
                            [this](const Options& o) { return up(o, test_binaries, at_once, verbose); });
        run->add_flag("--test-binaries", test_binaries, "the daemons whose clock is a file")->group("");
        run->add_flag("--at-once", at_once, "no pause before a daemon that ended is started again")->group("");
        run->add_flag("--verbose", verbose, "the daemons' logs on standard error as well");
        command(app, "status", "what runs", "qscd --deployment /var/lib/qscd status", status);

        auto* signers = app.add_subcommand("signer", "accounts and enrolment");
        signers->require_subcommand(1);
        auto* add = command(*signers, "add", "add a signer's account",
                            "qscd signer add anna --email anna@mail.example --phone +43123456789",
                            [this](const Options& o) { return add_signer(o, signer); });
        add->add_option("username", signer.username)->required();
        add->add_option("--email", signer.email)->required();
        add->add_option("--phone", signer.phone, "in international form")->required();
        add->add_option("--password-fd", signer.password_descriptor, "descriptor to read the password from");
        auto* grant = command(
            *signers, "enrol", "grant a signer a credential; sends a code to the phone",
            "qscd signer enrol anna --profile qscd-totp --country AT --given-name Anna --surname Test "
            "--serial-number PNOAT-1 --common-name 'Anna Test' --proofing operator --terms terms.txt --officer-key "
            "key.pem",
            [this](const Options& o) { return enrol(o, enrolment); });
        grant->add_option("username", enrolment.username)->required();
        grant->add_option("--profile", enrolment.profile, "of the policy")->required();
        grant->add_option("--key", enrolment.key, "P-256, P-384, RSA-3072 or RSA-4096");
        grant->add_option("--country", enrolment.country)->required();
        grant->add_option("--given-name", enrolment.given_name)->required();
        grant->add_option("--surname", enrolment.surname)->required();
        grant->add_option("--serial-number", enrolment.serial_number, "such as PNOAT-12345678")->required();
        grant->add_option("--common-name", enrolment.common_name)->required();
        grant->add_option("--proofing", enrolment.proofing, "how the identity was proved")->required();
        grant->add_option("--evidence", enrolment.evidence, "file whose digest is recorded");
        grant->add_option("--terms", enrolment.terms, "the terms that the signer accepted")->required();
        grant->add_option("--officer-key", enrolment.officer_key,
                          "the registration officer's key, for qualified types");
        auto* finish = command(*signers, "activate", "set the PIN, make the key and the certificate",
                               "qscd signer activate 0123… --terms terms.txt",
                               [this](const Options& o) { return activate(o, activation); });
        finish->add_option("enrolment", activation.enrolment)->required();
        finish->add_option("--terms", activation.terms, "the terms that the signer accepted")->required();
        finish->add_option("--pin-fd", activation.pin_descriptor, "descriptor to read the PIN from");
        finish->add_option("--code-fd", activation.code_descriptor, "descriptor to read the code from");
        finish->add_option("--certificate", activation.certificate, "where to write the certificate");

        auto* credentials = app.add_subcommand("credential", "credentials of signers");
        credentials->require_subcommand(1);
        auto* destroy = command(*credentials, "destroy", "destroy its key: there is no way back",
                                "qscd credential destroy 0123… --reason 'certificate revoked'",
                                [this](const Options& o) { return destroy_credential(o, credential, reason); });
        destroy->add_option("credential", credential)->required();
        destroy->add_option("--reason", reason, "for the record")->required();
        for (const bool disabled : {true, false}) {
            auto* sub = command(
                *credentials, disabled ? "disable" : "enable", disabled ? "let it sign no more" : "let it sign again",
                "qscd credential disable 0123… --reason 'lost phone'",
                [this, disabled](const Options& o) { return set_credential_status(o, credential, disabled, reason); });
            sub->add_option("credential", credential)->required();
            sub->add_option("--reason", reason, "for the record")->required();
        }

        auto* clients = app.add_subcommand("client", "portals that may use the API");
        clients->require_subcommand(1);
        auto* portal = command(*clients, "add", "add a portal, or replace the signers it may act for",
                               "qscd client add portal-1 --signer anna",
                               [this](const Options& o) { return add_client(o, client); });
        portal->add_option("client", client.client)->required();
        portal->add_option("--name", client.name, "as signers know it");
        portal->add_option("--redirect-uri", client.redirect_uri);
        portal->add_option("--signer", client.usernames, "a signer it may act for; repeat for more");
        auto* token = command(*clients, "token", "a bearer token for try-outs, under a trial policy only",
                              "qscd client token portal-1",
                              [this](const Options& o) { return issue_token(o, token_client, token_seconds); });
        token->add_option("client", token_client)->required();
        token->add_option("--seconds", token_seconds, "its life, at most a day")->check(CLI::Range(1U, 86'400U));

        auto* audits = app.add_subcommand("audit", "the log");
        audits->require_subcommand(1);
        auto* list = command(*audits, "list", "the log's records", "qscd audit list --json",
                             [this](const Options& o) { return list_records(o, audit); });
        list->add_option("--from", audit.from, "first sequence number");
        list->add_option("--credential", audit.credential, "records of one credential");
        list->add_option("--request", audit.request, "records that one request caused: an answer's X-Request-Id");
        list->add_flag("--closings", audit.closings, "closing records too");
        command(*audits, "export", "write the log for qscd-audit-verify", "qscd audit export log.export",
                [this](const Options& o) { return export_log(o, audit_file); })
            ->add_option("file", audit_file)
            ->required();
        command(*audits, "checkpoint", "the newest signed head, to be kept elsewhere", "qscd audit checkpoint last.txt",
                [this](const Options& o) { return write_checkpoint(o, audit_file); })
            ->add_option("file", audit_file, "default: standard output");

        auto* sams = app.add_subcommand("sam", "samd's state");
        sams->require_subcommand(1);
        command(*sams, "unseal", "let a sealed state go on; recorded",
                "qscd sam unseal --reason 'power supply replaced'",
                [this](const Options& o) { return unseal(o, reason); })
            ->add_option("--reason", reason, "for the record")
            ->required();
        command(*sams, "rotate-keys", "new keys for cells and PINs; recorded", "qscd sam rotate-keys --reason 'yearly'",
                [this](const Options& o) { return rotate_keys(o, reason); })
            ->add_option("--reason", reason, "for the record")
            ->required();

        auto* modules = app.add_subcommand("hsm", "modules and tokens");
        modules->require_subcommand(1);
        auto* probe = command(*modules, "probe", "what a module or the deployment's tokens can do, tried out",
                              "qscd hsm probe /usr/lib/vendor/libpkcs11.so --token signers",
                              [this](const Options& o) { return probe_modules(o, probed); });
        probe->add_option("module", probed.module,
                          "path of a PKCS#11 library, or an entry of the module registry; default: the deployment's");
        probe->add_option("--token", probed.token, "its label; default: the only one, or all of the deployment");
        probe->add_option("--modules", probed.modules, "folder of the module registry, when not the deployment's");
        probe->add_option("--pin-file", probed.pin_file, "file with the token's user PIN");
        probe->add_option("--pin-fd", probed.pin_descriptor, "descriptor to read the token's user PIN from");
        probe->add_option("--reserved", probed.reserved, "string for C_Initialize, where the module wants one");
        probe->add_option("--environment", probed.environment, "NAME=VALUE for the module; repeat for more");
        probe->add_flag("--quick", probed.quick, "as a daemon does it at its start: without RSA keys");
        command(*modules, "keys", "what the deployment's tokens hold, with orphans", "qscd hsm keys --token qscd-sam",
                [this](const Options& o) { return list_keys(o, listed_token); })
            ->add_option("--token", listed_token, "its label; default: all");

        add_ceremony_steps();

        auto* policies = app.add_subcommand("policy", "policy files");
        policies->require_subcommand(1);
        command(*policies, "check", "whether a policy file is good", "qscd policy check policy.toml",
                [this](const Options& o) { return check_policy(o, policy_file); })
            ->add_option("file", policy_file)
            ->required();

        auto* signs = command(app, "sign", "sign a file by the public API: CAdES, detached",
                              "qscd sign contract.pdf --portal demo.json --user anna",
                              [this](const Options& o) { return sign(o, signing); });
        signs->add_option("file", signing.file)->required()->check(CLI::ExistingFile);
        signs->add_option("--portal", signing.portal,
                          "JSON with base_url_v2, tls_ca, client_id, client_secret, trust_root");
        signs->add_option("--url", signing.url, "the API's base, ending in /csc/v2");
        signs->add_option("--tls-ca", signing.tls_ca, "PEM of the CA to trust for HTTPS");
        signs->add_option("--client", signing.client_id, "client_id");
        signs->add_option("--client-secret-fd", signing.client_secret_descriptor);
        signs->add_option("--token-fd", signing.token_descriptor, "descriptor to read an access token from");
        signs->add_option("--user", signing.user, "userID whose credentials to use");
        signs->add_option("--credential", signing.credential, "credentialID; else the user's first");
        signs->add_option("--pin-fd", signing.pin_descriptor);
        signs->add_option("--code-fd", signing.code_descriptor);
        signs->add_option("--hash", signing.hash, "SHA-256, SHA-384 or SHA-512");
        signs->add_option("--trust-root", signing.trust_root, "PEM of the root to verify the result with");
        signs->add_option("--out", signing.output, "default: FILE.p7s");
        auto* verifies = command(app, "verify", "verify a detached signature",
                                 "qscd verify contract.pdf --trust-root root.pem",
                                 [this](const Options& o) { return verify(o, verification); });
        verifies->add_option("file", verification.file)->required()->check(CLI::ExistingFile);
        verifies->add_option("signature", verification.signature, "default: FILE.p7s");
        verifies->add_option("--trust-root", verification.trust_root)->required();
    }

    // Called by the scripts in hsm-config/ceremony/, which see to people, witnesses and the record.
    void add_ceremony_steps() {
        auto* steps = app.add_subcommand("ceremony", "the steps of init one by one, for the scripts of key ceremonies");
        steps->require_subcommand(1);
        struct Step {
            const char *name, *help, *example;
            Result<void> (*action)(const Options&, const CeremonySettings&);
            const char* what;  // null: it is about the whole deployment
            bool so_pin, pin;
        };
        static constexpr std::array table{
            Step{"folder", "make the folders, copy policy and module entry",
                 "qscd ceremony folder --policy policy.toml --modules hsm-config/modules", ceremony_folder, nullptr,
                 false, false},
            Step{"tokens", "initialise a daemon's tokens", "qscd ceremony tokens samd --so-pin-fd 3", ceremony_tokens,
                 "samd, rad, cad or root", true, true},
            Step{"keys", "make the keys of one purpose", "qscd ceremony keys sam", ceremony_keys,
                 "sam, rule, issuing or root", false, true},
            Step{"certificates", "make the CAs' certificates",
                 "qscd ceremony certificates --country AT --organisation 'qscd TEST' --pin-fd 3", ceremony_certificates,
                 nullptr, false, true},
            Step{"show", "what a token holds, read back", "qscd ceremony show qscd-sam", ceremony_show, "the token",
                 false, true},
            Step{"clear", "destroy all that a token holds", "qscd ceremony clear qscd-ra", ceremony_clear, "the token",
                 false, true},
            Step{"remove-tokens", "remove a daemon's tokens, which hold no keys", "qscd ceremony remove-tokens rad",
                 ceremony_remove_tokens, "samd, rad, cad or root", false, false},
            Step{"attest", "sign a record with the SAM's attestation key",
                 "qscd ceremony attest --record record.json --signature record.json.sam.sig", ceremony_attest, nullptr,
                 false, false},
        };
        for (const auto& step : table) {
            auto* sub = command(*steps, step.name, step.help, step.example,
                                [this, act = step.action](const Options& o) { return act(o, ceremony); });
            if (step.what != nullptr) sub->add_option("what", ceremony.what, step.what)->required();
            sub->add_option("--library", ceremony.library, "the module's library, when not where the entry says");
            if (step.so_pin)
                sub->add_option("--so-pin-fd", ceremony.so_pin_descriptor, "descriptor to read the SO PIN from");
            if (step.pin) sub->add_option("--pin-fd", ceremony.pin_descriptor, "descriptor to read the user PIN from");
        }
        auto* folder = steps->get_subcommand("folder");
        folder->add_option("--policy", ceremony.policy, "policy file to start from")->required();
        folder->add_option("--modules", ceremony.modules, "folder of the module registry")->required();
        folder->add_option("--module", ceremony.module, "registry entry of the module to use");
        auto* certificates = steps->get_subcommand("certificates");
        certificates->add_option("--country", ceremony.country, "country of the CAs")->required();
        certificates
            ->add_option("--organisation", ceremony.organisation,
                         "organisation of the CAs; with TEST in it under trial")
            ->required();
        auto* attest = steps->get_subcommand("attest");
        attest->add_option("--record", ceremony.record, "file to sign")->required();
        attest->add_option("--signature", ceremony.signature, "file to write")->required();
    }
};

}  // namespace
}  // namespace qscd::cli

int main(int argc, char** argv) {
    using namespace qscd;
    start_diagnostics("qscd");
    cli::CommandLine line;
    try {
        line.app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return line.app.exit(error) == 0 ? 0 : static_cast<int>(cli::ExitCode::usage);
    }
    process::harden();
    const RequestScope command{new_request_id()};  // all that it asks of the daemons is one request [AUD-02]
    const auto result = line.action(line.options);
    return result ? 0 : cli::fail(line.options, result.error());
}
