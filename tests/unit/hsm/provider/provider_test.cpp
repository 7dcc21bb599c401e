// The provider's keys and raw signatures: they behave like OpenSSL's own, but for what must not be possible.
#include "hsm/provider/provider.hpp"

#include <array>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <thread>

#include "software_key.hpp"

namespace qscd::hsm {
namespace {

const Bytes message = bytes_of("the quick brown fox");

struct Kinds : ::testing::TestWithParam<KeyKind> {};
INSTANTIATE_TEST_SUITE_P(, Kinds, ::testing::Values(KeyKind::p256, KeyKind::p384, KeyKind::rsa3072, KeyKind::rsa4096),
                         [](const auto& test) {
                             std::string name{row_of(test.param).name};
                             std::erase(name, '-');
                             return name;
                         });

struct Variants : ::testing::TestWithParam<Variant> {};
INSTANTIATE_TEST_SUITE_P(, Variants, ::testing::ValuesIn(variants), [](const auto& test) { return test.param.name; });

bool set_scheme(EVP_PKEY_CTX* context, Scheme scheme) {
    if (scheme != Scheme::rsa_pss) return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

bool verifies(const Variant& variant, const EVP_MD* hash, ByteView signed_message, ByteView signature) {
    const EvpMdCtx context{EVP_MD_CTX_new()};
    const auto key = public_key(variant.kind);
    EVP_PKEY_CTX* parameters = nullptr;
    return EVP_DigestVerifyInit(context.get(), &parameters, hash, nullptr, key.get()) == 1 &&
           set_scheme(parameters, variant.scheme) &&
           EVP_DigestVerify(context.get(), signature.data(), signature.size(), signed_message.data(),
                            signed_message.size()) == 1;
}

Bytes one_shot(EVP_PKEY& key, Scheme scheme, const EVP_MD* hash) {
    const EvpMdCtx context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX* parameters = nullptr;
    std::size_t size = 0;
    if (EVP_DigestSignInit(context.get(), &parameters, hash, nullptr, &key) != 1 || !set_scheme(parameters, scheme) ||
        EVP_DigestSign(context.get(), nullptr, &size, message.data(), message.size()) != 1)
        return {};
    Bytes out(size);
    if (EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) != 1) return {};
    out.resize(size);
    return out;
}

// ---------------------------------------------------------------------------------------------- what a key is

TEST_P(Kinds, IsWhatOpensslCallsThatKindOfKey) {
    const auto key = token_key(GetParam()), plain = public_key(GetParam());
    EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key.get())), "qscd-pkcs11");
    EXPECT_EQ(EVP_PKEY_get_id(key.get()), EVP_PKEY_get_id(plain.get()));
    EXPECT_EQ(EVP_PKEY_get_bits(key.get()), EVP_PKEY_get_bits(plain.get()));
    EXPECT_EQ(EVP_PKEY_get_size(key.get()), EVP_PKEY_get_size(plain.get()));
    EXPECT_EQ(EVP_PKEY_get_security_bits(key.get()), EVP_PKEY_get_security_bits(plain.get()));
    EXPECT_TRUE(EVP_PKEY_is_a(key.get(), row_of(GetParam()).elliptic ? "EC" : "RSA"));
}

TEST_P(Kinds, EqualsItsPublicKeyInBothOrdersAndNoOther) {
    const auto key = token_key(GetParam()), again = token_key(GetParam()), plain = public_key(GetParam());
    EXPECT_EQ(EVP_PKEY_eq(key.get(), plain.get()), 1);
    EXPECT_EQ(EVP_PKEY_eq(plain.get(), key.get()), 1);
    EXPECT_EQ(EVP_PKEY_eq(key.get(), again.get()), 1);
    const auto& row = row_of(GetParam());
    const EvpPkey other{row.elliptic ? EVP_EC_gen(row.group.data()) : EVP_RSA_gen(2048)};
    EXPECT_EQ(EVP_PKEY_eq(key.get(), other.get()), 0);
    EXPECT_EQ(EVP_PKEY_eq(other.get(), key.get()), 0);
}

