// One deployment for all tests of a binary, with its people: Anna (app), Boris (SMS; and a credential that only the
// signer page may use), portal-1 for both, portal-2 for Boris alone. Made once, before the first test; everything is
// enrolled before the clock moves. Thread rules: one thread.
#pragma once

#include <gtest/gtest.h>

#include "tests/integration/evidence.hpp"
#include "tests/integration/portal.hpp"

namespace qscd::integration {

struct Cast {
    explicit Cast(bool with_rsa);
    RunningDeployment deployment;
    Signer anna, boris;
    Credential anna_qscd, anna_lcp, boris_sms, boris_page;
    std::optional<Credential> anna_rsa;  // slow to make: only where a test binary wants it
    Portal portal_1, portal_2;
    // A signer to be blocked or spoilt, with a P-256 credential, and a portal of his own.
    struct ThrowAway {
        std::unique_ptr<Signer> signer;
        Credential credential;
        Portal portal;
    };
    ThrowAway throw_away(const std::string& profile = "qscd-totp");

    // Both ways that the gateway needs, tried for real and not remembered: samd and rad.
    bool serves() const;

private:
    unsigned thrown_away_ = 0;
};

// Register one per binary: `const auto* stage = testing::AddGlobalTestEnvironment(new Stage{…});`
class Stage : public testing::Environment {
public:
    explicit Stage(bool with_rsa = false) : with_rsa_(with_rsa) {}
    void SetUp() override;
    void TearDown() override;
    static Cast& cast();

private:
    bool with_rsa_;
};

}  // namespace qscd::integration
