// Every error at every call on the way of a wrapped key: a key or a signature, or a clean refusal; and whatever happens,
// no key object is left behind. [QSCD-22] [QSCD-30]
#include "base/openssl.hpp"
#include "hsm/signature_check.hpp"
#include "tests/unit/hsm/wrapping/wrapping_world.hpp"

namespace qscd::hsm {
namespace {

std::string in_hex(CK_RV rv) {
    char out[32];
    (void)std::snprintf(out, sizeof out, "0x%lx", rv);
    return out;
}

struct ErrorRow {
    const char* name;
    CK_RV rv;
    Errc means;  // where it is not tried again
};
constexpr std::array errors{
    ErrorRow{"GeneralError", CKR_GENERAL_ERROR, Errc::token_away},
    ErrorRow{"FunctionFailed", CKR_FUNCTION_FAILED, Errc::token_away},
    ErrorRow{"DeviceError", CKR_DEVICE_ERROR, Errc::token_away},
    ErrorRow{"DeviceRemoved", CKR_DEVICE_REMOVED, Errc::token_away},
    ErrorRow{"TokenNotPresent", CKR_TOKEN_NOT_PRESENT, Errc::token_away},
    ErrorRow{"SessionHandleInvalid", CKR_SESSION_HANDLE_INVALID, Errc::token_away},
    ErrorRow{"UserNotLoggedIn", CKR_USER_NOT_LOGGED_IN, Errc::token_away},
    ErrorRow{"KeyHandleInvalid", CKR_KEY_HANDLE_INVALID, Errc::token_away},
    ErrorRow{"KeyUnextractable", CKR_KEY_UNEXTRACTABLE, Errc::internal},
    ErrorRow{"KeyNotWrappable", CKR_KEY_NOT_WRAPPABLE, Errc::internal},
    ErrorRow{"TemplateInconsistent", CKR_TEMPLATE_INCONSISTENT, Errc::internal},
    ErrorRow{"WrappedKeyInvalid", CKR_WRAPPED_KEY_INVALID, Errc::internal},
    ErrorRow{"BufferTooSmall", CKR_BUFFER_TOO_SMALL, Errc::internal},
};
bool is_stale(CK_RV rv) {
    return rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_USER_NOT_LOGGED_IN || rv == CKR_KEY_HANDLE_INVALID;
}

struct WrappingFault : WrappingTest, ::testing::WithParamInterface<ErrorRow> {
    // `nth` call of `function` from now fails, before it reaches the module or after.
    void fault(const std::string& function, int nth, const char* reached) {
        place.command(function + " " + std::to_string(nth) + " " + in_hex(GetParam().rv) + reached + "\n");
        place.start_counting();
    }
    void expect_no_object_more_than(std::size_t before) {
        be_well();
        EXPECT_EQ(objects(), before);
    }
};
INSTANTIATE_TEST_SUITE_P(, WrappingFault, ::testing::ValuesIn(errors),
                         [](const auto& test) { return test.param.name; });

TEST_P(WrappingFault, QSCD_30_WhileAKeyIsMadeThereIsNoKeyAndNoObject) {
    const auto before = objects();
    for (const auto& [function, nth] :
         {std::pair{"C_GenerateKeyPair", 1}, std::pair{"C_DestroyObject", 1}, std::pair{"C_WrapKey", 1},
          std::pair{"C_DestroyObject", 2}, std::pair{"C_Sign", 1}})
        for (const auto* reached : {"", " after"}) {
            SCOPED_TRACE(function + std::to_string(nth) + reached);
            fault(function, nth, reached);
            const auto made = wrapping.generate(KeyKind::p256, world.kek->id, random_fixed<CkaId>(), anna);
            EXPECT_FALSE(made);
            if (std::string_view{function} == "C_WrapKey") EXPECT_EQ(made.error().code, GetParam().means);
            EXPECT_LE(calls("C_WrapKey"), 1u) << "not wrapped a second time";
            expect_no_object_more_than(before);
        }
    EXPECT_TRUE(sign(make()).signature);
}

TEST_P(WrappingFault, QSCD_22_AtC_UnwrapKeyIsASignatureOrARefusalBeforeC_Sign) {
    const auto key = make();
    const auto before = objects();
    for (const auto* reached : {"", " after"}) {
        fault("C_UnwrapKey", 1, reached);
        const auto outcome = sign(key);
        EXPECT_EQ(bool{outcome.signature}, is_stale(GetParam().rv)) << "only what is out of date is tried again, once";
        EXPECT_EQ(calls("C_UnwrapKey"), is_stale(GetParam().rv) ? 2u : 1u);
        if (!outcome.signature) {
            EXPECT_FALSE(outcome.entered);
            // A damaged blob is told from a token that is away by whether the token is there.
            const auto expected = GetParam().rv == CKR_GENERAL_ERROR ? Errc::internal : GetParam().means;
            EXPECT_EQ(outcome.signature.error().code, expected);
            EXPECT_EQ(calls("C_Sign-entered"), 1u) << "the binding's alone";
        }
        expect_no_object_more_than(before);
    }
}

TEST_P(WrappingFault, QSCD_22_AtUnwrappingForEverIsARefusal) {
    const auto key = make();
    const auto before = objects();
    place.command("C_UnwrapKey 1+ " + in_hex(GetParam().rv) + "\n");
    place.start_counting();
    const auto outcome = sign(key);
    EXPECT_FALSE(outcome.signature);
    EXPECT_FALSE(outcome.entered);
    EXPECT_LE(calls("C_UnwrapKey"), 2u);
    expect_no_object_more_than(before);
}

TEST_P(WrappingFault, QSCD_22_AtTheBindingIsASignatureOrARefusalBeforeTheKeyIsOpened) {
    const auto key = make();
    const auto before = objects();
    for (const std::string function : {"C_SignInit", "C_Sign"})
        for (const auto* reached : {"", " after"}) {
            SCOPED_TRACE(function + reached);
            fault(function, 1, reached);
            const auto outcome = sign(key);
            EXPECT_EQ(calls("C_UnwrapKey"), outcome.signature ? 1u : 0u);
            if (outcome.signature) EXPECT_TRUE(function == "C_SignInit" && is_stale(GetParam().rv));
            else EXPECT_FALSE(outcome.entered) << "no signature of the signer's was begun";
            expect_no_object_more_than(before);
        }
}

TEST_P(WrappingFault, QSCD_22_AtC_SignInitTheKeyIsOpenedOnceMoreOrNot) {
    const auto key = make();
    const auto before = objects();
    for (const auto* reached : {"", " after"}) {
        fault("C_SignInit", 2, reached);  // the first is the binding's
        const auto outcome = sign(key);
        EXPECT_EQ(bool{outcome.signature}, is_stale(GetParam().rv));
        EXPECT_EQ(calls("C_UnwrapKey"), is_stale(GetParam().rv) ? 2u : 1u);
        if (!outcome.signature) EXPECT_FALSE(outcome.entered);
        expect_no_object_more_than(before);
    }
}

TEST_P(WrappingFault, QSCD_22_AtC_SignItCountsAsUsedAndNothingIsTriedAgain) {
    const auto key = make();
    const auto before = objects();
    for (const auto* reached : {"", " after"}) {
        fault("C_Sign", 2, reached);  // the first is the binding's
        const auto outcome = sign(key);
        EXPECT_FALSE(outcome.signature);
        EXPECT_TRUE(outcome.entered);
        EXPECT_EQ(calls("C_UnwrapKey"), 1u);
        EXPECT_EQ(calls("C_Sign-entered"), 2u);
        expect_no_object_more_than(before);
    }
}

TEST_P(WrappingFault, QSCD_30_WhereTheKeyIsNotDestroyedItsSessionIsClosed) {
    const auto key = make();
    const auto before = objects();
    fault("C_DestroyObject", 1, "");
    const auto outcome = sign(key);
    EXPECT_TRUE(outcome.signature) << "the signature is good all the same";
    EXPECT_EQ(calls("C_CloseSession"), 1u);
    EXPECT_EQ(objects(), before);
    EXPECT_TRUE(sign(key).signature);
}

TEST_P(WrappingFault, QSCD_30_AKekThatIsNotMadeLeavesNone) {
    const auto before = objects();
    fault("C_GenerateKey", 1, "");
    // An error that says the module knows an attribute too few is tried again without the optional one; none here is.
    EXPECT_FALSE(wrapping.make_kek(random_fixed<CkaId>(), "kek-fault"));
    expect_no_object_more_than(before);
}

TEST_F(WrappingTest, QSCD_22_AStopInTheMiddleOfARequestKeepsWhatWasSigned) {
    const auto key = make();
    const auto before = objects();
    place.command("C_Sign 3 0x30\n");  // binding, first, second
    const auto outcomes = sign(*wrapping.signing_key(key, anna), Scheme::ecdsa,
                               {hash_of("one"), hash_of("two"), hash_of("three")});
    ASSERT_EQ(outcomes.size(), 2u);
    EXPECT_TRUE(outcomes[0].signature);
    EXPECT_FALSE(outcomes[1].signature);
    EXPECT_TRUE(outcomes[1].entered);
    be_well();
    EXPECT_EQ(objects(), before);
}

TEST_F(WrappingTest, QSCD_22_ASessionLostBetweenTwoHashesOpensTheKeyAgainForTheSecond) {
    const auto key = make();
    const auto before = objects();
    place.command("C_SignInit 3 0xb3\n");  // binding, first, second: CKR_SESSION_HANDLE_INVALID
    place.start_counting();
    const auto outcomes = sign(*wrapping.signing_key(key, anna), Scheme::ecdsa, {hash_of("one"), hash_of("two")});
    ASSERT_EQ(outcomes.size(), 2u);
    EXPECT_TRUE(outcomes[0].signature && outcomes[1].signature);
    EXPECT_EQ(calls("C_UnwrapKey"), 2u);
    EXPECT_EQ(objects(), before);
}

// The binding holds and the blob opens, and it is not the key of the public key beside it: the first signature tells.
TEST_F(WrappingTest, QSCD_30_AKeyThatDoesNotAnswerToItsPublicKeyIsStopped) {
    auto key = make();
    key.public_key = make().public_key;
    bind(key);
    const auto before = objects();
    place.start_counting();
    const auto outcomes = sign(*wrapping.signing_key(key, anna), Scheme::ecdsa, {hash_of("one"), hash_of("two")});
    ASSERT_EQ(outcomes.size(), 1u);
    EXPECT_FALSE(outcomes[0].signature);
    EXPECT_TRUE(outcomes[0].entered);
    EXPECT_EQ(calls("C_Sign-entered"), 2u) << "the binding's and the first hash's";
    EXPECT_EQ(objects(), before);
}

// Also where the binding holds, the module does not open what it did not wrap.
TEST_F(WrappingTest, QSCD_30_ADamagedBlobThatIsBoundIsRefusedByTheModuleAndIsNotTransient) {
    for (const auto kind : {KeyKind::p256, KeyKind::rsa3072}) {
        const auto good = make(kind);
        for (std::size_t at = 0; at < good.blob.size(); at += good.blob.size() / 8) {
            auto key = good;
            key.blob[at] ^= 1;
            bind(key);
            const auto before = objects();
            const auto outcome = sign(key);
            ASSERT_FALSE(outcome.signature) << at;
            EXPECT_EQ(outcome.signature.error().code, Errc::internal);
            EXPECT_FALSE(outcome.entered);
            EXPECT_TRUE(token.reachable());
            EXPECT_EQ(objects(), before);
        }
    }
}

// What the module says of an open key is compared with what was asked, before it signs.
struct Lie {
    const char *name, *attribute, *value;
};
struct LyingModule : WrappingTest, ::testing::WithParamInterface<Lie> {};
INSTANTIATE_TEST_SUITE_P(, LyingModule,
                         ::testing::Values(Lie{"InTheToken", "CKA_TOKEN", "01"}, Lie{"NotPrivate", "CKA_PRIVATE", "00"},
                                           Lie{"Readable", "CKA_SENSITIVE", "00"},
                                           Lie{"Extractable", "CKA_EXTRACTABLE", "01"},
                                           Lie{"Copyable", "CKA_COPYABLE", "01"}, Lie{"NotSigning", "CKA_SIGN", "00"},
                                           Lie{"Decrypting", "CKA_DECRYPT", "01"},
                                           Lie{"Unwrapping", "CKA_UNWRAP", "01"}, Lie{"Deriving", "CKA_DERIVE", "01"}),
                         [](const auto& test) { return test.param.name; });

TEST_P(LyingModule, QSCD_30_AnOpenKeyThatIsOtherThanAskedDoesNotSign) {
    const auto key = make();
    const auto before = objects();
    place.command(std::string{"lie-attribute "} + GetParam().attribute + " " + GetParam().value + "\n");
    place.start_counting();
    const auto outcome = sign(key);
    ASSERT_FALSE(outcome.signature);
    EXPECT_EQ(outcome.signature.error().code, Errc::internal);
    EXPECT_FALSE(outcome.entered);
    EXPECT_EQ(calls("C_Sign-entered"), 1u) << "the binding's alone";
    be_well();
    EXPECT_EQ(objects(), before);
}

struct LyingOfAKek : WrappingTest, ::testing::WithParamInterface<Lie> {};
INSTANTIATE_TEST_SUITE_P(
    , LyingOfAKek,
    ::testing::Values(Lie{"Extractable", "CKA_EXTRACTABLE", "01"}, Lie{"Readable", "CKA_SENSITIVE", "00"},
                      Lie{"Decrypting", "CKA_DECRYPT", "01"}, Lie{"Encrypting", "CKA_ENCRYPT", "01"},
                      Lie{"Signing", "CKA_SIGN", "01"}, Lie{"Modifiable", "CKA_MODIFIABLE", "01"},
                      Lie{"Copyable", "CKA_COPYABLE", "01"}, Lie{"OnceExtractable", "CKA_NEVER_EXTRACTABLE", "00"},
                      Lie{"Imported", "CKA_LOCAL", "00"}, Lie{"WithoutAnUnwrapTemplate", "0x40000212", "00"}),
    [](const auto& test) { return test.param.name; });

TEST_P(LyingOfAKek, QSCD_30_AKekThatIsOtherThanAskedIsDestroyed) {
    const auto before = objects();
    place.command(std::string{"lie-attribute "} + GetParam().attribute + " " + GetParam().value + "\n");
    const auto made = wrapping.make_kek(random_fixed<CkaId>(), "kek-lie");
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::internal);
    be_well();
    EXPECT_EQ(objects(), before);
}

}  // namespace
}  // namespace qscd::hsm
