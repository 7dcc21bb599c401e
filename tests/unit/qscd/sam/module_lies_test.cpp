// A module that answers C_Sign with what is no signature of the certified key: nothing of it leaves the SAM. The module is
// a real SoftHSM2 behind the spy. [QSCD-26]
#include <cstdlib>

#include "tests/instruments/pkcs11_spy/spy_instance.hpp"
#include "tests/unit/hsm/soft_token.hpp"
#include "tests/unit/qscd/sam/trial.hpp"

namespace qscd::sam {
namespace {

struct LyingModule : TrialSam {
    std::optional<spy::Instance> spy;
    std::optional<Credential> credential;

    LyingModule() {
        stop();
        tokens.module.reset();
        ::setenv("QSCD_SPY_TARGET", hsm::SoftToken::library().c_str(), 1);
        tokens.module = hsm::Module::load({QSCD_SPY_LIBRARY,
                                           "",
                                           {{"SOFTHSM2_CONF", (tokens.folder / "softhsm2.conf").string()}},
                                           tokens.folder / "tokens"})
                            .value();
        spy.emplace(QSCD_SPY_LIBRARY);
        start();
        credential = enrol(anna());
    }
    ~LyingModule() override { spy->command(""); }
    std::string key_in_token() const { return running->signer_token->private_keys().value().at(0).hex(); }
};

TEST_F(LyingModule, QSCD_26_ABadSignatureIsNotReleasedAndDisablesTheCredentialAlone) {
    const auto key = key_in_token();
    const auto other = enrol(boris());
    const auto sad = approved(*credential, {"a", "b"}), others = approved(other);
    spy->command("corrupt-signature-of " + key + "\n");
    const auto refused = sign(*credential, sad, {"a"}, "key-1");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::internal);
    EXPECT_EQ(records("signature-does-not-verify").size(), 1u);
    EXPECT_TRUE(records("signed").empty());
    spy->command("");
    const auto later = sign(*credential, sad, {"b"});
    ASSERT_FALSE(later) << "also when the module is sound again";
    EXPECT_EQ(later.error().code, Errc::credential_disabled);
    EXPECT_TRUE(sign(other, others));
}

}  // namespace
}  // namespace qscd::sam