TEST_P(Kinds, LeavesPublicKeysToTheDefaultProvider) {
    const auto key = token_key(GetParam());
    EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(public_key(GetParam()).get())), "default");
}

// Whoever names no provider gets the default one's, whichever OpenSSL met first.
TEST(LoadProvider, LeavesWhatNamesNoProviderToTheDefaultOne) {
    ASSERT_TRUE(load_provider());
    for (const auto* name : {"ECDSA", "RSA"}) {
        const std::unique_ptr<EVP_SIGNATURE, decltype(&EVP_SIGNATURE_free)> signature{
            EVP_SIGNATURE_fetch(nullptr, name, nullptr), &EVP_SIGNATURE_free};
        ASSERT_TRUE(signature);
        EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_SIGNATURE_get0_provider(signature.get())), "default");
    }
}

TEST_P(Kinds, ExportsThePublicPart) {
    EXPECT_EQ(der_of(*token_key(GetParam()), i2d_PUBKEY), provider_key(GetParam()).spki);
}

TEST_P(Kinds, QSCD_02_HasNoPrivatePartToExport) {
    const auto key = token_key(GetParam());
    OSSL_PARAM* parameters = nullptr;
    EXPECT_NE(EVP_PKEY_todata(key.get(), EVP_PKEY_KEYPAIR, &parameters), 1);
    EXPECT_NE(EVP_PKEY_todata(key.get(), OSSL_KEYMGMT_SELECT_PRIVATE_KEY, &parameters), 1);
    BIGNUM* number = nullptr;
    EXPECT_NE(EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &number), 1);
    EXPECT_NE(EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_RSA_D, &number), 1);
    const BioPtr bio{BIO_new(BIO_s_mem())};
    EXPECT_NE(PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    EXPECT_NE(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr), 1);
    EXPECT_EQ(EVP_PKEY_dup(key.get()), nullptr);
}

TEST(MakeEvpPkey, RefusesAPublicKeyOfAnotherKind) {
    auto key = provider_key(KeyKind::p256);
    key.kind = KeyKind::p384;
    EXPECT_EQ(make_evp_pkey(std::make_shared<const ProviderKey>(key)).error().code, Errc::internal);
    key.kind = KeyKind::rsa3072;
    EXPECT_EQ(make_evp_pkey(std::make_shared<const ProviderKey>(key)).error().code, Errc::internal);
}

TEST(MakeEvpPkey, RefusesAMalformedPublicKey) {
    auto key = provider_key(KeyKind::p256);
    key.spki.pop_back();
    EXPECT_EQ(make_evp_pkey(std::make_shared<const ProviderKey>(key)).error().code, Errc::paper_refused);
    key.spki.clear();
    EXPECT_EQ(make_evp_pkey(std::make_shared<const ProviderKey>(key)).error().code, Errc::paper_refused);
}

TEST(MakeEvpPkey, SharesTheProviderKeyWithEveryCopyAndContext) {
    auto owner = std::make_shared<const ProviderKey>(provider_key(KeyKind::p256));
    const std::weak_ptr<const ProviderKey> watch = owner;
    auto key = make_evp_pkey(std::move(owner)).value();
    EvpMdCtx context{EVP_MD_CTX_new()};
    ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()), 1);
    key.reset();
    std::array<std::uint8_t, 100> signature;
    auto size = signature.size();
    EXPECT_EQ(EVP_DigestSign(context.get(), signature.data(), &size, message.data(), message.size()), 1);
    context.reset();
    EXPECT_TRUE(watch.expired());
}

// ---------------------------------------------------------------------------------------------- signatures

TEST_P(Variants, QSCD_10_SignsWithEachHashInOneCall) {
    const auto key = token_key(GetParam().kind);
    for (const auto* hash : {EVP_sha256(), EVP_sha384(), EVP_sha512()})
        EXPECT_TRUE(verifies(GetParam(), hash, message, one_shot(*key, GetParam().scheme, hash)));
}

