// The HSM room on a real SoftHSM2 token.
#include "hsm/token.hpp"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <latch>
#include <unistd.h>

#include "base/openssl.hpp"
#include "base/random.hpp"

namespace qscd::hsm {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

const char* library() {
    return fs::exists("/usr/lib/softhsm/libsofthsm2.so") ? "/usr/lib/softhsm/libsofthsm2.so"
                                                         : "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so";
}

struct TokenTest : ::testing::Test {
    static inline fs::path folder;
    static inline std::shared_ptr<Module> module;
    std::unique_ptr<Token> token;

    static void SetUpTestSuite() {
        folder = fs::temp_directory_path() / ("qscd-token-" + std::to_string(getpid()));
        fs::create_directories(folder / "tokens");
        std::ofstream{folder / "softhsm2.conf"} << "directories.tokendir = " << (folder / "tokens").string()
                                                << "\nobjectstore.backend = file\nlog.level = ERROR\n";
        module = Module::load(
                     {library(), "", {{"SOFTHSM2_CONF", (folder / "softhsm2.conf").string()}}, folder / "tokens"})
                     .value();
        ASSERT_TRUE(module->initialise_token("anna", SecretBytes{"12345678"}, SecretBytes{"1234"}));
    }
    static void TearDownTestSuite() {
        module.reset();
        fs::remove_all(folder);
    }
    void SetUp() override { token = Token::open(module, "anna", SecretBytes{"1234"}, 2).value(); }

    static DtbsR hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("a contract")).bytes()).value(); }
    static bool verifies(ByteView spki, Scheme scheme, const DtbsR& dtbsr, ByteView signature) {
        const auto key = public_key_from_der(spki).value();
        const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
        EVP_PKEY_verify_init(context.get());
        if (scheme == Scheme::rsa_pss) EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_signature_md(context.get(), EVP_get_digestbyname(row_of(dtbsr.algorithm()).name.data()));
        if (scheme == Scheme::rsa_pss) EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST);
        return EVP_PKEY_verify(context.get(), signature.data(), signature.size(), dtbsr.bytes().data(),
                               dtbsr.bytes().size()) == 1;
    }
};

struct KindCase {
    KeyKind kind;
    std::vector<Scheme> schemes;
};
struct EveryKind : TokenTest, ::testing::WithParamInterface<KindCase> {};
INSTANTIATE_TEST_SUITE_P(, EveryKind,
                         ::testing::Values(KindCase{KeyKind::p256, {Scheme::ecdsa}},
                                           KindCase{KeyKind::p384, {Scheme::ecdsa}},
                                           KindCase{KeyKind::rsa3072, {Scheme::rsa_pkcs1, Scheme::rsa_pss}},
                                           KindCase{KeyKind::rsa4096, {Scheme::rsa_pkcs1, Scheme::rsa_pss}}),
                         [](const auto& test) { return "Kind" + std::to_string(static_cast<int>(test.param.kind)); });

TEST_P(EveryKind, QSCD_01_IsMadeInTheTokenReadBackAndSigns) {
    const auto id = random_fixed<CkaId>();
    auto made = token->generate(GetParam().kind, id, "opaque");
    ASSERT_TRUE(made) << describe(made.error());
    const auto& evidence = made.value().attributes;
    for (const auto* name : {"CKA_NEVER_EXTRACTABLE", "CKA_ALWAYS_SENSITIVE", "CKA_LOCAL", "CKA_SIGN"})
        EXPECT_TRUE(std::ranges::count(evidence, std::pair<std::string, std::string>{name, "true"})) << name;
    for (const auto* name :
         {"CKA_EXTRACTABLE", "CKA_DECRYPT", "CKA_UNWRAP", "CKA_DERIVE", "CKA_MODIFIABLE", "CKA_COPYABLE"})
        EXPECT_TRUE(std::ranges::count(evidence, std::pair<std::string, std::string>{name, "false"})) << name;
    for (const auto scheme : GetParam().schemes) {
        for (const auto algorithm : {HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512}) {
            const auto dtbsr = DtbsR::from(algorithm, digest(algorithm, view_of("a contract"))).value();
            const auto outcome = token->sign(*made.value().key, scheme, dtbsr);
            ASSERT_TRUE(outcome.signature) << describe(outcome.signature.error());
            EXPECT_TRUE(outcome.entered);
            EXPECT_TRUE(verifies(made.value().public_key, scheme, dtbsr, outcome.signature.value()));
        }
    }
}

TEST_F(TokenTest, QSCD_12_DestroyIsConfirmedByAnEmptySearch) {
    const auto id = random_fixed<CkaId>();
    ASSERT_TRUE(token->generate(KeyKind::p256, id, "x"));
    ASSERT_TRUE(token->find_private(id));
    ASSERT_TRUE(token->destroy(id));
    const auto found = token->find_private(id);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, Errc::key_gone);
    EXPECT_TRUE(token->destroy(id)) << "destroying what is not there succeeds";
}

