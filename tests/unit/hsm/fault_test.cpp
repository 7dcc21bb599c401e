// Every error code of PKCS#11 at every call on the way to a signature, a key, a data object or random bytes: what is
// answered, that C_Sign is entered at most once, and that the token serves again without a restart. [QSCD-22]
#include <cstdio>
#include <gtest/gtest.h>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "hsm/meaning.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

using namespace std::chrono_literals;

bool full() { return std::getenv("QSCD_FULL") != nullptr; }

struct World : ::testing::Environment {
    static inline std::unique_ptr<SpiedToken> place;
    static inline std::shared_ptr<Module> module;
    static inline std::unique_ptr<Token> token;
    static inline std::optional<spy::Instance> spy;
    static inline std::optional<GeneratedKey> key;
    static inline std::shared_ptr<KeyObject> mac;
    static inline std::optional<Anchors> anchors;
    static inline std::optional<CkaId> spare;  // of the key that a row makes or destroys
    void SetUp() override {
        place = std::make_unique<SpiedToken>("fault");
        module = place->load_spied().value();
        spy.emplace(QSCD_SPY_LIBRARY);
        ASSERT_TRUE(SoftToken::initialise(*module, "signers"));
        open();
        key = token->generate(KeyKind::p256, random_fixed<CkaId>(), "x").value();
        mac = token->generate_hmac_key(random_fixed<CkaId>(), "mac").value();
        ASSERT_TRUE(token->create_data("genesis", view_of("x")));
        anchors = Anchors::open(*token, "head").value();
        ASSERT_TRUE(anchors->create(view_of("0"), Anchors::Form::label));
    }
    static void open() {
        token.reset();
        token = SoftToken::open(module, "signers", 1).value();
        if (anchors) anchors = Anchors::open(*token, "head").value();
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

// What somebody asks of the token.
struct Answer {
    std::optional<Error> error = {};
    bool entered = false;
};
template <class T>
Answer answer_of(const Result<T>& result) {
    return result ? Answer{} : Answer{result.error()};
}
Answer signed_with(KeyObject& key) {
    const auto outcome = World::token->sign(key, Scheme::ecdsa, hash());
    if (outcome.signature) EXPECT_TRUE(verifies(outcome.signature.value()));
    return {outcome.signature ? std::nullopt : std::optional{outcome.signature.error()}, outcome.entered};
}
Answer sign() { return signed_with(*World::key->key); }
Answer sign_with_an_unknown_handle() {
    KeyObject fresh{World::key->key->id(), CKO_PRIVATE_KEY};
    return signed_with(fresh);
}
Answer mac() { return answer_of(World::token->hmac(*World::mac, view_of("message"))); }
Answer find() { return answer_of(World::token->find_by_label("mac")); }
Answer list() { return answer_of(World::token->keys("")); }
Answer read_data() { return answer_of(World::token->read_data("genesis")); }
Answer draw() { return answer_of(World::token->random(16)); }
Answer anchor() { return answer_of(World::anchors->write(view_of("1"))); }
Answer make() { return answer_of(World::token->generate(KeyKind::p256, *World::spare, "spare")); }
Answer make_mac() { return answer_of(World::token->generate_hmac_key(*World::spare, "spare")); }
Answer destroy() { return answer_of(World::token->destroy(*World::spare)); }
Answer begin_anew() { return answer_of(World::module->reinitialise()); }
Answer keep_data() {
    const auto result = World::token->create_data("kept", view_of("x"));
    return answer_of(result);
}

// Before a row: nothing, no session left, a key that may be destroyed.
void nothing() {}
void lose_the_session() {
    World::spy->command("C_SignInit 1 0x30\n");  // CKR_DEVICE_ERROR: the next job opens another
    EXPECT_TRUE(sign().error);
    EXPECT_TRUE(World::token->wait_until_reachable(2s));
}
void make_a_spare() { EXPECT_TRUE(World::token->generate_hmac_key(*World::spare, "spare")); }

// What must be answered, by what the code means. `away`: 503, later may help. `internal`: not transient.
enum class Must { succeed, be_away, be_internal, be_refused };
struct Expected {
    Must stale, away, pin, other;
};
constexpr Expected renewed{Must::succeed, Must::be_away, Must::be_internal,
                           Must::be_internal};  // a stale one is asked again
constexpr Expected told{Must::be_away, Must::be_away, Must::be_internal, Must::be_internal};  // nothing is asked again
constexpr Expected tells_absence{Must::be_away, Must::be_away, Must::be_away, Must::be_away};
constexpr Expected no_matter{Must::succeed, Must::succeed, Must::succeed, Must::succeed};
constexpr Expected by_login{Must::be_away, Must::be_away, Must::be_refused, Must::be_internal};
constexpr Expected by_first_login{Must::succeed, Must::be_away, Must::be_refused, Must::be_internal};

// Codes that an ask survives whatever they mean.
using Survived = std::array<CK_RV, 2>;
constexpr Survived nothing_else{CKR_OK, CKR_OK};
constexpr Survived already_logged_in{CKR_USER_ALREADY_LOGGED_IN, CKR_OK};
constexpr Survived already_initialised{CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_OK};
// Generation asks once more without optional attributes, or with the public half in the token.
constexpr Survived asked_with_less{CKR_ATTRIBUTE_TYPE_INVALID, CKR_OK};
constexpr Survived asked_otherwise{CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID};

struct Site {
    const char *name, *function;
    Answer (*ask)();
    Expected expected;
    const char* faults_before = "";  // what must go wrong for the call to be made at all
    unsigned nth = 1;
    void (*prepare)() = nothing;
    Survived survives = nothing_else;
    bool slow = false;  // makes token objects: all codes in the full run alone
};
constexpr auto session_gone = "C_SignInit 1 0xb3\n";  // CKR_SESSION_HANDLE_INVALID
constexpr auto handle_gone = "C_SignInit 1 0x60\n";   // CKR_KEY_HANDLE_INVALID
constexpr std::array sites{
    Site{"SignInit", "C_SignInit", sign, renewed},
    Site{"Sign", "C_Sign", sign, told},
    Site{"SearchForTheKeyInit", "C_FindObjectsInit", sign_with_an_unknown_handle, renewed},
    Site{"SearchForTheKey", "C_FindObjects", sign_with_an_unknown_handle, renewed},
    Site{"SearchForTheKeyFinal", "C_FindObjectsFinal", sign_with_an_unknown_handle, renewed},
    Site{"SessionInfoAfterAStaleHandle", "C_GetSessionInfo", sign, no_matter, handle_gone},
    Site{"SearchAfterAStaleHandle", "C_FindObjectsInit", sign, told, handle_gone},
    Site{"SignInitAgain", "C_SignInit", sign, told, session_gone, 2},
    Site{"SlotListForAnotherSession", "C_GetSlotList", sign, told, session_gone},
    Site{"TokenInfoForAnotherSession", "C_GetTokenInfo", sign, tells_absence, session_gone},
    Site{"OpenAnotherSession", "C_OpenSession", sign, told, session_gone},
    Site{"LoginAgain", "C_Login", sign, by_login, session_gone, 1, nothing, already_logged_in},
    Site{"OpenASession", "C_OpenSession", sign, renewed, "", 1, lose_the_session},
    Site{"Login", "C_Login", sign, by_first_login, "", 1, lose_the_session, already_logged_in},
    Site{"MacInit", "C_SignInit", mac, renewed},
    Site{"Mac", "C_Sign", mac, told},
    Site{"FindByLabel", "C_FindObjectsInit", find, renewed},
    Site{"ReadTheIdFound", "C_GetAttributeValue", find, renewed},
    Site{"ReadAListedLabel", "C_GetAttributeValue", list, renewed, "", 2},
    Site{"TokenInfoAfterAList", "C_GetTokenInfo", list, renewed},
    Site{"ReadData", "C_GetAttributeValue", read_data, renewed},
    Site{"Random", "C_GenerateRandom", draw, renewed},
    Site{"SessionInfoBeforeAnAnchor", "C_GetSessionInfo", anchor, no_matter},
    Site{"SetAnAnchor", "C_SetAttributeValue", anchor, told},
    Site{"MakeAKeyPair", "C_GenerateKeyPair", make, told, "", 1, nothing, asked_otherwise, true},
    Site{"ReadThePublicKey", "C_GetAttributeValue", make, told, "", 1, nothing, nothing_else, true},
    Site{"ReadBack", "C_GetAttributeValue", make, told, "", 3, nothing, nothing_else, true},
    Site{"MakeASecretKey", "C_GenerateKey", make_mac, told, "", 1, nothing, asked_with_less, true},
    Site{"Destroy", "C_DestroyObject", destroy, renewed, "", 1, make_a_spare, nothing_else, true},
    Site{"SearchAfterDestroying", "C_FindObjectsInit", destroy, renewed, "", 3, make_a_spare, nothing_else, true},
    Site{"CreateData", "C_CreateObject", keep_data, told, "", 1, nothing, nothing_else, true},
    Site{"Finalize", "C_Finalize", begin_anew, no_matter},
    Site{"Initialize", "C_Initialize", begin_anew, told, "", 1, nothing, already_initialised},
};

Must expected_of(const Site& site, CK_RV rv) {
    if (std::ranges::count(site.survives, rv) != 0) return Must::succeed;
    switch (meaning_of(rv)) {
        case Meaning::stale: return site.expected.stale;
        case Meaning::away: return site.expected.away;
        case Meaning::pin: return site.expected.pin;
        default: return site.expected.other;
    }
}

struct Fault : ::testing::TestWithParam<Site> {
    const Site& site = GetParam();
    Token& token() const { return *World::token; }

    // The keeper has brought it back, and a signature comes.
    void expect_recovery() {
        World::spy->command("");
        EXPECT_TRUE(token().wait_until_reachable(2s));
        auto again = token().sign(*World::key->key, Scheme::ecdsa, hash());
        // A fault that ends with the module not initialised is found by the first call.
        if (!again.signature && token().wait_until_reachable(2s))
            again = token().sign(*World::key->key, Scheme::ecdsa, hash());
        ASSERT_TRUE(again.signature) << describe(again.signature.error());
        EXPECT_TRUE(verifies(again.signature.value()));
    }
    // For good: nobody tries the PIN again, also when it would be right.
    void expect_stopped() {
        World::spy->command("");
        const auto logins = World::spy->calls("C_Login");
        for (int i = 0; i < 3; ++i) EXPECT_EQ(sign().error.value().code, Errc::token_away);
        EXPECT_FALSE(token().reachable());
        EXPECT_EQ(World::spy->calls("C_Login"), logins);
        World::open();
    }
    Answer ask(CK_RV rv, const char* reached) {
        World::spare = random_fixed<CkaId>();
        site.prepare();
        std::array<char, 96> line{};
        (void)std::snprintf(line.data(), line.size(), "%s %u 0x%lx%s\n", site.function, site.nth,
                            static_cast<unsigned long>(rv), reached);
        World::spy->command(site.faults_before + std::string{line.data()});
        const auto before = World::spy->calls("C_Sign");
        const auto answer = site.ask();
        World::spy->command("");
        const auto entered = World::spy->calls("C_Sign") - before;
        EXPECT_LE(entered, 1u) << "C_Sign is never entered twice";
        if (site.ask == sign || site.ask == sign_with_an_unknown_handle) EXPECT_EQ(answer.entered, entered == 1);
        if (answer.error) EXPECT_NE(answer.error->code, Errc::key_gone) << "a fault is no destroyed key";
        return answer;
    }
    void clear_away() {
        if (site.slow) EXPECT_TRUE(token().destroy(*World::spare));
    }
    std::vector<CK_RV> codes() const {
        std::vector<CK_RV> out;
        for (const auto& row : return_values)
            if (row.rv != CKR_OK && (!site.slow || full() || row.rv % 16 == 2 || row.rv == 5 || row.rv == 7))
                out.push_back(row.rv);
        out.push_back(CKR_VENDOR_DEFINED | 0x123);
        out.push_back(0x7fff);  // of a later version
        return out;
    }
};
INSTANTIATE_TEST_SUITE_P(, Fault, ::testing::ValuesIn(sites), [](const auto& test) { return test.param.name; });

TEST_P(Fault, QSCD_22_EachCodeHasItsAnswerAndTheTokenServesAgain) {
    for (const auto rv : codes()) {
        std::array<char, 16> code{};
        (void)std::snprintf(code.data(), code.size(), "0x%lx ", static_cast<unsigned long>(rv));
        SCOPED_TRACE(code.data() + std::string{listed(rv) != nullptr ? listed(rv)->name : "not listed"});
        expect_recovery();
        const auto answer = ask(rv, "");
        const auto text = answer.error ? describe(*answer.error) : "success";
        switch (expected_of(site, rv)) {
            case Must::succeed: EXPECT_FALSE(answer.error) << text; break;
            case Must::be_away: EXPECT_TRUE(answer.error && answer.error->code == Errc::token_away) << text; break;
            case Must::be_internal: EXPECT_TRUE(answer.error && answer.error->code == Errc::internal) << text; break;
            case Must::be_refused:
                EXPECT_TRUE(answer.error && answer.error->code == Errc::configuration) << text;
                expect_stopped();
                break;
        }
        expect_recovery();
        if (answer.error && site.slow && site.ask != destroy)
            EXPECT_TRUE(token().confirm_gone(*World::spare)) << "what was not made well is not left";
        clear_away();
    }
}

// The module did it and said otherwise: the answer may be either, the invariants hold.
TEST_P(Fault, QSCD_22_ALieAboutACallThatWasDoneIsSurvived) {
    for (const auto rv : codes()) {
        if (!full() && rv % 16 != 0) continue;
        SCOPED_TRACE(rv);
        expect_recovery();
        const auto answer = ask(rv, " after");
        if (site.ask == sign && std::string_view{site.function} == "C_Sign")
            EXPECT_TRUE(answer.error) << "what C_Sign answered is not tried again";
        if (World::token->reachable() || World::token->wait_until_reachable(2s)) expect_recovery();
        else expect_stopped();
        clear_away();
    }
}

}  // namespace
}  // namespace qscd::hsm
