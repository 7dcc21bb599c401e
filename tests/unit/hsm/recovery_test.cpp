// What a running server does when sessions, logins, PINs and devices are lost: section by section of the meaning table.
#include <barrier>
#include <gtest/gtest.h>
#include <latch>

#include "base/random.hpp"
#include "hsm/session.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

using namespace std::chrono_literals;

struct RecoveryTest : ::testing::Test {
    static inline std::unique_ptr<SpiedToken> place;
    static inline std::shared_ptr<Module> module;
    static inline std::optional<spy::Instance> spy;
    std::unique_ptr<Token> token;
    std::optional<GeneratedKey> key;

    static void SetUpTestSuite() {
        place = std::make_unique<SpiedToken>("recovery");
        module = place->load_own().value();
        spy.emplace(place->own_spy());
        ASSERT_TRUE(SoftToken::initialise(*module, "signers"));
    }
    static void TearDownTestSuite() {
        module.reset();
        place.reset();
    }
    void SetUp() override {
        spy->command("");
        open(1);
        key = token->generate(KeyKind::p256, random_fixed<CkaId>(), "x").value();
    }
    void TearDown() override {
        spy->command("");
        token.reset();
        EXPECT_EQ(spy->open_sessions(), 0u) << "every session was closed";
    }
    void open(unsigned threads) {
        token.reset();
        token = SoftToken::open(module, "signers", threads).value();
    }

    static DtbsR hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("a contract")).bytes()).value(); }
    Token::Outcome sign() const { return token->sign(*key->key, Scheme::ecdsa, hash()); }
    // How often each was called meanwhile.
    struct Calls {
        unsigned long sign, login, open;
    };
    static Calls counts() { return {spy->calls("C_Sign"), spy->calls("C_Login"), spy->calls("C_OpenSession")}; }
    template <class Do>
    static Calls calls_of(Do what) {
        const auto before = counts();
        what();
        const auto after = counts();
        return {after.sign - before.sign, after.login - before.login, after.open - before.open};
    }
};

struct Loss {
    const char *name, *fault;
};
struct LostBeforeSigning : RecoveryTest, ::testing::WithParamInterface<Loss> {};
INSTANTIATE_TEST_SUITE_P(, LostBeforeSigning,
                         ::testing::Values(Loss{"Sessions", "C_SignInit 1 lose-sessions\n"},
                                           Loss{"TheLogin", "C_SignInit 1 log-out\n"},
                                           Loss{"SessionsAsTheSearchBegins", "C_FindObjectsInit 1 lose-sessions\n"},
                                           Loss{"SessionsInTheSearch", "C_FindObjects 1 lose-sessions\n"}),
                         [](const auto& test) { return test.param.name; });
TEST_P(LostBeforeSigning, QSCD_22_TheSignatureComesAllTheSame) {
    KeyObject fresh{key->key->id(), CKO_PRIVATE_KEY};
    const bool searches = std::string_view{GetParam().fault}.starts_with("C_Find");
    spy->command(GetParam().fault);
    const auto calls = calls_of([&] {
        const auto outcome = token->sign(searches ? fresh : *key->key, Scheme::ecdsa, hash());
        EXPECT_TRUE(outcome.signature) << describe(outcome.signature.error());
        EXPECT_TRUE(outcome.entered);
    });
    EXPECT_EQ(calls.sign, 1u);
    EXPECT_EQ(calls.login, 1u);
    EXPECT_GE(token->counters().renewals, 1u);
    EXPECT_EQ(token->counters().failures, 0u);
}

TEST_F(RecoveryTest, QSCD_22_SessionsLostUnderEveryOtherJobCostNothing) {
    ASSERT_TRUE(token->create_data("kept " + key->key->id().hex(), view_of("x")));
    const auto id = random_fixed<CkaId>();
    const std::vector<std::pair<const char*, std::function<bool()>>> jobs{
        {"C_GenerateRandom 1 lose-sessions\n", [&] { return token->random(16).has_value(); }},
        {"C_FindObjectsInit 1 lose-sessions\n", [&] { return token->private_keys().has_value(); }},
        {"C_GetAttributeValue 1 lose-sessions\n", [&] { return token->keys("").has_value(); }},
        {"C_GetAttributeValue 1 log-out\n",
         [&] { return token->read_data("kept " + key->key->id().hex()).has_value(); }},
        {"C_GetSessionInfo 1 lose-sessions\n", [&] { return token->generate(KeyKind::p256, id, "y").has_value(); }},
        {"C_DestroyObject 1 lose-sessions\n", [&] { return token->destroy(id).has_value(); }},
    };
    for (const auto& [fault, job] : jobs) {
        SCOPED_TRACE(fault);
        spy->command(fault);
        EXPECT_TRUE(job());
    }
    EXPECT_TRUE(token->confirm_gone(id));
}

