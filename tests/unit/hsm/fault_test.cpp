// Every error that a session, a token or a device can have, at every call on the way to a signature: it is a signature
// or a clean refusal, C_Sign is entered at most once, and the token is back without a restart. [QSCD-22]
#include <gtest/gtest.h>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

using namespace std::chrono_literals;

struct ErrorRow {
    const char* name;
    CK_RV rv;
};
constexpr std::array errors{
    ErrorRow{"HostMemory", CKR_HOST_MEMORY},
    ErrorRow{"SlotIdInvalid", CKR_SLOT_ID_INVALID},
    ErrorRow{"GeneralError", CKR_GENERAL_ERROR},
    ErrorRow{"FunctionFailed", CKR_FUNCTION_FAILED},
    ErrorRow{"DeviceError", CKR_DEVICE_ERROR},
    ErrorRow{"DeviceMemory", CKR_DEVICE_MEMORY},
    ErrorRow{"DeviceRemoved", CKR_DEVICE_REMOVED},
    ErrorRow{"KeyHandleInvalid", CKR_KEY_HANDLE_INVALID},
    ErrorRow{"ObjectHandleInvalid", CKR_OBJECT_HANDLE_INVALID},
    ErrorRow{"OperationActive", CKR_OPERATION_ACTIVE},
    ErrorRow{"SessionClosed", CKR_SESSION_CLOSED},
    ErrorRow{"SessionHandleInvalid", CKR_SESSION_HANDLE_INVALID},
    ErrorRow{"TokenNotPresent", CKR_TOKEN_NOT_PRESENT},
    ErrorRow{"TokenNotRecognized", CKR_TOKEN_NOT_RECOGNIZED},
    ErrorRow{"UserNotLoggedIn", CKR_USER_NOT_LOGGED_IN},
    ErrorRow{"CryptokiNotInitialized", CKR_CRYPTOKI_NOT_INITIALIZED},
    ErrorRow{"BufferTooSmall", CKR_BUFFER_TOO_SMALL},
};

// Where it strikes, and what must have gone wrong before for that call to be made at all.
struct Site {
    const char *function, *before;
    bool handle_known;
};
constexpr auto session_lost = "C_SignInit 1 0xb3\n";  // CKR_SESSION_HANDLE_INVALID
constexpr auto handle_lost = "C_SignInit 1 0x60\n";   // CKR_KEY_HANDLE_INVALID
constexpr std::array sites{
    Site{"C_SignInit", "", true},
    Site{"C_Sign", "", true},
    Site{"C_FindObjectsInit", "", false},
    Site{"C_FindObjects", "", false},
    Site{"C_FindObjectsFinal", "", false},
    Site{"C_GetSessionInfo", handle_lost, true},
    Site{"C_FindObjectsInit", handle_lost, true},
    Site{"C_GetSlotList", session_lost, true},
    Site{"C_GetTokenInfo", session_lost, true},
    Site{"C_OpenSession", session_lost, true},
    Site{"C_Login", session_lost, true},
};

struct World : ::testing::Environment {
    static inline std::unique_ptr<SpiedToken> place;
    static inline std::shared_ptr<Module> module;
    static inline std::unique_ptr<Token> token;
    static inline std::optional<GeneratedKey> key;
    void SetUp() override {
        place = std::make_unique<SpiedToken>("fault");
        module = place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "signers"));
        token = SoftToken::open(module, "signers", 1).value();
        key = token->generate(KeyKind::p256, random_fixed<CkaId>(), "x").value();
    }
    void TearDown() override {
        token.reset();
        module.reset();
        place.reset();
    }
};
[[maybe_unused]] const auto* const world = ::testing::AddGlobalTestEnvironment(new World);

DtbsR hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("a contract")).bytes()).value(); }

bool verifies(ByteView signature) {
    const auto key = public_key_from_der(World::key->public_key).value();
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
    EVP_PKEY_verify_init(context.get());
    return EVP_PKEY_verify(context.get(), signature.data(), signature.size(), hash().bytes().data(), 32) == 1;
}

struct Fault : ::testing::TestWithParam<ErrorRow> {
    Token& token = *World::token;
    // The keeper has brought it back, and a signature comes.
    void expect_recovery() {
        World::place->command("");
        const auto deadline = std::chrono::steady_clock::now() + 2s;
        while (!token.reachable() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        const auto again = token.sign(*World::key->key, Scheme::ecdsa, hash());
        ASSERT_TRUE(again.signature) << describe(again.signature.error());
        EXPECT_TRUE(verifies(again.signature.value()));
    }
};
INSTANTIATE_TEST_SUITE_P(, Fault, ::testing::ValuesIn(errors), [](const auto& test) { return test.param.name; });

TEST_P(Fault, QSCD_22_AtEveryCallIsASignatureOrACleanRefusal) {
    char rv[32];
    (void)std::snprintf(rv, sizeof rv, "0x%lx", GetParam().rv);
    for (const auto& site : sites) {
        for (const char* reached : {"", " after"}) {
            SCOPED_TRACE(std::string{site.before} + site.function + reached);
            expect_recovery();
            KeyObject fresh{World::key->key->id(), CKO_PRIVATE_KEY};
            auto& key = site.handle_known ? *World::key->key : fresh;
            World::place->start_counting();
            World::place->command(std::string{site.before} + site.function +
                                  (std::string_view{site.function} == "C_SignInit" && *site.before ? " 2 " : " 1 ") +
                                  rv + reached + "\n");
            const auto outcome = token.sign(key, Scheme::ecdsa, hash());
            const auto entered = spy::count(World::place->calls(), "C_Sign-entered");
            EXPECT_LE(entered, 1u);
            EXPECT_EQ(outcome.entered, entered == 1);
            if (outcome.signature) EXPECT_TRUE(verifies(outcome.signature.value()));
            else EXPECT_NE(outcome.signature.error().code, Errc::key_gone) << "a fault is no destroyed key";
            if (std::string_view{site.function} == "C_Sign")
                EXPECT_FALSE(outcome.signature) << "what C_Sign answered is not tried again";
        }
    }
    expect_recovery();
}

}  // namespace
}  // namespace qscd::hsm
