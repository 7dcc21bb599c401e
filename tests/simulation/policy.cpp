#include "tests/simulation/policy.hpp"

namespace qscd::sam::simulation {

const policy::Policy& trial_policy() {
    static const policy::Policy parsed = [] {
        const std::string rest =
            "type = \"QCP-n-qscd\"\npds = [{lang = \"en\", url = \"https://tsp.example/pds-en.pdf\"}]\nkeys = "
            "[\"P-256\"]\npolicy = \"trial\"\nmodes = [\"explicit\"]\n";
        return policy::Policy::parse("public_base = \"http://pki.tsp.example\"\n[profile.app]\n" + rest +
                                         "sad_seconds = 60\npin = {digits = [4, 8], tries = 3}\notp = [\"totp\"]\n"
                                         "totp = {period = 30}\n[profile.app-long]\n" +
                                         rest +
                                         "sad_seconds = 300\npin = {digits = [4, 8], tries = 5}\notp = [\"totp\"]\n"
                                         "totp = {period = 30}\n[profile.sms]\n" +
                                         rest + "pin = {digits = [4, 8], tries = 3}\notp = [\"sms\"]\n",
                                     "policy.toml")
            .value();
    }();
    return parsed;
}

}  // namespace qscd::sam::simulation