TEST_P(Variants, SignsAStreamAndCanGoOnWithIt) {
    const auto key = token_key(GetParam().kind);
    const EvpMdCtx context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX* parameters = nullptr;
    ASSERT_EQ(EVP_DigestSignInit(context.get(), &parameters, EVP_sha256(), nullptr, key.get()), 1);
    ASSERT_TRUE(set_scheme(parameters, GetParam().scheme));
    std::string so_far;
    for (const std::string part : {"the quick ", "brown ", "fox"}) {
        so_far += part;
        ASSERT_EQ(EVP_DigestSignUpdate(context.get(), part.data(), part.size()), 1);
        std::size_t size = 0;
        ASSERT_EQ(EVP_DigestSignFinal(context.get(), nullptr, &size), 1);
        Bytes signature(size);
        ASSERT_EQ(EVP_DigestSignFinal(context.get(), signature.data(), &size), 1);
        signature.resize(size);
        EXPECT_TRUE(verifies(GetParam(), EVP_sha256(), view_of(so_far), signature));
    }
}

TEST_P(Variants, SignsADigestMadeElsewhere) {
    const auto key = token_key(GetParam().kind);
    const auto hashed = digest(HashAlgorithm::sha384, message);
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
    ASSERT_EQ(EVP_PKEY_sign_init(context.get()), 1);
    ASSERT_TRUE(set_scheme(context.get(), GetParam().scheme));
    ASSERT_EQ(EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha384()), 1);
    std::size_t size = 0;
    ASSERT_EQ(EVP_PKEY_sign(context.get(), nullptr, &size, hashed.data(), hashed.size()), 1);
    Bytes signature(size);
    ASSERT_EQ(EVP_PKEY_sign(context.get(), signature.data(), &size, hashed.data(), hashed.size()), 1);
    signature.resize(size);
    EXPECT_TRUE(verifies(GetParam(), EVP_sha384(), message, signature));
    EXPECT_NE(EVP_PKEY_sign(context.get(), signature.data(), &size, hashed.data(), 32), 1);
    EXPECT_EQ(last_signing_error()->code, Errc::hash_wrong_length);
}

TEST(Ecdsa, TakesTheHashFromTheDigestsLengthWhenNoneIsNamed) {
    const auto key = token_key(KeyKind::p256);
    const auto hashed = digest(HashAlgorithm::sha256, message);
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
    ASSERT_EQ(EVP_PKEY_sign_init(context.get()), 1);
    Bytes signature(100);
    auto size = signature.size();
    ASSERT_EQ(EVP_PKEY_sign(context.get(), signature.data(), &size, hashed.data(), hashed.size()), 1);
    signature.resize(size);
    EXPECT_TRUE(verifies(variants[0], EVP_sha256(), message, signature));
    EXPECT_NE(EVP_PKEY_sign(context.get(), signature.data(), &size, hashed.data(), 20), 1);
}

TEST(Rsa, RefusesADigestWithoutTheNameOfItsHash) {
    const auto key = token_key(KeyKind::rsa3072);
    const auto hashed = digest(HashAlgorithm::sha256, message);
    const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
    ASSERT_EQ(EVP_PKEY_sign_init(context.get()), 1);
    Bytes signature(512);
    auto size = signature.size();
    EXPECT_NE(EVP_PKEY_sign(context.get(), signature.data(), &size, hashed.data(), hashed.size()), 1);
    EXPECT_EQ(last_signing_error()->code, Errc::not_supported);
}

TEST_P(Kinds, QSCD_10_RefusesWeakHashes) {
    const auto key = token_key(GetParam());
    for (const auto* hash : {EVP_md5(), EVP_sha1(), EVP_sha224()})
        EXPECT_TRUE(one_shot(*key, Scheme::rsa_pkcs1, hash).empty()) << EVP_MD_get0_name(hash);
}

