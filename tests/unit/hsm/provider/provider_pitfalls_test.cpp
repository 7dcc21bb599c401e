// What a provider with keys that it does not have is known to get wrong, one test each: the rest of that list stands in
// provider_test.cpp (export, comparison, copies of a context) and provider_papers_test.cpp (each kind of paper).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "software_key.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

const Bytes message = bytes_of("the quick brown fox");

struct Pitfalls : ::testing::TestWithParam<Variant> {
    EvpPkey key = token_key(GetParam().kind);
    bool pss = GetParam().scheme == Scheme::rsa_pss;

    EvpMdCtx signer(const EVP_MD* hash, EVP_PKEY_CTX** parameters) {
        EvpMdCtx out{EVP_MD_CTX_new()};
        EXPECT_EQ(EVP_DigestSignInit(out.get(), parameters, hash, nullptr, key.get()), 1);
        if (pss) EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(*parameters, RSA_PKCS1_PSS_PADDING), 1);
        return out;
    }
    static Bytes finished(EVP_MD_CTX& context) {
        Bytes out(512);
        auto size = out.size();
        if (EVP_DigestSign(&context, out.data(), &size, message.data(), message.size()) != 1) return {};
        out.resize(size);
        return out;
    }
    bool verified_by(EVP_PKEY& public_half, const Bytes& signature) {
        const EvpMdCtx context{EVP_MD_CTX_new()};
        EVP_PKEY_CTX* parameters = nullptr;
        return EVP_DigestVerifyInit(context.get(), &parameters, EVP_sha256(), nullptr, &public_half) == 1 &&
               (!pss || EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1) &&
               EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()) == 1;
    }
    // A public key that our provider holds, as it may when a program loaded it first.
    EvpPkey public_key_of_ours() const {
        OSSL_PARAM* parameters = nullptr;
        EXPECT_EQ(EVP_PKEY_todata(public_key(GetParam().kind).get(), EVP_PKEY_PUBLIC_KEY, &parameters), 1);
        EvpPkey out = imported(parameters, EVP_PKEY_PUBLIC_KEY);
        OSSL_PARAM_free(parameters);
        return out;
    }
    EvpPkey imported(OSSL_PARAM* parameters, int selection) const {
        const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_name(nullptr, row_of(GetParam().kind).elliptic ? "EC" : "RSA",
                                                            "provider=qscd-pkcs11")};
        EVP_PKEY* out = nullptr;
        EXPECT_EQ(EVP_PKEY_fromdata_init(context.get()), 1);
        (void)EVP_PKEY_fromdata(context.get(), &out, selection, parameters);
        return EvpPkey{out};
    }
};
INSTANTIATE_TEST_SUITE_P(, Pitfalls, ::testing::ValuesIn(variants), [](const auto& test) { return test.param.name; });

// The size that X509_sign and its like have for it.
TEST_P(Pitfalls, AlgorithmIdentifierFitsInTheRoomOfTheCallers) {
    for (const auto* hash : {EVP_sha256(), EVP_sha384(), EVP_sha512()}) {
        EVP_PKEY_CTX* parameters = nullptr;
        const auto context = signer(hash, &parameters);
        std::array<std::uint8_t, 128> room{};
        std::array asked{OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, room.data(), room.size()),
                         OSSL_PARAM_construct_end()};
        EXPECT_EQ(EVP_PKEY_CTX_get_params(parameters, asked.data()), 1);
        EXPECT_EQ(room[0], 0x30);
    }
}

TEST_P(Pitfalls, TheDefaultHashIsNamed) {
    std::array<char, 40> hash{};
    EXPECT_EQ(EVP_PKEY_get_default_digest_name(key.get(), hash.data(), hash.size()), 1);  // 1: another may be chosen
    EXPECT_STREQ(hash.data(), "SHA256");
    const EvpMdCtx context{EVP_MD_CTX_new()};
    ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()), 1);
    EXPECT_TRUE(EVP_MD_is_a(EVP_MD_CTX_get0_md(context.get()), "SHA2-256"));
}

