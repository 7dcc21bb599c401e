// What a takeover rests on: once another process has destroyed a head key, the old owner can neither sign with it nor
// find it. On a real SoftHSM2, with a second process, the spy between the old owner and the module.
#include <gtest/gtest.h>

#include "base/openssl.hpp"
#include "base/random.hpp"
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

    static void SetUpTestSuite() {
        place = std::make_unique<SpiedToken>("fence");
        module = place->load_spied().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "sam"));
    }
    static void TearDownTestSuite() {
        module.reset();
        place.reset();
    }
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

TEST_F(FenceTest, TheNextOwnerSeesItsOwnDestructionConfirmed) {
    EXPECT_EQ(token->confirm_gone(head->key->id()).error().code, Errc::internal);
    take_over();
    EXPECT_TRUE(token->confirm_gone(head->key->id()));
    EXPECT_EQ(other->say("destroy " + head_id()), "ok") << "again, as after a crash in between";
}

}  // namespace
}  // namespace qscd::hsm