// A salt or mask that the token would not use must fail, not be announced wrongly.
TEST(Pss, RefusesASaltOfAnotherLengthAndAnotherMaskHash) {
    const auto key = token_key(KeyKind::rsa3072);
    const auto sign_with = [&](int salt, const EVP_MD* mask) {
        const EvpMdCtx context{EVP_MD_CTX_new()};
        EVP_PKEY_CTX* parameters = nullptr;
        Bytes out(512);
        auto size = out.size();
        return EVP_DigestSignInit(context.get(), &parameters, EVP_sha256(), nullptr, key.get()) == 1 &&
               EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, salt) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(parameters, mask) == 1 &&
               EVP_DigestSign(context.get(), out.data(), &size, message.data(), message.size()) == 1;
    };
    EXPECT_TRUE(sign_with(RSA_PSS_SALTLEN_DIGEST, EVP_sha256()));
    EXPECT_TRUE(sign_with(32, EVP_sha256()));
    EXPECT_FALSE(sign_with(20, EVP_sha256()));
    EXPECT_FALSE(sign_with(RSA_PSS_SALTLEN_MAX, EVP_sha256()));
    EXPECT_FALSE(sign_with(RSA_PSS_SALTLEN_AUTO, EVP_sha256()));
    EXPECT_FALSE(sign_with(RSA_PSS_SALTLEN_DIGEST, EVP_sha384()));
    EXPECT_FALSE(sign_with(RSA_PSS_SALTLEN_DIGEST, EVP_sha1()));
}

TEST(Pss, AnswersWhatItWillUse) {
    const auto key = token_key(KeyKind::rsa3072);
    const EvpMdCtx context{EVP_MD_CTX_new()};
    EVP_PKEY_CTX* parameters = nullptr;
    ASSERT_EQ(EVP_DigestSignInit(context.get(), &parameters, EVP_sha384(), nullptr, key.get()), 1);
    int padding = 0, salt = 0;
    ASSERT_GT(EVP_PKEY_CTX_get_rsa_padding(parameters, &padding), 0);
    EXPECT_EQ(padding, RSA_PKCS1_PADDING);
    ASSERT_GT(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 0);
    ASSERT_GT(EVP_PKEY_CTX_get_rsa_padding(parameters, &padding), 0);
    EXPECT_EQ(padding, RSA_PKCS1_PSS_PADDING);
    ASSERT_GT(EVP_PKEY_CTX_get_rsa_pss_saltlen(parameters, &salt), 0);
    EXPECT_EQ(salt, 48);
    const EVP_MD *hash = nullptr, *mask = nullptr;
    ASSERT_GT(EVP_PKEY_CTX_get_signature_md(parameters, &hash), 0);
    ASSERT_GT(EVP_PKEY_CTX_get_rsa_mgf1_md(parameters, &mask), 0);
    EXPECT_TRUE(EVP_MD_is_a(hash, "SHA2-384") && EVP_MD_is_a(mask, "SHA2-384"));
}

// ---------------------------------------------------------------------------------------------- failure

TEST_P(Kinds, SurfacesTheTokensErrorThroughOpenssl) {
    const auto key = token_key_that_fails_with(GetParam(), {Errc::token_away, "C_Sign: CKR_DEVICE_REMOVED"});
    const auto outcome = signing("EVP_DigestSign", [&] { return !one_shot(*key, {}, EVP_sha256()).empty(); });
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Errc::token_away);
    EXPECT_EQ(outcome.error().detail, "C_Sign: CKR_DEVICE_REMOVED");
    EXPECT_EQ(ERR_peek_error(), 0U);
}

TEST(SigningError, StandsOnOpensslsQueueForWhoDoesNotUseSigning) {
    const auto key = token_key_that_fails_with(KeyKind::p256, {Errc::token_away, "C_Sign: CKR_DEVICE_REMOVED"});
    ERR_clear_error();
    EXPECT_TRUE(one_shot(*key, {}, EVP_sha256()).empty());
    const char* text = nullptr;
    int flags = 0;
    ERR_peek_last_error_data(&text, &flags);
    EXPECT_THAT(text, ::testing::HasSubstr("CKR_DEVICE_REMOVED"));
    EXPECT_STREQ(ERR_lib_error_string(ERR_peek_last_error()), "qscd-pkcs11");
    ERR_clear_error();
}