TEST_F(RecoveryTest, QSCD_22_OnceCSignWasEnteredTheOutcomeCountsAsUsed) {
    for (const auto* fault :
         {"C_Sign 1 lose-sessions\n", "C_Sign 1 log-out\n", "C_Sign 1 0x101\n", "C_Sign 1 0xb3\n"}) {
        SCOPED_TRACE(fault);
        spy->command(fault);
        const auto calls = calls_of([&] {
            const auto outcome = sign();
            EXPECT_TRUE(outcome.entered);
            if (!outcome.signature) EXPECT_EQ(outcome.signature.error().code, Errc::token_away);
        });
        EXPECT_EQ(calls.sign, 1u);
        spy->command("");
        EXPECT_TRUE(sign().signature) << "the next request has another session";
    }
}

TEST_F(RecoveryTest, ALoginVoidsTheHandlesOfBefore) {
    ASSERT_TRUE(sign().signature);
    spy->command("C_GenerateRandom 1 log-out\n");
    ASSERT_TRUE(token->random(16));
    const auto begun = spy->calls("C_SignInit"), searched = spy->calls("C_FindObjectsInit");
    spy->command("C_SignInit 1 log-out\n");
    ASSERT_TRUE(sign().signature);
    EXPECT_EQ(spy->calls("C_SignInit"), begun + 2);
    EXPECT_GE(spy->calls("C_FindObjectsInit"), searched + 1) << "the handle of before the login is not tried";
}

TEST_F(RecoveryTest, AnUnfinishedOperationIsOurFaultAndCounted) {
    for (const auto& [fault, signs] :
         {std::pair{"C_SignInit 1 0x90\n", true}, {"C_Sign 1 0x150\n", false}, {"C_FindObjects 1 0x91\n", true}}) {
        SCOPED_TRACE(fault);
        const auto before = misuses();
        KeyObject fresh{key->key->id(), CKO_PRIVATE_KEY};
        spy->command(fault);
        const auto calls = calls_of([&] {
            const auto outcome = token->sign(fresh, Scheme::ecdsa, hash());
            EXPECT_EQ(outcome.signature.has_value(), signs);
            EXPECT_TRUE(outcome.entered);
        });
        EXPECT_EQ(misuses(), before + 1);
        EXPECT_EQ(calls.sign, 1u);
        spy->command("");
        const auto next = calls_of([&] { EXPECT_TRUE(sign().signature); });
        EXPECT_EQ(calls.open + next.open, 1u) << "the session was replaced";
    }
}

// An HSM that was set up anew while we ran: every session is gone, and its PIN is another. Each try costs one of few.
TEST_F(RecoveryTest, AWrongPinIsTriedOnceHoweverManyAsk) {
    open(4);
    ASSERT_TRUE(sign().signature);
    spy->command("C_SignInit 1 lose-sessions\nC_Login 1+ 0xa0\n");  // CKR_PIN_INCORRECT
    const auto calls = calls_of([&] {
        std::latch done{32};
        for (int i = 0; i < 32; ++i)
            token->sign_all(key->key, Scheme::ecdsa, {hash()}, [&](std::vector<Token::Outcome> outcomes) {
                for (const auto& outcome : outcomes) {
                    EXPECT_FALSE(outcome.signature);
                    EXPECT_FALSE(outcome.entered);
                }
                done.count_down();
            });
        done.wait();
        spy->command("");
        for (int i = 0; i < 5; ++i) EXPECT_EQ(sign().signature.error().code, Errc::token_away);
        EXPECT_FALSE(token->wait_until_reachable(100ms));
    });
    EXPECT_EQ(calls.login, 1u) << "and never again, also when it would be right";
}

struct Pin : RecoveryTest, ::testing::WithParamInterface<CK_RV> {};
INSTANTIATE_TEST_SUITE_P(, Pin,
                         ::testing::Values(CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE, CKR_PIN_EXPIRED,
                                           CKR_PIN_LOCKED, CKR_USER_PIN_NOT_INITIALIZED),
                         [](const auto& test) { return std::string{listed(test.param)->name}; });
TEST_P(Pin, ARefusalAtTheStartIsAConfigurationErrorAfterOneTry) {
    token.reset();
    spy->command("C_Login 1+ " + std::to_string(GetParam()) + "\n");
    const auto calls = calls_of([&] {
        const auto refused = SoftToken::open(module, "signers", 4);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::configuration);
    });
    EXPECT_EQ(calls.login, 1u);
}

TEST_F(RecoveryTest, QSCD_22_TheBreakerOpensAfterThreeFailuresAndTheModuleIsNotHammered) {
    spy->command("C_SignInit 1+ 0x30\n");  // CKR_DEVICE_ERROR: it looks well and does not work
    const auto before = spy->calls("C_SignInit");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(sign().signature.error().code, Errc::token_away);
    EXPECT_EQ(spy->calls("C_SignInit"), before + 3);
    EXPECT_GE(token->counters().openings, 1u);
    const auto until = std::chrono::steady_clock::now() + 400ms;
    unsigned long asked = 0;
    for (; std::chrono::steady_clock::now() < until; ++asked) EXPECT_FALSE(sign().signature);
    // Each opening lets one call through on trial, after 20, 40, 80, 160 ms …
    EXPECT_LE(spy->calls("C_SignInit") - before, 3u + 6u);
    EXPECT_GT(asked, 20u) << "the others are answered at once";
    EXPECT_GE(token->counters().module_restarts, 1u);
    spy->command("");
    EXPECT_TRUE(token->wait_until_reachable(2s));
    EXPECT_TRUE(sign().signature);
}

