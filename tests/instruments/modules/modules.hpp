// The modules that the suite runs over, and which of them this run is for. Thread rules: pure but for the environment.
#pragma once

#include <vector>

#include "tests/instruments/modules/place.hpp"

namespace qscd::instruments {

struct TestModule {
    std::string_view name;  // of its entry in the registry
    bool always;            // also when nobody asked for it
    SetUp set_up;
};

const std::vector<TestModule>& test_modules();

// QSCD_TEST_MODULES says which: "all", or names with commas between them; without it those that always run.
std::vector<TestModule> chosen_modules();
bool chosen_by_name();  // somebody said so: then what is missing on the machine is a failure and no skip

// Its entry in hsm-config/modules.
Result<policy::ModuleEntry> entry_of(const TestModule& module);

}  // namespace qscd::instruments
