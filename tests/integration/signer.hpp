// Signers and their credentials, enrolled by the commands that an operator types. Test data, nobody's.
// Thread rules: one thread.
#pragma once

#include "base/openssl.hpp"
#include "tests/integration/running_deployment.hpp"

namespace qscd::integration {

struct Credential {
    std::string id, profile, key;
    fs::path certificate;  // PEM
    X509Cert parsed() const;
};

class Signer {
public:
    // Username and common name; phone and PIN are made from `number`, 1 to 99.
    Signer(RunningDeployment& deployment, std::string username, unsigned number);

    // Both commands; the second returns what the first began.
    std::string begin(const std::string& profile, const std::string& key);  // the enrolment
    Credential finish(const std::string& enrolment, const std::string& profile, const std::string& key);
    Credential enrol(const std::string& profile, const std::string& key = "P-256") {
        return finish(begin(profile, key), profile, key);
    }

    const std::string& username() const { return username_; }
    const std::string& phone() const { return phone_; }
    const std::string& pin() const { return pin_; }
    const std::string& serial_number() const { return serial_number_; }
    static std::string wrong_pin() { return "90909090"; }

    // The newest code that went to the phone.
    std::string sent_code();
    // What the authenticator app shows (oathtool's answer), after the clock went on by a step: each code is good once.
    std::string fresh_code();
    std::string code_at(TimePoint at) const;
    std::string wrong_code();  // six digits that are no code of this time
    void use_app(std::string secret_base32, unsigned period, unsigned digits);

private:
    RunningDeployment& deployment_;
    std::string username_, phone_, pin_, password_, serial_number_, secret_;
    unsigned period_ = 30, digits_ = 6;
};

}  // namespace qscd::integration
