// Key pairs on modules that know less than SoftHSM2: refusals of SoftHSM2's by the spy.
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

struct World : ::testing::Environment {
    static inline std::unique_ptr<SpiedToken> place;
    static inline std::shared_ptr<Module> module;
    static inline std::unique_ptr<Token> token;
    void SetUp() override {
        place = std::make_unique<SpiedToken>("generation");
        module = place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "signers"));
        token = SoftToken::open(module, "signers", 1).value();
    }
    void TearDown() override {
        token.reset();
        module.reset();
        place.reset();
    }
};
[[maybe_unused]] const auto* const world = ::testing::AddGlobalTestEnvironment(new World);

// Token objects and session objects of every session.
std::size_t public_keys() {
    const auto inside = World::module->enter();
    const auto& api = World::module->api();
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    const auto slot = World::module->find("signers").value().slot;
    EXPECT_EQ(api.C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session), CKR_OK);
    CK_OBJECT_CLASS public_class = CKO_PUBLIC_KEY;
    CK_ATTRIBUTE wanted{CKA_CLASS, &public_class, sizeof public_class};
    std::array<CK_OBJECT_HANDLE, 8> found{};
    CK_ULONG count = 0;
    EXPECT_EQ(api.C_FindObjectsInit(session, &wanted, 1), CKR_OK);
    EXPECT_EQ(api.C_FindObjects(session, found.data(), found.size(), &count), CKR_OK);
    api.C_CloseSession(session);
    return count;
}

std::size_t attempts() { return spy::count(World::place->calls(), "C_GenerateKeyPair"); }

struct GenerationTest : ::testing::Test {
    Token& token = *World::token;
    CkaId id = random_fixed<CkaId>();
    void SetUp() override { World::place->start_counting(); }
    void TearDown() override {
        World::place->command("");
        EXPECT_TRUE(token.destroy(id));
    }
};

TEST_F(GenerationTest, APublicHalfThatMustBeInTheTokenIsReadAndDestroyed) {
    World::place->command("C_GenerateKeyPair 1 0x13\n");  // CKR_ATTRIBUTE_VALUE_INVALID: no session objects here
    const auto made = token.generate(KeyKind::p256, id, "x");
    ASSERT_TRUE(made) << describe(made.error());
    EXPECT_EQ(attempts(), 2u);
    EXPECT_FALSE(made.value().public_key.empty());
    EXPECT_TRUE(token.find_private(id));
    EXPECT_EQ(public_keys(), 0u);
}

TEST_F(GenerationTest, NoPublicHalfStaysWhereItLivesInTheSession) {
    ASSERT_TRUE(token.generate(KeyKind::p256, id, "x"));
    EXPECT_EQ(attempts(), 1u);
    EXPECT_EQ(public_keys(), 0u);
}

TEST_F(GenerationTest, ARefusalThatStaysIsTold) {
    World::place->command("C_GenerateKeyPair 1+ 0x13\n");
    const auto made = token.generate(KeyKind::p256, id, "x");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::internal);
    EXPECT_EQ(attempts(), 2u);
    World::place->command("");
    EXPECT_TRUE(token.confirm_gone(id));
}

}  // namespace
}  // namespace qscd::hsm