// CMS reads both back in words, EVP_PKEY_CTX_get_rsa_… as numbers (provider_test.cpp).
TEST_P(Pitfalls, PaddingAndSaltAreAnsweredInWords) {
    if (row_of(GetParam().kind).elliptic) return;
    EVP_PKEY_CTX* parameters = nullptr;
    const auto context = signer(EVP_sha384(), &parameters);
    std::array<char, 40> padding{}, salt{};
    std::array asked{OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, padding.data(), padding.size()),
                     OSSL_PARAM_construct_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, salt.data(), salt.size()),
                     OSSL_PARAM_construct_end()};
    ASSERT_EQ(EVP_PKEY_CTX_get_params(parameters, asked.data()), 1);
    EXPECT_STREQ(padding.data(), pss ? "pss" : "pkcs1");
    EXPECT_STREQ(salt.data(), "48");
}

TEST_P(Pitfalls, AContextIsBegunAgainWithoutNamingTheKey) {
    EVP_PKEY_CTX* parameters = nullptr;
    const auto context = signer(EVP_sha256(), &parameters);
    EXPECT_FALSE(finished(*context).empty());
    ASSERT_EQ(EVP_DigestSignInit(context.get(), &parameters, EVP_sha256(), nullptr, nullptr), 1);
    if (pss) ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING), 1);
    EXPECT_TRUE(verified_by(*public_key(GetParam().kind), finished(*context)));
}

// OpenSSL lets a key's own provider verify: ours asks the default one, and so does our private key.
TEST_P(Pitfalls, AKeyOfOursVerifies) {
    EVP_PKEY_CTX* parameters = nullptr;
    auto signature = finished(*signer(EVP_sha256(), &parameters));
    const auto ours = public_key_of_ours();
    ASSERT_TRUE(ours);
    EXPECT_TRUE(verified_by(*ours, signature));
    EXPECT_TRUE(verified_by(*key, signature));
    signature.back() ^= 1;
    EXPECT_FALSE(verified_by(*ours, signature));
    EXPECT_FALSE(verified_by(*key, signature));
    ERR_clear_error();
}

TEST_P(Pitfalls, AKeyOfOursVerifiesADigest) {
    const auto hashed = digest(HashAlgorithm::sha256, message);
    EVP_PKEY_CTX* parameters = nullptr;
    auto signature = finished(*signer(EVP_sha256(), &parameters));
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), "provider=qscd-pkcs11")};
    ASSERT_EQ(EVP_PKEY_verify_init(context.get()), 1);
    ASSERT_EQ(EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()), 1);
    if (pss) ASSERT_EQ(EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING), 1);
    EXPECT_EQ(EVP_PKEY_verify(context.get(), signature.data(), signature.size(), hashed.data(), hashed.size()), 1);
    signature.back() ^= 1;
    EXPECT_NE(EVP_PKEY_verify(context.get(), signature.data(), signature.size(), hashed.data(), hashed.size()), 1);
    ERR_clear_error();
}

TEST_P(Pitfalls, APublicKeyOfOursSignsNothing) {
    const auto ours = public_key_of_ours();
    const EvpMdCtx context{EVP_MD_CTX_new()};
    if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, ours.get()) == 1)
        EXPECT_TRUE(finished(*context).empty());
    const EvpPkeyCtx direct{EVP_PKEY_CTX_new_from_pkey(nullptr, ours.get(), "provider=qscd-pkcs11")};
    EXPECT_NE(EVP_PKEY_sign_init(direct.get()), 1);
    ERR_clear_error();
}

// A private key in memory stays with its provider. Taking its public half in its place would leave nobody to sign.
TEST_P(Pitfalls, APrivateKeyInMemoryIsNotTakenIn) {
    OSSL_PARAM* parameters = nullptr;
    ASSERT_EQ(EVP_PKEY_todata(&software_key(GetParam().kind), EVP_PKEY_KEYPAIR, &parameters), 1);
    EXPECT_FALSE(imported(parameters, EVP_PKEY_KEYPAIR));
    OSSL_PARAM_free(parameters);
    ERR_clear_error();
}

