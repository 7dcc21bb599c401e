// The spy itself: what it writes down is what happened, and what it is told to do wrong happens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "hsm/session.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// Of the whole process, as the spy is.
struct World : ::testing::Environment {
    static inline std::unique_ptr<SpiedToken> place;
    static inline std::shared_ptr<Module> module;
    void SetUp() override {
        place = std::make_unique<SpiedToken>("spy");
        module = place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "anna"));
    }
    void TearDown() override {
        module.reset();
        place.reset();
    }
};
[[maybe_unused]] const auto* const world = ::testing::AddGlobalTestEnvironment(new World);

struct SpyTest : ::testing::Test {
    SpiedToken* place = World::place.get();
    std::unique_ptr<Token> token;

    void SetUp() override {
        place->command("");
        token = SoftToken::open(World::module, "anna", 1).value();
        place->start_counting();
    }
    static DtbsR hash(std::string_view text = "a contract") {
        return DtbsR::from(HashAlgorithm::sha256, sha256(view_of(text)).bytes()).value();
    }
    GeneratedKey made() { return token->generate(KeyKind::p256, random_fixed<CkaId>(), "x").value(); }
    static bool verifies(const GeneratedKey& made, const Token::Outcome& outcome) {
        const auto key = public_key_from_der(made.public_key).value();
        const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
        EVP_PKEY_verify_init(context.get());
        const auto& signature = outcome.signature.value();
        return EVP_PKEY_verify(context.get(), signature.data(), signature.size(), hash().bytes().data(), 32) == 1;
    }
    std::vector<std::string> names() const {
        std::vector<std::string> out;
        for (const auto& call : place->calls()) out.push_back(call["call"]);
        return out;
    }
};

TEST_F(SpyTest, WritesDownASignatureWithItsKeyItsInputAndItsOutput) {
    const auto key = token->generate(KeyKind::rsa3072, random_fixed<CkaId>(), "a label").value();
    place->start_counting();
    const auto outcome = token->sign(*key.key, Scheme::rsa_pss, hash());
    ASSERT_TRUE(outcome.signature);
    const auto calls = place->calls();
    EXPECT_THAT(names(), ElementsAre("C_SignInit", "C_Sign-entered", "C_Sign"));
    const auto& last = calls.back();
    EXPECT_EQ(last["id"], key.key->id().hex());
    EXPECT_EQ(last["label"], "a%20label");
    EXPECT_EQ(last["mechanism"], "0xd");
    EXPECT_EQ(last["in"], sha256(hash().bytes()).hex());
    EXPECT_EQ(last["out"], sha256(outcome.signature.value()).hex());
    EXPECT_EQ(last["rv"], "0x0");
    EXPECT_EQ(last["pid"], std::to_string(::getpid()));
    EXPECT_EQ(calls[1]["rv"], "");
}

TEST_F(SpyTest, CountsSignaturesByKey) {
    const auto one = made();
    const auto two = made();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(token->sign(*one.key, Scheme::ecdsa, hash()).signature);
    ASSERT_TRUE(token->sign(*two.key, Scheme::ecdsa, hash()).signature);
    EXPECT_THAT(spy::signatures_by_key(place->calls()),
                UnorderedElementsAre(Pair(one.key->id().hex(), 3), Pair(two.key->id().hex(), 1)));
    EXPECT_EQ(spy::count(place->calls(), "C_FindObjectsInit"), 0u) << "a key just made is not searched for";
    KeyObject found{one.key->id(), CKO_PRIVATE_KEY};
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(token->sign(found, Scheme::ecdsa, hash()).signature);
    EXPECT_EQ(spy::count(place->calls(), "C_FindObjectsInit"), 1u) << "a key is searched for once, not per signature";
}