TEST(SigningError, IsForgottenByTheNextSignature) {
    const auto bad = token_key_that_fails_with(KeyKind::p256, {Errc::token_away, "away"});
    const auto good = token_key(KeyKind::p256);
    EXPECT_TRUE(one_shot(*bad, {}, EVP_sha256()).empty());
    EXPECT_EQ(last_signing_error()->code, Errc::token_away);
    EXPECT_FALSE(one_shot(*good, {}, EVP_sha256()).empty());
    EXPECT_FALSE(last_signing_error());
}

TEST(SigningError, IsNotThatOfAnEarlierSignatureWhenOpensslItselfRefuses) {
    const auto bad = token_key_that_fails_with(KeyKind::p256, {Errc::token_away, "away"});
    EXPECT_TRUE(one_shot(*bad, {}, EVP_sha256()).empty());
    const auto outcome = signing("X509_sign", [] { return false; });
    EXPECT_EQ(outcome.error().code, Errc::internal);
}

TEST(SigningError, BelongsToTheThreadThatSigned) {
    const auto bad = token_key_that_fails_with(KeyKind::p256, {Errc::token_away, "away"});
    EXPECT_TRUE(one_shot(*bad, {}, EVP_sha256()).empty());
    std::jthread{[] { EXPECT_FALSE(last_signing_error()); }};
}

TEST(Signing, TurnsAnExceptionOfTheKeyIntoAnError) {
    auto key = provider_key(KeyKind::p256);
    key.sign = [](Scheme, const DtbsR&) -> Result<Bytes> { throw std::runtime_error{"broken"}; };
    const auto throwing = make_evp_pkey(std::make_shared<const ProviderKey>(std::move(key))).value();
    EXPECT_TRUE(one_shot(*throwing, {}, EVP_sha256()).empty());
    EXPECT_EQ(last_signing_error()->code, Errc::internal);
}

TEST(Signing, RefusesASignatureOfImpossibleSize) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1000}}) {
        auto key = provider_key(KeyKind::p256);
        key.sign = [size](Scheme, const DtbsR&) -> Result<Bytes> { return Bytes(size); };
        const auto odd = make_evp_pkey(std::make_shared<const ProviderKey>(std::move(key))).value();
        EXPECT_TRUE(one_shot(*odd, {}, EVP_sha256()).empty());
    }
}

TEST(Signing, RefusesTooLittleRoomBeforeTheTokenIsAsked) {
    auto key = provider_key(KeyKind::p256);
    bool asked = false;
    key.sign = [&asked](Scheme, const DtbsR&) -> Result<Bytes> {
        asked = true;
        return Bytes(70);
    };
    const auto evp = make_evp_pkey(std::make_shared<const ProviderKey>(std::move(key))).value();
    const EvpMdCtx context{EVP_MD_CTX_new()};
    ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, evp.get()), 1);
    std::array<std::uint8_t, 16> small;
    auto size = small.size();
    EXPECT_NE(EVP_DigestSign(context.get(), small.data(), &size, message.data(), message.size()), 1);
    EXPECT_FALSE(asked);
}

// ---------------------------------------------------------------------------------------------- threads

TEST_P(Variants, SignsOnManyThreadsAtOnce) {
    const auto key = token_key(GetParam().kind);
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 6; ++thread)
        threads.emplace_back([&] {
            const auto own = token_key(GetParam().kind);
            const auto plain = public_key(GetParam().kind);
            for (int i = 0; i < 10; ++i) {
                EXPECT_TRUE(verifies(GetParam(), EVP_sha256(), message,
                                     one_shot(i % 2 == 0 ? *key : *own, GetParam().scheme, EVP_sha256())));
                EXPECT_EQ(EVP_PKEY_eq(key.get(), plain.get()), 1);
            }
        });
}

}  // namespace
}  // namespace qscd::hsm