TEST_F(RecoveryTest, AFailureOrTwoOpenNothing) {
    for (int i = 0; i < 5; ++i) {
        spy->command("C_SignInit 1 0x30\n");
        EXPECT_FALSE(sign().signature);
        EXPECT_TRUE(token->wait_until_reachable(2s));
        EXPECT_TRUE(sign().signature);
    }
    EXPECT_EQ(token->counters().openings, 0u);
    EXPECT_EQ(token->counters().module_restarts, 0u);
}

TEST_F(RecoveryTest, ATokenThatNobodyUsesIsFoundMissingBySomeone) {
    spy->command("* 1+ 0xe0\n");  // CKR_TOKEN_NOT_PRESENT
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    // The keeper looks every two seconds, and nothing tells when it did.
    while (token->reachable() && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(token->reachable());
    spy->command("");
    EXPECT_TRUE(token->wait_until_reachable(3s));
}

TEST_F(RecoveryTest, NoMoreSessionsAreOpenedThanTheTokenGives) {
    token.reset();
    spy->command("token-info ulMaxSessionCount 4\ntoken-info ulMaxRwSessionCount 3\n");
    open(8);
    EXPECT_EQ(token->threads(), 2u) << "and one keeps the login";
    std::latch done{40};
    for (int i = 0; i < 40; ++i)
        token->sign_all(key->key, Scheme::ecdsa, {hash()}, [&](std::vector<Token::Outcome> outcomes) {
            EXPECT_TRUE(outcomes.at(0).signature);
            done.count_down();
        });
    done.wait();
    EXPECT_LE(spy->open_sessions(), 3u);
    token.reset();
    spy->command("token-info ulMaxRwSessionCount 1\n");
    EXPECT_EQ(SoftToken::open(module, "signers", 8).error().code, Errc::configuration);
}

TEST_F(RecoveryTest, QSCD_21_ACallThatNeverReturnsDoesNotStopTheModulesOtherTokens) {
    if (!module->find("others")) {
        ASSERT_TRUE(SoftToken::initialise(*module, "others"));
    }
    const auto other = SoftToken::open(module, "others", 1).value();
    const auto gate = place->folder / "gate";
    spy->command("hold C_Sign " + gate.string() + "\n");
    const auto before = spy->calls("C_Sign");
    std::thread hanging{[&] { EXPECT_TRUE(sign().signature); }};
    while (spy->calls("C_Sign") == before) std::this_thread::yield();
    const auto began = std::chrono::steady_clock::now();
    const auto done = module->reinitialise();
    EXPECT_FALSE(done);
    EXPECT_LT(std::chrono::steady_clock::now() - began, Module::parking_patience + 5s);
    EXPECT_TRUE(other->random(16)) << "it was begun again as it was";
    std::ofstream{gate} << "open";
    hanging.join();
    EXPECT_TRUE(sign().signature);
}

TEST_F(RecoveryTest, TwoModulesOfOneLibraryShareItsEnd) {
    {
        const auto second = Module::load({place->own_spy(), "", {}, {}}).value();
        EXPECT_EQ(second->generation(), module->generation());
        EXPECT_TRUE(second->reinitialise());
        EXPECT_EQ(second->generation(), module->generation());
        EXPECT_TRUE(sign().signature) << "its sessions were void, and it knew";
    }
    const auto finalised = spy->calls("C_Finalize");
    EXPECT_TRUE(sign().signature);
    EXPECT_EQ(spy->calls("C_Finalize"), finalised) << "one of them went, the library stays in use";
}

TEST(Meanings, FollowTheTable) {
    EXPECT_EQ(return_values.size(), 98u) << "those of 2.40 and four of 3.0";
    for (const auto& row : return_values) EXPECT_EQ(meaning_of(row.rv), row.meaning);
    EXPECT_EQ(meaning_of(CKR_VENDOR_DEFINED), Meaning::away);
    EXPECT_EQ(meaning_of(CKR_VENDOR_DEFINED | 0x30), Meaning::away);
    EXPECT_EQ(meaning_of(0x999), Meaning::bug);
    EXPECT_EQ(meaning_of(CKR_GENERAL_ERROR), Meaning::away);
    EXPECT_EQ(meaning_at_unwrap(CKR_GENERAL_ERROR), Meaning::damaged);
    EXPECT_EQ(meaning_at_unwrap(CKR_DEVICE_ERROR), Meaning::away);
    EXPECT_EQ(error_of(CKR_PIN_INCORRECT, "C_SignInit").code, Errc::internal) << "a PIN is refused by C_Login alone";
    EXPECT_EQ(error_of(CKR_DEVICE_ERROR, "C_Sign").detail, "C_Sign answered 0x30 CKR_DEVICE_ERROR");
}

}  // namespace
}  // namespace qscd::hsm
