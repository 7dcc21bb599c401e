// What a takeover rests on: once another process has destroyed a head key, the old owner can neither sign with it nor
// find it. On a real SoftHSM2, with a second process, the spy between the old owner and the module.
#include <gtest/gtest.h>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "hsm/anchor.hpp"
#include "hsm/session.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"
#include "tests/unit/hsm/other_owner.hpp"

namespace qscd::hsm {
namespace {

struct FenceTest : ::testing::Test {
    static inline std::unique_ptr<SpiedToken> place;
    static inline std::shared_ptr<Module> module;
    std::unique_ptr<Token> token;
    std::unique_ptr<OtherOwner> other;
    std::optional<GeneratedKey> head;

    // Once for this suite and those of its parameters: the spy is one a process.
    static void SetUpTestSuite() {
        if (place) return;
        place = std::make_unique<SpiedToken>("fence");
        module = place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "sam"));
    }
    struct End : ::testing::Environment {
        void TearDown() override {
            module.reset();
            place.reset();
        }
    };
    void SetUp() override {
        place->command("");
        token = SoftToken::open(module, "sam").value();
        head = token->generate(KeyKind::p256, random_fixed<CkaId>(), "head-1").value();
        ASSERT_TRUE(token->sign(*head->key, Scheme::ecdsa, hash()).signature);  // the handle is cached now
        other = std::make_unique<OtherOwner>(*place, "sam");
        place->start_counting();
    }
    void TearDown() override { (void)token->destroy(head->key->id()); }

    static DtbsR hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("a head")).bytes()).value(); }
    std::string head_id() const { return head->key->id().hex(); }
    void take_over() { ASSERT_EQ(other->say("destroy " + head_id()), "ok"); }
    // The old owner is in C_Sign when the key goes: SignInit is done, C_Sign has not reached the module.
    template <class Sign>
    Token::Outcome sign_while_the_key_goes(Sign sign) {
        const auto gate = place->folder / "gate";
        place->command("hold C_Sign " + gate.string() + "\n");
        std::optional<Token::Outcome> outcome;
        std::thread signer{[&] { outcome = sign(); }};
        while (spy::count(place->calls(), "C_Sign-entered") == 0) std::this_thread::yield();
        take_over();
        std::ofstream{gate} << "open";
        signer.join();
        std::filesystem::remove(gate);
        return *std::move(outcome);
    }
};

[[maybe_unused]] const auto* const end = ::testing::AddGlobalTestEnvironment(new FenceTest::End);

TEST_F(FenceTest, ACachedHandleDoesNotSign) {
    take_over();
    for (int again = 0; again < 3; ++again) {
        const auto outcome = token->sign(*head->key, Scheme::ecdsa, hash());
        ASSERT_FALSE(outcome.signature);
        EXPECT_EQ(outcome.signature.error().code, Errc::key_gone);
        EXPECT_FALSE(outcome.entered);
        EXPECT_EQ(token->sign_fenced(*head->key, Scheme::ecdsa, hash()).signature.error().code, Errc::key_gone);
    }
    EXPECT_TRUE(token->reachable()) << "a key that is gone is no token that is away";
    const auto calls = place->calls();
    EXPECT_EQ(spy::count(calls, "C_Sign-entered"), 0u);
    EXPECT_EQ(spy::count(calls, "C_Login"), 0u) << "fenced: no new login";
    EXPECT_EQ(spy::count(calls, "C_OpenSession"), 0u);
}

TEST_F(FenceTest, ACachedHandleDoesNotReachTheNextOwnersKey) {
    take_over();
    for (int i = 2; i < 6; ++i) {
        ASSERT_EQ(other->say("make " + random_fixed<CkaId>().hex() + " head-" + std::to_string(i)), "ok");
    }
    EXPECT_EQ(token->sign(*head->key, Scheme::ecdsa, hash()).signature.error().code, Errc::key_gone);
    const auto keys = token->keys("head-").value();
    EXPECT_EQ(keys.size(), 4u);
    for (const auto& key : keys) ASSERT_TRUE(token->destroy(key.id));
}

TEST_F(FenceTest, TheKeyIsFoundNeitherByIdNorByLabelNorInAList) {
    take_over();
    EXPECT_EQ(token->find_private(head->key->id()).error().code, Errc::key_gone);
    EXPECT_EQ(token->find_by_label("head-1").error().code, Errc::parameter_invalid);
    EXPECT_TRUE(token->keys("head-").value().empty());
    EXPECT_TRUE(token->private_keys().value().empty());
    EXPECT_TRUE(token->confirm_gone(head->key->id()));
}

