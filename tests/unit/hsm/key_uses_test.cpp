// A key does the one thing it was made for: every other use of it is tried on a real SoftHSM2. [QSCD-02] [QSCD-18]
// [QSCD-27]
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "hsm/session.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::hsm {
namespace {

constexpr CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
constexpr CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY;
constexpr CK_KEY_TYPE generic = CKK_GENERIC_SECRET;

struct KeyUses : ::testing::Test {
    static inline std::unique_ptr<SoftToken> place;
    static inline std::shared_ptr<Module> module;
    static inline std::unique_ptr<Token> token;
    static inline std::shared_ptr<KeyObject> ec_key, rsa_key, pin_key, cell_key;

    static void SetUpTestSuite() {
        place = std::make_unique<SoftToken>("uses");
        module = place->load().value();
        ASSERT_TRUE(SoftToken::initialise(*module, "signers"));
        token = SoftToken::open(module, "signers", 1).value();
        ec_key = token->generate(KeyKind::p256, random_fixed<CkaId>(), "attest").value().key;
        rsa_key = token->generate(KeyKind::rsa3072, random_fixed<CkaId>(), "signer").value().key;
        pin_key = token->generate_hmac_key(random_fixed<CkaId>(), "pin").value();
        cell_key = token->generate_hmac_key(random_fixed<CkaId>(), "cell").value();
    }
    static void TearDownTestSuite() {
        for (auto* key : {&ec_key, &rsa_key, &pin_key, &cell_key}) key->reset();
        token.reset();
        module.reset();
        place.reset();
    }

    // What the module answers to `call`, on a session of its own afterwards: an operation may have begun.
    using Call = std::function<CK_RV(const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)>;
    static CK_RV answer(KeyObject& key, const Call& call) {
        CK_RV rv = CKR_OK;
        EXPECT_TRUE(token->on_session([&](Session& session) -> Result<void> {
            QSCD_TRY(auto handle, session.locate(key));
            rv = call(session.api(), session.handle(), handle);
            return session.reopen();
        }));
        return rv;
    }