TEST_F(SpyTest, WritesDownWhatIsMadeChangedAndDestroyed) {
    const auto key = made();
    ASSERT_TRUE(token->create_data("genesis", view_of("x")));
    ASSERT_TRUE(token->destroy(key.key->id()));
    const auto calls = place->calls();
    const auto of = [&](std::string_view function) {
        return *std::ranges::find_if(calls, [&](const spy::Call& call) { return call["call"] == function; });
    };
    EXPECT_EQ(of("C_GenerateKeyPair")["id"], key.key->id().hex());
    EXPECT_EQ(of("C_GenerateKeyPair")["label"], "x");
    EXPECT_EQ(of("C_CreateObject")["application"], "qscd");
    const auto destroyed = std::ranges::count_if(calls, [&](const spy::Call& call) {
        return call["call"] == "C_DestroyObject" && call["id"] == key.key->id().hex();
    });
    EXPECT_EQ(destroyed, 1);
}

TEST_F(SpyTest, TheNthCallFailsAndDoesNotReachTheModule) {
    const auto key = made();
    place->command("C_Sign 2 0x30  # CKR_DEVICE_ERROR\n");
    ASSERT_TRUE(token->sign(*key.key, Scheme::ecdsa, hash()).signature);
    const auto failed = token->sign(*key.key, Scheme::ecdsa, hash());
    ASSERT_FALSE(failed.signature);
    EXPECT_TRUE(failed.entered);
    EXPECT_EQ(failed.signature.error().code, Errc::token_away);
    while (!token->reachable()) std::this_thread::yield();
    EXPECT_TRUE(token->sign(*key.key, Scheme::ecdsa, hash()).signature);
}

TEST_F(SpyTest, EveryCallFromTheNthOnFailsUntilTheFileChanges) {
    const auto key = made();
    place->command("C_SignInit 1+ 7\n");  // CKR_ARGUMENTS_BAD
    for (int i = 0; i < 3; ++i) {
        const auto failed = token->sign(*key.key, Scheme::ecdsa, hash());
        EXPECT_EQ(failed.signature.error().code, Errc::internal);
        EXPECT_FALSE(failed.entered);
    }
    place->command("");
    EXPECT_TRUE(token->sign(*key.key, Scheme::ecdsa, hash()).signature);
}

TEST_F(SpyTest, ACallCanSucceedInTheModuleAndFailHere) {
    const auto id = random_fixed<CkaId>();
    place->command("C_GenerateKeyPair 1 0x5 after\n");
    EXPECT_FALSE(token->generate(KeyKind::p256, id, "x"));
    while (!token->reachable()) std::this_thread::yield();
    EXPECT_TRUE(token->find_private(id)) << "an outcome that cannot be known: the key is there";
}

TEST_F(SpyTest, DelaysCalls) {
    const auto key = made();
    place->command("delay C_Sign 60\n");
    const auto began = std::chrono::steady_clock::now();
    ASSERT_TRUE(token->sign(*key.key, Scheme::ecdsa, hash()).signature);
    EXPECT_GE(std::chrono::steady_clock::now() - began, std::chrono::milliseconds{60});
}

TEST_F(SpyTest, QSCD_26_CorruptsSignatures) {
    const auto key = made();
    ASSERT_TRUE(verifies(key, token->sign(*key.key, Scheme::ecdsa, hash())));
    place->command("corrupt-signature\n");
    EXPECT_FALSE(verifies(key, token->sign(*key.key, Scheme::ecdsa, hash())));
}

TEST_F(SpyTest, QSCD_18_SignsWithAnotherKeyThanAskedFor) {
    const auto one = made();
    const auto two = made();
    for (const auto* key : {&one, &two}) ASSERT_TRUE(verifies(*key, token->sign(*key->key, Scheme::ecdsa, hash())));
    place->command("permute-handles\n");
    EXPECT_FALSE(verifies(one, token->sign(*one.key, Scheme::ecdsa, hash())));
}

