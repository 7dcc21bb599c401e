// The modules and tokens of one daemon, as its deployment's module registry says: how a library is started, of which model
// and firmware its tokens must be, and that a token can do what it is opened for. [QSCD-04] [QSCD-29]
// Thread rules: one thread.
#pragma once

#include "hsm/admission.hpp"
#include "hsm/deployed/attested.hpp"
#include "policy/deployment.hpp"

namespace qscd::hsm {

class DeployedModules {
public:
    // `deployment` must outlive this. `daemon` names the token folder.
    DeployedModules(const policy::Deployment& deployment, std::string daemon)
        : deployment_(deployment), daemon_(std::move(daemon)) {}

    struct Wired {
        policy::ModuleWiring wiring;
        std::shared_ptr<Module> module;
    };
    // By the registry's entry; empty: the deployment's own. Each library is loaded once: a process has one copy of it, and
    // one C_Initialize. Errc::configuration.
    Result<Wired> of(std::string_view entry = {});

    // With the PIN from secrets/. Errc::configuration, for good, when the token is of another model, not fit for one of
    // these uses, or refuses the PIN; one that is away is opened, and checked, when it is back.
    // `place` is told the firmware each time.
    Result<std::unique_ptr<Token>> open(const Wired& wired, const std::string& label, unsigned threads,
                                        std::vector<Use> one_of, std::shared_ptr<AttestedPlace> place = {}) const;

private:
    const policy::Deployment& deployment_;
    std::string daemon_;
    std::map<std::filesystem::path, std::shared_ptr<Module>> loaded_;
};

ModuleSettings settings_of(policy::ModuleStart start);
// The entry's manufacturer, model and firmware. A firmware that the entry's certificate does not cover, or a certificate
// that has ended, is accepted with a warning in the operational log.
Requirements requirements_of(const policy::ModuleEntry& entry, std::vector<Use> one_of,
                             std::shared_ptr<AttestedPlace> place = {});

}  // namespace qscd::hsm
