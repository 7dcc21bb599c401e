#include "tests/instruments/modules/modules.hpp"

#include <algorithm>
#include <cstdlib>

namespace qscd::instruments {
namespace {

std::string asked_for() {
    const char* chosen = std::getenv("QSCD_TEST_MODULES");
    return chosen == nullptr ? "" : chosen;
}

}  // namespace

const std::vector<TestModule>& test_modules() {
    static const std::vector<TestModule> modules{{"softhsm2", true, set_up_softhsm2},
                                                 {"opencryptoki", true, set_up_opencryptoki},
                                                 {"nss-softokn", false, set_up_nss_softokn},
                                                 {"tpm2", false, set_up_tpm2},
                                                 {"p11-kit", false, set_up_p11_kit}};
    return modules;
}

bool chosen_by_name() { return !asked_for().empty(); }

std::vector<TestModule> chosen_modules() {
    const auto chosen = "," + asked_for() + ",";
    std::vector<TestModule> out;
    std::ranges::copy_if(test_modules(), std::back_inserter(out), [&](const TestModule& each) {
        if (!chosen_by_name()) return each.always;
        return chosen == ",all," || chosen.find("," + std::string{each.name} + ",") != std::string::npos;
    });
    return out;
}

Result<policy::ModuleEntry> entry_of(const TestModule& module) {
    QSCD_TRY(auto registry, policy::ModuleRegistry::load(QSCD_SOURCE_DIR "/hsm-config/modules"));
    const auto* entry = registry.find(module.name);
    if (entry == nullptr) return Error{Errc::configuration, "the registry does not know " + std::string{module.name}};
    return *entry;
}

}  // namespace qscd::instruments