// Of every object that is made; what the module then takes by itself is what SoftHSM2 takes.
struct Dropped : SpyTest, ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(, Dropped,
                         ::testing::Values("CKA_TOKEN", "CKA_MODIFIABLE", "CKA_COPYABLE", "CKA_SIGN_RECOVER",
                                           "CKA_DECRYPT", "CKA_UNWRAP"),
                         [](const auto& test) { return std::string{test.param}; });
TEST_P(Dropped, QSCD_02_AKeyThatIsNotMadeAsAskedIsDestroyed) {
    const auto id = random_fixed<CkaId>();
    place->command(std::string{"drop-attribute "} + GetParam() + "\n");
    const auto refused = token->generate(KeyKind::p256, id, "x");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::internal);
    place->command("");
    EXPECT_TRUE(token->confirm_gone(id));
}

TEST_F(SpyTest, TellsAnotherNumberOfSessions) {
    place->command("token-info ulMaxSessionCount 7\n");
    EXPECT_TRUE(token->on_session([](Session& session) -> Result<void> {
        QSCD_TRY(const auto limit, session.session_limit());
        EXPECT_EQ(limit, 7u);
        return success();
    }));
}

TEST_F(SpyTest, CountsCallsAndSessionsAndIsCommandedDirectly) {
    const spy::Instance instance{QSCD_SPY_LIBRARY};
    const auto key = made();
    const auto signatures = instance.calls("C_Sign"), sessions = instance.open_sessions();
    EXPECT_EQ(sessions, 2u) << "one thread's and the keeper's";
    ASSERT_TRUE(token->sign(*key.key, Scheme::ecdsa, hash()).signature);
    EXPECT_EQ(instance.calls("C_Sign"), signatures + 1);
    instance.command("corrupt-signature\n");
    EXPECT_FALSE(verifies(key, token->sign(*key.key, Scheme::ecdsa, hash())));
    instance.command("");
    EXPECT_TRUE(verifies(key, token->sign(*key.key, Scheme::ecdsa, hash())));
    token.reset();
    EXPECT_EQ(instance.open_sessions(), 0u);
}

TEST_F(SpyTest, EveryCallOfADeviceFailsUnderAStar) {
    const spy::Instance instance{QSCD_SPY_LIBRARY};
    const auto key = made();
    instance.command("* 1+ 0x32\n");  // CKR_DEVICE_REMOVED
    EXPECT_EQ(token->sign(*key.key, Scheme::ecdsa, hash()).signature.error().code, Errc::token_away);
    EXPECT_EQ(token->random(16).error().code, Errc::token_away);
    instance.command("");
    EXPECT_TRUE(token->wait_until_reachable(std::chrono::seconds{2}));
}

struct Lie : SpyTest, ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(, Lie,
                         ::testing::Values("CKA_PRIVATE 00", "CKA_SENSITIVE 00", "CKA_EXTRACTABLE 01",
                                           "CKA_MODIFIABLE 01", "CKA_COPYABLE 01", "CKA_SIGN 00", "CKA_DECRYPT 01",
                                           "CKA_UNWRAP 01", "CKA_DERIVE 01", "CKA_SIGN_RECOVER 01",
                                           "CKA_ALWAYS_SENSITIVE 00", "CKA_NEVER_EXTRACTABLE 00", "CKA_LOCAL 00",
                                           "CKA_TOKEN 00"),
                         [](const auto& test) {
                             const std::string text{test.param};
                             return text.substr(0, text.find(' '));
                         });
TEST_P(Lie, QSCD_02_AKeyWhoseAttributesReadBackDifferentlyIsDestroyed) {
    const auto id = random_fixed<CkaId>();
    place->command(std::string{"lie-attribute "} + GetParam() + "\n");
    const auto refused = token->generate(KeyKind::p256, id, "x");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::internal);
    place->command("");
    EXPECT_TRUE(token->confirm_gone(id));
}

}  // namespace
}  // namespace qscd::hsm
