// Wrapped placement on a real SoftHSM2: what it does, and that a blob serves its owner, under its key-encryption key, and
// nobody else. [QSCD-30]
#include <cstdlib>

#include "base/openssl.hpp"
#include "hsm/signature_check.hpp"
#include "tests/unit/hsm/wrapping/wrapping_world.hpp"

namespace qscd::hsm {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

bool verifies(const WrappedKey& key, Scheme scheme, const DtbsR& hash, const Token::Outcome& outcome) {
    return outcome.signature &&
           hsm::verifies(*public_key_from_der(key.public_key).value(), scheme, hash, outcome.signature.value());
}

struct EveryKind : WrappingTest, ::testing::WithParamInterface<KeyKind> {};
INSTANTIATE_TEST_SUITE_P(, EveryKind,
                         ::testing::Values(KeyKind::p256, KeyKind::p384, KeyKind::rsa3072, KeyKind::rsa4096),
                         [](const auto& test) {
                             std::string name{row_of(test.param).name};
                             std::erase(name, '-');
                             return name;
                         });

TEST_P(EveryKind, QSCD_30_SignsForItsOwnerAndLeavesNothingOpen) {
    const auto before = objects();
    const auto key = make(GetParam());
    EXPECT_EQ(objects(), before) << "neither half is left";
    EXPECT_EQ(key.kek, world.kek->id);
    EXPECT_EQ(key.kind, GetParam());
    EXPECT_TRUE(wrapping.verify(key, anna));
    EXPECT_TRUE(token.confirm_gone(key.id));

    const auto stored = decode_wrapped_key(encode(key));
    ASSERT_TRUE(stored);
    EXPECT_EQ(stored.value(), key);
    const auto open = wrapping.signing_key(stored.value(), anna);
    const std::vector hashes{hash_of("one"), hash_of("two"), hash_of("three")};
    for (const auto scheme : {Scheme::ecdsa, Scheme::rsa_pkcs1, Scheme::rsa_pss}) {
        if (!fits(scheme, GetParam())) continue;
        place.start_counting();
        const auto outcomes = sign(*open, scheme, hashes);
        ASSERT_EQ(outcomes.size(), hashes.size());
        for (std::size_t i = 0; i < hashes.size(); ++i) {
            EXPECT_TRUE(verifies(key, scheme, hashes[i], outcomes[i])) << i;
            EXPECT_TRUE(outcomes[i].entered);
        }
        EXPECT_EQ(calls("C_UnwrapKey"), 1u) << "opened once for one request";
        EXPECT_EQ(objects(), before);
    }
}

TEST_F(WrappingTest, QSCD_30_TheEvidenceSaysWhatAWrappedKeyCanSay) {
    const auto key = make();
    for (const auto& [name, value] :
         {std::pair{"CKA_LOCAL", "true"}, std::pair{"CKA_ALWAYS_SENSITIVE", "true"},
          std::pair{"CKA_EXTRACTABLE", "true"}, std::pair{"CKA_NEVER_EXTRACTABLE", "false"},
          std::pair{"CKA_TOKEN", "false"}, std::pair{"CKA_SIGN", "true"}, std::pair{"CKA_DECRYPT", "false"}})
        EXPECT_THAT(key.attributes, Contains(Pair(name, value)));
    const auto& kek = world.kek->attributes;
    for (const auto& [name, value] :
         {std::pair{"CKA_NEVER_EXTRACTABLE", "true"}, std::pair{"CKA_LOCAL", "true"}, std::pair{"CKA_DECRYPT", "false"},
          std::pair{"CKA_ENCRYPT", "false"}, std::pair{"CKA_UNWRAP_TEMPLATE.CKA_CLASS", "CKO_PRIVATE_KEY"},
          std::pair{"CKA_UNWRAP_TEMPLATE.CKA_EXTRACTABLE", "false"},
          std::pair{"CKA_UNWRAP_TEMPLATE.CKA_TOKEN", "false"}, std::pair{"CKA_UNWRAP_TEMPLATE.CKA_COPYABLE", "false"},
          std::pair{"CKA_UNWRAP_TEMPLATE.CKA_SIGN", "true"}})
        EXPECT_THAT(kek, Contains(Pair(name, value)));
}

TEST_F(WrappingTest, ASchemeOfAnotherKindIsRefusedBeforeTheKeyIsOpened) {
    const auto key = make();
    place.start_counting();
    const auto outcomes = sign(*wrapping.signing_key(key, anna), Scheme::rsa_pss, {hash_of("x")});
    ASSERT_EQ(outcomes.size(), 1u);
    EXPECT_FALSE(outcomes[0].signature);
    EXPECT_FALSE(outcomes[0].entered);
    EXPECT_EQ(calls("C_UnwrapKey"), 0u);
}

TEST_F(WrappingTest, ResidentAndWrappedAreOneToWhoeverSigns) {
    const auto resident = token.generate(KeyKind::p256, random_fixed<CkaId>(), "resident").value();
    const auto wrapped = make();
    const std::vector<std::shared_ptr<SigningKey>> keys{resident_key(token, resident.key->id()),
                                                        wrapping.signing_key(wrapped, anna)};
    for (const auto& key : keys) {
        const auto outcomes = sign(*key, Scheme::ecdsa, {hash_of("x"), hash_of("y")});
        ASSERT_EQ(outcomes.size(), 2u);
        EXPECT_TRUE(outcomes[0].signature && outcomes[1].signature);
    }
    ASSERT_TRUE(token.destroy(resident.key->id()));
}

TEST_F(WrappingTest, ManyRequestsAtOnceEachOpenAndCloseTheirOwn) {
    const auto key = make();
    const auto before = objects();
    constexpr int requests = 40;
    std::atomic<int> signed_well = 0, left = requests;
    std::promise<void> all;
    for (int i = 0; i < requests; ++i)
        wrapping.signing_key(key, anna)->sign_all(Scheme::ecdsa, {hash_of("x")}, [&](std::vector<Token::Outcome> came) {
            if (came.size() == 1 && came[0].signature) ++signed_well;
            if (--left == 0) all.set_value();
        });
    all.get_future().wait();
    EXPECT_EQ(signed_well, requests);
    EXPECT_EQ(objects(), before);
}

// Take a good key, change one thing, and the module is not even asked to open it.
struct Change {
    const char* name;
    std::function<void(WrappedKey&, KeyOwner&)> make;
};
const Change changes[] = {
    {"FirstByteOfTheBlob", [](auto& key, auto&) { key.blob.front() ^= 1; }},
    {"AByteInTheBlob", [](auto& key, auto&) { key.blob[key.blob.size() / 2] ^= 0x80; }},
    {"LastByteOfTheBlob", [](auto& key, auto&) { key.blob.back() ^= 1; }},
    {"ABlobCutShort", [](auto& key, auto&) { key.blob.resize(key.blob.size() - 8); }},
    {"ALongerBlob", [](auto& key, auto&) { key.blob.resize(key.blob.size() + 8); }},
    {"AnEmptyBlob", [](auto& key, auto&) { key.blob.clear(); }},
    {"AnotherMac", [](auto& key, auto&) { key.mac = random_fixed<BindingMac>(); }},
    {"AnotherOwner", [](auto&, auto& owner) { owner = boris; }},
    {"AnotherKeyId", [](auto& key, auto&) { key.id = random_fixed<CkaId>(); }},
    {"AnotherKek", [](auto& key, auto&) { key.kek = random_fixed<CkaId>(); }},
    {"AnotherAlgorithm", [](auto& key, auto&) { key.kind = KeyKind::p384; }},
    {"AnotherMechanism", [](auto& key, auto&) { key.mechanism = CKM_AES_CBC_PAD; }},
    {"AnotherPublicKey", [](auto& key, auto&) { key.public_key = der_of(*generate_p256(), i2d_PUBKEY); }},
    {"BetterEvidence", [](auto& key, auto&) { key.attributes.emplace_back("CKA_NEVER_EXTRACTABLE", "true"); }},
};
struct Changed : WrappingTest, ::testing::WithParamInterface<Change> {};
INSTANTIATE_TEST_SUITE_P(, Changed, ::testing::ValuesIn(changes), [](const auto& test) { return test.param.name; });

TEST_P(Changed, QSCD_30_IsRefusedBeforeTheModuleIsAskedToOpenIt) {
    auto key = make();
    auto owner = anna;
    ASSERT_TRUE(sign(key, owner).signature);
    GetParam().make(key, owner);
    const auto before = objects();
    place.start_counting();
    const auto outcome = sign(key, owner);
    ASSERT_FALSE(outcome.signature);
    EXPECT_EQ(outcome.signature.error().code, Errc::internal) << "not transient";
    EXPECT_FALSE(outcome.entered);
    EXPECT_EQ(calls("C_UnwrapKey"), 0u);
    EXPECT_FALSE(wrapping.verify(key, owner));
    EXPECT_EQ(objects(), before);
    EXPECT_TRUE(token.reachable()) << "an altered blob is no token that is away";
}

TEST_F(WrappingTest, QSCD_30_EveryByteOfTheStoredFormCounts) {
    const auto stored = encode(make());
    place.start_counting();
    for (std::size_t i = 0; i < stored.size(); ++i) {
        auto altered = stored;
        altered[i] ^= 1;
        const auto key = decode_wrapped_key(altered);
        if (key) EXPECT_FALSE(wrapping.verify(key.value(), anna)) << i;
    }
    EXPECT_EQ(calls("C_UnwrapKey"), 0u);
}

TEST_F(WrappingTest, QSCD_30_PartsOfTwoOwnersKeysMakeNoThird) {
    const auto annas = make(KeyKind::p256, anna), boriss = make(KeyKind::p256, boris);
    place.start_counting();
    EXPECT_FALSE(sign(annas, boris).signature);
    EXPECT_FALSE(sign(boriss, anna).signature);
    auto mixed = annas;  // Anna's record with Boris' key in it
    mixed.blob = boriss.blob;
    EXPECT_FALSE(sign(mixed, anna).signature);
    EXPECT_FALSE(sign(mixed, boris).signature);
    mixed.mac = boriss.mac;
    EXPECT_FALSE(sign(mixed, anna).signature);
    EXPECT_FALSE(sign(mixed, boris).signature);
    mixed.id = boriss.id;
    mixed.public_key = boriss.public_key;  // all of Boris' now, and so it is his
    EXPECT_FALSE(sign(mixed, anna).signature);
    EXPECT_EQ(calls("C_UnwrapKey"), 0u);
    EXPECT_TRUE(sign(mixed, boris).signature);
}

TEST_F(WrappingTest, QSCD_14_QSCD_30_OnceItsKekIsDestroyedNoBlobOpensAlsoARestoredOne) {
    const auto kek = wrapping.make_kek(random_fixed<CkaId>(), "kek-short").value();
    const auto key = wrapping.generate(KeyKind::p256, kek.id, random_fixed<CkaId>(), anna).value();
    const auto backup = encode(key);
    ASSERT_TRUE(sign(key).signature);
    ASSERT_TRUE(wrapping.destroy_kek(kek.id));
    EXPECT_TRUE(token.confirm_gone(kek.id));

    place.start_counting();
    const auto restored = decode_wrapped_key(backup).value();
    EXPECT_TRUE(wrapping.verify(restored, anna)) << "the blob is whole; there is nothing to open it";
    const auto outcome = sign(restored);
    ASSERT_FALSE(outcome.signature);
    EXPECT_EQ(outcome.signature.error().code, Errc::key_gone);
    EXPECT_FALSE(outcome.entered);
    EXPECT_EQ(calls("C_UnwrapKey"), 0u);
    EXPECT_EQ(wrapping.generate(KeyKind::p256, kek.id, random_fixed<CkaId>(), anna).error().code, Errc::key_gone);
    EXPECT_TRUE(wrapping.destroy_kek(kek.id)) << "again";

    // Another key under the same name opens it neither; the module says so with CKR_GENERAL_ERROR.
    const auto before = objects();
    ASSERT_TRUE(wrapping.make_kek(kek.id, "kek-short"));
    const auto again = sign(restored);
    ASSERT_FALSE(again.signature);
    EXPECT_EQ(again.signature.error().code, Errc::internal);
    EXPECT_THAT(again.signature.error().detail, HasSubstr("0x5"));
    EXPECT_FALSE(again.entered);
    EXPECT_TRUE(token.reachable());
    ASSERT_TRUE(wrapping.destroy_kek(kek.id));
    EXPECT_EQ(objects(), before);
}

TEST_F(WrappingTest, QSCD_12_AKekIsNotCalledDestroyedWhileTheTokenIsAway) {
    const auto kek = wrapping.make_kek(random_fixed<CkaId>(), "kek-away").value();
    place.command("C_GetTokenInfo 1+ 0xe0\n");
    const auto destroyed = wrapping.destroy_kek(kek.id);
    ASSERT_FALSE(destroyed);
    EXPECT_EQ(destroyed.error().code, Errc::token_away);
    be_well();
    EXPECT_TRUE(wrapping.destroy_kek(kek.id));
}

TEST_F(WrappingTest, QSCD_30_ManyKeksOfWhichEachIsDestroyedAlone) {
    const std::size_t count = std::getenv("QSCD_FULL") != nullptr ? 1000 : 24;
    const auto before = objects();
    std::vector<WrappedKey> keys;
    for (std::size_t i = 0; i < count; ++i) {
        const auto kek = wrapping.make_kek(random_fixed<CkaId>(), "kek-many-" + std::to_string(i)).value();
        keys.push_back(wrapping.generate(KeyKind::p256, kek.id, random_fixed<CkaId>(), anna).value());
    }
    EXPECT_EQ(token.keys("kek-many-").value().size(), count);
    EXPECT_EQ(objects(), before + count) << "the token grows by key-encryption keys alone";
    for (std::size_t i = 0; i < count; i += 2) ASSERT_TRUE(wrapping.destroy_kek(keys[i].kek));
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(bool{sign(keys[i]).signature}, i % 2 == 1) << i;
    for (std::size_t i = 1; i < count; i += 2) ASSERT_TRUE(wrapping.destroy_kek(keys[i].kek));
    EXPECT_EQ(objects(), before);
}

TEST_F(WrappingTest, QSCD_30_AKekDestroyedWhileItsKeysSignLeavesSignaturesOrRefusals) {
    const auto kek = wrapping.make_kek(random_fixed<CkaId>(), "kek-race").value();
    const auto key = wrapping.generate(KeyKind::p256, kek.id, random_fixed<CkaId>(), anna).value();
    const auto open = wrapping.signing_key(key, anna);
    const auto before = objects();
    std::atomic<bool> refused = false;
    std::thread signer{[&] {
        while (!refused) {
            const auto outcomes = sign(*open, Scheme::ecdsa, {hash_of("x")});
            if (outcomes[0].signature) continue;
            EXPECT_EQ(outcomes[0].signature.error().code, Errc::key_gone);
            EXPECT_FALSE(outcomes[0].entered);
            refused = true;
        }
    }};
    EXPECT_TRUE(wrapping.destroy_kek(kek.id));
    signer.join();
    EXPECT_FALSE(sign(key).signature);
    EXPECT_EQ(objects(), before - 1) << "the key-encryption key alone is gone";
}

TEST_F(WrappingTest, AReinitialisedModuleOpensThemAgain) {
    const auto key = make();
    ASSERT_TRUE(sign(key).signature);
    ASSERT_TRUE(world.module->reinitialise());
    EXPECT_TRUE(sign(key).signature) << "handles are looked up anew";
}

}  // namespace
}  // namespace qscd::hsm