    static Call decrypt(CK_MECHANISM_TYPE type) {
        return [type](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
            CK_RSA_PKCS_OAEP_PARAMS oaep{CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, nullptr, 0};
            CK_MECHANISM mechanism{type, type == CKM_RSA_PKCS_OAEP ? &oaep : nullptr,
                                   type == CKM_RSA_PKCS_OAEP ? sizeof oaep : 0};
            return api.C_DecryptInit(session, &mechanism, key);
        };
    }
    // An operation that takes a mechanism without parameters and a key.
    static Call begins(CK_C_SignInit CK_FUNCTION_LIST::* operation, CK_MECHANISM_TYPE type) {
        return [operation, type](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
            CK_MECHANISM mechanism{type, nullptr, 0};
            return (api.*operation)(session, &mechanism, key);
        };
    }
    static Call encrypt(CK_MECHANISM_TYPE type) { return begins(&CK_FUNCTION_LIST::C_EncryptInit, type); }
    static Call sign(CK_MECHANISM_TYPE type) { return begins(&CK_FUNCTION_LIST::C_SignInit, type); }
    static Call sign_recover(CK_MECHANISM_TYPE type) { return begins(&CK_FUNCTION_LIST::C_SignRecoverInit, type); }
    static Call verify(CK_MECHANISM_TYPE type) { return begins(&CK_FUNCTION_LIST::C_VerifyInit, type); }
    static Call unwrap(CK_MECHANISM_TYPE type) {
        return [type](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
            CK_MECHANISM mechanism{type, nullptr, 0};
            Bytes wrapped(384, 7);
            std::array wanted{attribute(CKA_CLASS, secret_class), attribute(CKA_KEY_TYPE, generic),
                              attribute(CKA_TOKEN, no)};
            CK_OBJECT_HANDLE out = CK_INVALID_HANDLE;
            return api.C_UnwrapKey(session, &mechanism, key, wrapped.data(), wrapped.size(), wanted.data(),
                                   wanted.size(), &out);
        };
    }
    // Wraps the key under itself.
    static Call wrap(CK_MECHANISM_TYPE type) {
        return [type](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
            CK_MECHANISM mechanism{type, nullptr, 0};
            Bytes out(4096);
            CK_ULONG size = out.size();
            return api.C_WrapKey(session, &mechanism, key, key, out.data(), &size);
        };
    }
    static Call derive(CK_MECHANISM_TYPE type) {
        return [type](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
            Bytes point(65, 1);
            point[0] = 4;
            CK_ECDH1_DERIVE_PARAMS agreement{CKD_NULL, 0, nullptr, point.size(), point.data()};
            CK_MECHANISM mechanism{type, &agreement, sizeof agreement};
            std::array wanted{attribute(CKA_CLASS, secret_class), attribute(CKA_KEY_TYPE, generic),
                              attribute(CKA_TOKEN, no)};
            CK_OBJECT_HANDLE out = CK_INVALID_HANDLE;
            return api.C_DeriveKey(session, &mechanism, key, wanted.data(), wanted.size(), &out);
        };
    }
    static Call change(CK_ATTRIBUTE_TYPE type, CK_BBOOL value) {
        return [type, value](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
            auto wanted = attribute(type, value);
            return api.C_SetAttributeValue(session, key, &wanted, 1);
        };
    }
};

TEST_F(KeyUses, TheMeansOfThisTestFindTheUsesThatAreAllowed) {
    EXPECT_EQ(answer(*ec_key, sign(CKM_ECDSA)), CK_RV{CKR_OK});
    EXPECT_EQ(answer(*rsa_key, sign(CKM_RSA_PKCS)), CK_RV{CKR_OK});
    EXPECT_EQ(answer(*pin_key, sign(CKM_SHA256_HMAC)), CK_RV{CKR_OK});
}

TEST_F(KeyUses, QSCD_27_ASignersRsaKeyOnlySigns) {
    for (const CK_MECHANISM_TYPE type : {CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP, CKM_RSA_X_509}) {
        EXPECT_NE(answer(*rsa_key, decrypt(type)), CK_RV{CKR_OK}) << type;
        EXPECT_NE(answer(*rsa_key, unwrap(type)), CK_RV{CKR_OK}) << type;
        EXPECT_NE(answer(*rsa_key, sign_recover(type)), CK_RV{CKR_OK}) << type;
    }
    EXPECT_NE(answer(*rsa_key, derive(CKM_ECDH1_DERIVE)), CK_RV{CKR_OK});
    // Of signing, only what the product does: over a hash, made outside.
    for (const CK_MECHANISM_TYPE type :
         {CKM_RSA_X_509, CKM_SHA256_RSA_PKCS, CKM_SHA1_RSA_PKCS, CKM_MD5_RSA_PKCS, CKM_SHA512_RSA_PKCS, CKM_ECDSA})
        EXPECT_NE(answer(*rsa_key, sign(type)), CK_RV{CKR_OK}) << type;
}

TEST_F(KeyUses, QSCD_27_ASignersEllipticKeyOnlySigns) {
    EXPECT_EQ(answer(*ec_key, derive(CKM_ECDH1_DERIVE)), CK_RV{CKR_KEY_FUNCTION_NOT_PERMITTED});
    EXPECT_NE(answer(*ec_key, decrypt(CKM_RSA_PKCS)), CK_RV{CKR_OK});
    EXPECT_NE(answer(*ec_key, unwrap(CKM_AES_KEY_WRAP)), CK_RV{CKR_OK});
    EXPECT_NE(answer(*ec_key, sign_recover(CKM_ECDSA)), CK_RV{CKR_OK});
    for (const CK_MECHANISM_TYPE type : {CKM_EDDSA, CKM_RSA_PKCS, CKM_SHA256_HMAC})
        EXPECT_NE(answer(*ec_key, sign(type)), CK_RV{CKR_OK}) << type;
}

TEST_F(KeyUses, QSCD_18_TheKeysOfTheSamOnlyMac) {
    for (auto* key : {&pin_key, &cell_key}) {
        for (const CK_MECHANISM_TYPE type : {CKM_AES_ECB, CKM_AES_CBC_PAD, CKM_AES_GCM, CKM_DES3_ECB}) {
            EXPECT_NE(answer(**key, encrypt(type)), CK_RV{CKR_OK}) << type;
            EXPECT_NE(answer(**key, decrypt(type)), CK_RV{CKR_OK}) << type;
        }
        for (const CK_MECHANISM_TYPE type : {CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_AES_CBC}) {
            EXPECT_NE(answer(**key, wrap(type)), CK_RV{CKR_OK}) << type;
            EXPECT_NE(answer(**key, unwrap(type)), CK_RV{CKR_OK}) << type;
        }
        for (const CK_MECHANISM_TYPE type : {CKM_ECDH1_DERIVE, CKM_AES_ECB_ENCRYPT_DATA, CKM_AES_CBC_ENCRYPT_DATA})
            EXPECT_NE(answer(**key, derive(type)), CK_RV{CKR_OK}) << type;
        EXPECT_NE(answer(**key, verify(CKM_SHA256_HMAC)), CK_RV{CKR_OK})
            << "a comparison in the module would tell what the SAM counts";
        for (const CK_MECHANISM_TYPE type : {CKM_SHA_1_HMAC, CKM_SHA384_HMAC, CKM_SHA512_HMAC, CKM_MD5_HMAC})
            EXPECT_NE(answer(**key, sign(type)), CK_RV{CKR_OK}) << type;
    }
}

TEST_F(KeyUses, QSCD_18_AKeyInAnothersPlaceIsRefused) {
    const auto hash = DtbsR::from(HashAlgorithm::sha256, sha256(view_of("x")).bytes()).value();
    for (const auto scheme : {Scheme::ecdsa, Scheme::rsa_pkcs1, Scheme::rsa_pss}) {
        for (auto* key : {&pin_key, &cell_key}) EXPECT_FALSE(token->sign(**key, scheme, hash).signature);
        auto& other = scheme == Scheme::ecdsa ? *rsa_key : *ec_key;
        const auto outcome = token->sign(other, scheme, hash);
        EXPECT_FALSE(outcome.signature);
        EXPECT_FALSE(outcome.entered) << "refused before C_Sign";
    }
    for (auto* key : {&ec_key, &rsa_key}) EXPECT_FALSE(token->hmac(**key, view_of("1234")));
    EXPECT_TRUE(token->reachable()) << "a refusal is no absence";
}

// A private key under the identifier of a secret one, as from a store that was rewritten.
TEST_F(KeyUses, QSCD_18_AnIdentifierOfAnotherClassFindsNothing) {
    EXPECT_EQ(token->find_private(pin_key->id()).error().code, Errc::key_gone);
    EXPECT_EQ(token->find_secret(ec_key->id()).error().code, Errc::key_gone);
    KeyObject posing{pin_key->id(), private_class};
    const auto hash = DtbsR::from(HashAlgorithm::sha256, sha256(view_of("x")).bytes()).value();
    EXPECT_EQ(token->sign(posing, Scheme::ecdsa, hash).signature.error().code, Errc::key_gone);
}

TEST_F(KeyUses, QSCD_02_NoAttributeOfAKeyChanges) {
    for (auto* key : {&ec_key, &rsa_key, &pin_key, &cell_key})
        for (const auto& [type, value] :
             {std::pair{CK_ATTRIBUTE_TYPE{CKA_DECRYPT}, yes}, std::pair{CK_ATTRIBUTE_TYPE{CKA_UNWRAP}, yes},
              std::pair{CK_ATTRIBUTE_TYPE{CKA_WRAP}, yes}, std::pair{CK_ATTRIBUTE_TYPE{CKA_DERIVE}, yes},
              std::pair{CK_ATTRIBUTE_TYPE{CKA_SIGN_RECOVER}, yes}, std::pair{CK_ATTRIBUTE_TYPE{CKA_EXTRACTABLE}, yes},
              std::pair{CK_ATTRIBUTE_TYPE{CKA_SENSITIVE}, no}, std::pair{CK_ATTRIBUTE_TYPE{CKA_COPYABLE}, yes},
              std::pair{CK_ATTRIBUTE_TYPE{CKA_MODIFIABLE}, yes}, std::pair{CK_ATTRIBUTE_TYPE{CKA_PRIVATE}, no}})
            EXPECT_NE(answer(**key, change(type, value)), CK_RV{CKR_OK}) << type;
}

TEST_F(KeyUses, QSCD_01_NoValueIsReadOrWrapped) {
    const auto read = [](CK_ATTRIBUTE_TYPE type) -> Call {
        return [type](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
            Bytes out(4096);
            CK_ATTRIBUTE wanted{type, out.data(), out.size()};
            return api.C_GetAttributeValue(session, key, &wanted, 1);
        };
    };
    for (auto* key : {&ec_key, &pin_key, &cell_key})
        EXPECT_EQ(answer(**key, read(CKA_VALUE)), CK_RV{CKR_ATTRIBUTE_SENSITIVE});
    for (const CK_ATTRIBUTE_TYPE part :
         {CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT})
        EXPECT_EQ(answer(*rsa_key, read(part)), CK_RV{CKR_ATTRIBUTE_SENSITIVE}) << part;

    // Under a wrapping key that an attacker with the login made for it.
    for (auto* key : {&ec_key, &rsa_key, &pin_key, &cell_key}) {
        const auto wrapped = answer(
            **key, [](const CK_FUNCTION_LIST& api, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE target) {
                const CK_ULONG size = 32;
                std::array wanted{attribute(CKA_TOKEN, no), attribute(CKA_WRAP, yes), attribute(CKA_VALUE_LEN, size)};
                CK_MECHANISM make{CKM_AES_KEY_GEN, nullptr, 0}, wrap_mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
                CK_OBJECT_HANDLE wrapping = CK_INVALID_HANDLE;
                EXPECT_EQ(api.C_GenerateKey(session, &make, wanted.data(), wanted.size(), &wrapping), CK_RV{CKR_OK});
                Bytes out(4096);
                CK_ULONG length = out.size();
                return api.C_WrapKey(session, &wrap_mechanism, wrapping, target, out.data(), &length);
            });
        EXPECT_EQ(wrapped, CK_RV{CKR_KEY_UNEXTRACTABLE});
    }
}

}  // namespace
}  // namespace qscd::hsm