TEST_F(FenceTest, ASessionCopyCannotBeMadeBeforehand) {
    const auto copied = [&](const Result<std::shared_ptr<KeyObject>>& key) {
        CK_RV rv = CKR_OK;
        EXPECT_TRUE(token->on_session([&](Session& session) -> Result<void> {
            QSCD_TRY(auto handle, session.locate(*key.value()));
            const CK_BBOOL no = CK_FALSE;
            for (const bool ask_for_copyable : {false, true}) {
                const CK_BBOOL yes = CK_TRUE;
                std::array wanted{attribute(CKA_TOKEN, no), attribute(CKA_COPYABLE, yes)};
                CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
                rv = session.api().C_CopyObject(session.handle(), handle, wanted.data(), ask_for_copyable ? 2 : 1,
                                                &copy);
                if (rv == CKR_OK) session.api().C_DestroyObject(session.handle(), copy);
            }
            return success();
        }));
        return rv;
    };
    EXPECT_EQ(copied(token->find_private(head->key->id())), CK_RV{CKR_ACTION_PROHIBITED});
    const auto secret = token->generate_hmac_key(random_fixed<CkaId>(), "cell").value();
    EXPECT_EQ(copied(token->find_secret(secret->id())), CK_RV{CKR_ACTION_PROHIBITED});
    EXPECT_TRUE(token->destroy(secret->id()));
}

// SoftHSM takes the key out of its file at C_SignInit and keeps it for the operation. So the destruction is no fence
// for who stands between the two calls, and sign_fenced looks once more before it answers.
TEST_F(FenceTest, AnOperationBegunBeforehandIsFinishedBySoftHsm) {
    const auto outcome = sign_while_the_key_goes([&] { return token->sign(*head->key, Scheme::ecdsa, hash()); });
    EXPECT_TRUE(outcome.signature) << "if this module refuses, sign_fenced costs a search for nothing";
}

TEST_F(FenceTest, AFencedSignatureIsNotAnsweredWhenTheKeyWentMeanwhile) {
    const auto outcome = sign_while_the_key_goes([&] { return token->sign_fenced(*head->key, Scheme::ecdsa, hash()); });
    ASSERT_FALSE(outcome.signature);
    EXPECT_EQ(outcome.signature.error().code, Errc::key_gone);
    EXPECT_TRUE(outcome.entered);
    EXPECT_EQ(token->sign_fenced(*head->key, Scheme::ecdsa, hash()).signature.error().code, Errc::key_gone);
}

TEST_F(FenceTest, AFencedSignatureIsAnsweredWhileTheKeyStays) {
    const auto outcome = token->sign_fenced(*head->key, Scheme::ecdsa, hash());
    ASSERT_TRUE(outcome.signature);
    const auto key = public_key_from_der(head->public_key).value();
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
    EVP_PKEY_verify_init(context.get());
    EXPECT_EQ(EVP_PKEY_verify(context.get(), outcome.signature.value().data(), outcome.signature.value().size(),
                              hash().bytes().data(), 32),
              1);
}

TEST_F(FenceTest, AnAbsentTokenIsNoFence) {
    std::filesystem::rename(place->tokens(), place->folder / "away");
    const auto outcome = token->sign_fenced(*head->key, Scheme::ecdsa, hash());
    EXPECT_EQ(outcome.signature.error().code, Errc::token_away);
    EXPECT_EQ(token->confirm_gone(head->key->id()).error().code, Errc::token_away);
    std::filesystem::rename(place->folder / "away", place->tokens());
    while (!token->reachable()) std::this_thread::yield();
    EXPECT_TRUE(token->sign_fenced(*head->key, Scheme::ecdsa, hash()).signature);
}

// An owner that fell asleep in Anchors::write after it had looked, and wakes up when another has taken over.
struct Sleeper {
    const char* name;
    Anchors::Form form;
    const char* asleep_in;
};
struct LateAnchor : FenceTest, ::testing::WithParamInterface<Sleeper> {};
INSTANTIATE_TEST_SUITE_P(, LateAnchor,
                         ::testing::Values(Sleeper{"Label", Anchors::Form::label, "C_SetAttributeValue"},
                                           Sleeper{"Numbered", Anchors::Form::numbered, "C_CreateObject"}),
                         [](const auto& test) { return test.param.name; });