// OpenSSL's streams do not carry it, so it is not offered.
TEST(Ed25519, IsNotOffered) {
    ASSERT_TRUE(load_provider());
    EXPECT_EQ(EVP_PKEY_CTX_new_from_name(nullptr, "ED25519", "provider=qscd-pkcs11"), nullptr);
    EXPECT_EQ(EVP_SIGNATURE_fetch(nullptr, "ED25519", "provider=qscd-pkcs11"), nullptr);
    ERR_clear_error();
}

TEST_P(Pitfalls, CmsVerifiesWhileItStillHoldsOurKey) {
    if (pss) return;  // provider_papers_test.cpp: the one call has no place for its parameters
    const X509Cert signer_certificate{X509_new()};
    X509_set_version(signer_certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(signer_certificate.get()), 7);
    X509_gmtime_adj(X509_getm_notBefore(signer_certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(signer_certificate.get()), 3600);
    ASSERT_EQ(X509_set_pubkey(signer_certificate.get(), key.get()), 1);
    ASSERT_GT(X509_sign(signer_certificate.get(), key.get(), EVP_sha256()), 0);
    const BioPtr content{BIO_new_mem_buf("x", 1)};
    const CmsContentInfo made{CMS_sign(signer_certificate.get(), key.get(), nullptr, content.get(), CMS_BINARY)};
    ASSERT_TRUE(made) << openssl_reason();
    EXPECT_EQ(CMS_verify(made.get(), nullptr, nullptr, nullptr, nullptr, CMS_NO_SIGNER_CERT_VERIFY), 1)
        << openssl_reason();
}

// ---------------------------------------------------------------------------------------------- with a real token

struct OnAToken : ::testing::Test {
    SpiedToken place{"provider-pitfalls"};
    std::shared_ptr<Module> module = place.load_own().value();
    std::unique_ptr<Token> token;
    EvpPkey key;

    void SetUp() override {
        (void)SoftToken::initialise(*module, "ca").value();
        token = SoftToken::open(module, "ca", 1).value();
        const auto made =
            token->generate(KeyKind::p256, *CkaId::from_hex("00112233445566778899aabbccddeeff"), "ca").value();
        key = make_evp_pkey(std::make_shared<const ProviderKey>(
                                ProviderKey{KeyKind::p256, made.public_key,
                                            [&token = *token, object = made.key](Scheme scheme, const DtbsR& hashed) {
                                                return token.sign(*object, scheme, hashed).signature;
                                            }}))
                  .value();
    }
};

// The session is taken when the signature is made, so a context may outlive every session there was.
TEST_F(OnAToken, QSCD_22_AContextOutlivesTheSessionsOfTheModule) {
    const EvpMdCtx context{EVP_MD_CTX_new()};
    ASSERT_EQ(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()), 1);
    ASSERT_EQ(EVP_DigestSignUpdate(context.get(), message.data(), message.size()), 1);
    ASSERT_TRUE(module->reinitialise());
    Bytes signature(100);
    auto size = signature.size();
    ASSERT_EQ(EVP_DigestSignFinal(context.get(), signature.data(), &size), 1) << openssl_reason();
    signature.resize(size);
    const auto plain = public_key_from_der(der_of(*key, i2d_PUBKEY)).value();
    EXPECT_TRUE(verify_message(*plain, message, signature));
}

TEST_F(OnAToken, QSCD_22_AnErrorCarriesTheModulesCode) {
    place.command("C_Sign 1+ 0x30\n");
    const auto outcome = signing("EVP_DigestSign", [&] {
        const EvpMdCtx context{EVP_MD_CTX_new()};
        std::array<std::uint8_t, 100> room{};
        auto size = room.size();
        return EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
               EVP_DigestSign(context.get(), room.data(), &size, message.data(), message.size()) == 1;
    });
    place.command("");
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code, Errc::token_away);
    EXPECT_THAT(outcome.error().detail, ::testing::HasSubstr("C_Sign answered 0x30"));
}

}  // namespace
}  // namespace qscd::hsm