TEST_F(TokenTest, ASignatureWithADestroyedKeyFailsBeforeCSign) {
    const auto id = random_fixed<CkaId>();
    const auto made = token->generate(KeyKind::p256, id, "x").value();
    ASSERT_TRUE(token->destroy(id));
    const auto outcome = token->sign(*made.key, Scheme::ecdsa, hash());
    EXPECT_FALSE(outcome.signature);
    EXPECT_FALSE(outcome.entered);
    EXPECT_TRUE(token->reachable());
}

TEST_F(TokenTest, HmacKeysAreFoundByLabelAndGiveTheSameMac) {
    ASSERT_TRUE(token->generate_hmac_key(random_fixed<CkaId>(), "pin"));
    const auto key = token->find_by_label("pin").value();
    const auto first = token->hmac(*key, view_of("1234")).value();
    EXPECT_EQ(first.size(), 32u);
    EXPECT_EQ(first, token->hmac(*key, view_of("1234")).value());
    EXPECT_NE(first, token->hmac(*key, view_of("1235")).value());
    EXPECT_FALSE(token->find_by_label("no such key"));
}

TEST_F(TokenTest, DataObjectsAreReadBackAndStay) {
    ASSERT_TRUE(token->create_data("genesis", view_of("first roster")));
    EXPECT_EQ(token->read_data("genesis").value(), bytes_of("first roster"));
    EXPECT_FALSE(token->read_data("other").value());
}

TEST_F(TokenTest, AWrongPinIsAConfigurationErrorAndNotTriedAgain) {
    {
        Module& m = *module;
        ASSERT_TRUE(m.initialise_token("boris", SecretBytes{"87654321"}, SecretBytes{"4321"}));
    }
    const auto wrong = Token::open(module, "boris", SecretBytes{"0000"}, 1);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::configuration);
    EXPECT_EQ(wrong.error().detail.find("0000"), std::string::npos);
}

TEST_F(TokenTest, ManyThreadsShareThePool) {
    const auto made = token->generate(KeyKind::p256, random_fixed<CkaId>(), "x").value();
    std::atomic<int> good = 0;
    std::latch done{64};
    for (int i = 0; i < 64; ++i)
        token->sign_all(made.key, Scheme::ecdsa, {hash(), hash()}, [&](std::vector<Token::Outcome> outcomes) {
            for (const auto& outcome : outcomes)
                if (outcome.signature && verifies(made.public_key, Scheme::ecdsa, hash(), outcome.signature.value()))
                    ++good;
            done.count_down();
        });
    done.wait();
    EXPECT_EQ(good, 128);
}

TEST_F(TokenTest, QSCD_22_ATokenThatWentAwayIsRecoveredWithoutARestart) {
    const auto made = token->generate(KeyKind::p256, random_fixed<CkaId>(), "x").value();
    ASSERT_TRUE(token->sign(*made.key, Scheme::ecdsa, hash()).signature);
    fs::rename(folder / "tokens", folder / "away");
    const auto outcome = token->sign(*made.key, Scheme::ecdsa, hash());
    ASSERT_FALSE(outcome.signature);
    EXPECT_EQ(outcome.signature.error().code, Errc::token_away) << describe(outcome.signature.error());
    EXPECT_FALSE(outcome.entered);
    EXPECT_FALSE(token->reachable());
    const auto searched = token->find_private(made.key->id());
    ASSERT_FALSE(searched);
    EXPECT_EQ(searched.error().code, Errc::token_away) << "an absent token is not a destroyed key";
    fs::rename(folder / "away", folder / "tokens");
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!token->reachable() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
    const auto again = token->sign(*made.key, Scheme::ecdsa, hash());
    ASSERT_TRUE(again.signature) << describe(again.signature.error());
    EXPECT_TRUE(verifies(made.public_key, Scheme::ecdsa, hash(), again.signature.value()));
}

// dlsym finds the functions of p11-kit through any library that needs it, and with them every module that is installed.
TEST(ModuleTest, ALibraryThatOnlyNeedsAModuleIsNone) {
    const auto loaded = Module::load({QSCD_NEEDS_P11_KIT});
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, Errc::configuration);
    EXPECT_THAT(loaded.error().detail, testing::HasSubstr("is not a PKCS#11 module"));
}

TEST(ModuleTest, WhatIsNoModuleIsRefused) {
    EXPECT_EQ(Module::load({"/no/such/library.so"}).error().code, Errc::configuration);
    EXPECT_EQ(Module::load({"libz.so.1"}).error().code, Errc::configuration);
}

}  // namespace
}  // namespace qscd::hsm
