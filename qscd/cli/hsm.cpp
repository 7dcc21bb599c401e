#include "qscd/cli/hsm.hpp"

#include <boost/json/array.hpp>

#include "hsm/probe.hpp"
#include "policy/deployment.hpp"

namespace qscd::cli {
namespace {

struct Home {
    std::string token;
    std::string_view daemon;
};

std::vector<Home> homes(const policy::Deployment& deployment) {
    std::vector<Home> out{{policy::sam_token, "samd"}};
    for (const auto& token : deployment.signer_tokens) out.push_back({token, "samd"});
    out.push_back({policy::ra_token, "rad"});
    out.push_back({policy::ca_token, "cad"});
    return out;
}

Result<hsm::ProbeReport> probe(const policy::Deployment& deployment, const Home& home) {
    // Loaded by itself: a module finds its files by the environment, and each daemon has its own. Nothing is written, so
    // nothing is synced.
    QSCD_TRY(auto module, hsm::Module::load({deployment.library, "", deployment.module_environment(home.daemon), {}}));
    QSCD_TRY(auto pin, deployment.token_pin(home.token));
    QSCD_TRY(auto token, hsm::Token::open(std::move(module), home.token, std::move(pin), 1));
    return hsm::probe(*token);
}

boost::json::object json_of(const hsm::ProbeReport& report) {
    boost::json::array findings;
    for (const auto& each : report.findings)
        findings.push_back(boost::json::object{{"name", each.name},
                                               {"means", each.means},
                                               {"needed", each.needed},
                                               {"found", each.found},
                                               {"detail", each.detail}});
    return {{"token", report.token.label},   {"manufacturer", report.token.manufacturer},
            {"model", report.token.model},   {"firmware", report.token.firmware},
            {"serial", report.token.serial}, {"sessions", report.sessions},
            {"fit", report.fit()},           {"findings", std::move(findings)}};
}

}  // namespace

Result<void> probe_tokens(const Options& options, const std::string& token) {
    QSCD_TRY(const auto deployment, policy::Deployment::load(options.deployment));
    std::string lines;
    boost::json::array reports;
    bool known = false, fit = true;
    for (const auto& home : homes(deployment)) {
        if (!token.empty() && home.token != token) continue;
        known = true;
        QSCD_TRY(const auto report, probe(deployment, home));
        fit = fit && report.fit();
        lines += hsm::describe(report);
        reports.push_back(json_of(report));
    }
    if (!known) return Error{Errc::configuration, "the deployment has no token " + token};
    lines.pop_back();
    answer(options, lines, {{"tokens", std::move(reports)}, {"fit", fit}});
    if (!fit) return Error{Errc::configuration, "a token is not fit for use"};
    return success();
}

}  // namespace qscd::cli