TEST_P(LateAnchor, NeverTouchesWhatTheNextOwnerWasToldIsWritten) {
    const spy::Instance spy{QSCD_SPY_LIBRARY};
    for (int writes = 1; writes <= 4; ++writes) {
        SCOPED_TRACE(writes);
        const auto name = std::string{GetParam().name} + std::to_string(writes);
        auto sleeper = Anchors::open(*token, name).value();
        ASSERT_TRUE(sleeper.create(view_of("genesis"), GetParam().form));
        for (const auto* text : {"old-1", "old-2"}) {
            ASSERT_TRUE(sleeper.write(view_of(text)));
        }
        const auto gate = place->folder / ("gate-" + name);
        place->command(std::string{"hold "} + GetParam().asleep_in + " " + gate.string() + "\n");
        const auto calls = spy.calls(GetParam().asleep_in);
        Result<void> late = success();
        std::thread asleep{[&] { late = sleeper.write(view_of("old-3")); }};
        while (spy.calls(GetParam().asleep_in) == calls) std::this_thread::yield();
        for (int i = 1; i <= writes; ++i) {
            ASSERT_EQ(other->say("write " + name + " new-" + std::to_string(i)), "ok");
        }
        std::ofstream{gate} << "open";
        asleep.join();
        place->command("");
        if (GetParam().form == Anchors::Form::label) EXPECT_FALSE(late);
        if (!late) EXPECT_EQ(late.error().code, Errc::fenced);
        EXPECT_EQ(other->say("newest " + name), "new-" + std::to_string(writes));
        EXPECT_EQ(other->hear(), "ok");
        EXPECT_EQ(other->say("write " + name + " new-on"), "ok") << "who took over goes on";
        const auto later = sleeper.write(view_of("old-4"));
        ASSERT_FALSE(later);
        EXPECT_EQ(later.error().code, Errc::fenced);
        EXPECT_EQ(text_of(Anchors::open(*token, name).value().read().value().whole.at(0)), "new-on");
    }
}

TEST_P(LateAnchor, ThatLandsBeforeTheNextOwnerWroteFencesThatOne) {
    const auto name = std::string{GetParam().name} + "-early";
    auto first = Anchors::open(*token, name).value();
    ASSERT_TRUE(first.create(view_of("genesis"), GetParam().form));
    auto next = Anchors::open(*token, name).value();
    ASSERT_TRUE(first.write(view_of("old-1")));
    EXPECT_EQ(next.write(view_of("new-1")).error().code, Errc::fenced);
    auto again = Anchors::open(*token, name).value();
    EXPECT_TRUE(again.write(view_of("new-1"))) << "a start anew mends it";
    EXPECT_EQ(first.write(view_of("old-2")).error().code, Errc::fenced);
}

// The next owner has made its own and not yet destroyed the other's: the late one may hear of success once, no more.
TEST_F(FenceTest, ALateAnchorBetweenMakingAndDestroyingIsLostWithItsObject) {
    const spy::Instance spy{QSCD_SPY_LIBRARY};
    auto late = Anchors::open(*token, "between").value();
    ASSERT_TRUE(late.create(view_of("genesis"), Anchors::Form::label));
    ASSERT_TRUE(late.write(view_of("old-1")));
    auto next = Anchors::open(*token, "between").value();
    const auto gate = place->folder / "gate-between";
    place->command("hold C_DestroyObject " + gate.string() + "\n");
    const auto calls = spy.calls("C_DestroyObject");
    Result<void> written = success();
    std::thread taking_over{[&] { written = next.write(view_of("new-1")); }};
    while (spy.calls("C_DestroyObject") == calls) std::this_thread::yield();
    EXPECT_TRUE(late.write(view_of("old-2")));
    std::ofstream{gate} << "open";
    taking_over.join();
    place->command("");
    EXPECT_TRUE(written);
    EXPECT_EQ(text_of(Anchors::open(*token, "between").value().read().value().whole.at(0)), "new-1");
    EXPECT_EQ(late.write(view_of("old-3")).error().code, Errc::fenced);
    EXPECT_TRUE(next.write(view_of("new-2")));
}

TEST_F(FenceTest, TheNextOwnerSeesItsOwnDestructionConfirmed) {
    EXPECT_EQ(token->confirm_gone(head->key->id()).error().code, Errc::internal);
    take_over();
    EXPECT_TRUE(token->confirm_gone(head->key->id()));
    EXPECT_EQ(other->say("destroy " + head_id()), "ok") << "again, as after a crash in between";
}

}  // namespace
}  // namespace qscd::hsm
