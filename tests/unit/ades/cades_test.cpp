// [EN 319 122-1, 6] A CAdES-B-B signature whose value was made elsewhere, from its hash alone.
#include "ades/cades.hpp"

#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ess.h>

#include "base/der.hpp"
#include "small_pki.hpp"

namespace qscd::ades {
namespace {

using ::testing::HasSubstr;

const Bytes contract = bytes_of("a contract of many pages");

struct Variant {
    const char* name;
    KeyKind kind;
    Scheme scheme;
    HashAlgorithm hash;
};
const Variant variants[] = {
    {"P256", KeyKind::p256, Scheme::ecdsa, HashAlgorithm::sha256},
    {"P384", KeyKind::p384, Scheme::ecdsa, HashAlgorithm::sha384},
    {"P256WithSha512", KeyKind::p256, Scheme::ecdsa, HashAlgorithm::sha512},
    {"Rsa3072Pkcs1", KeyKind::rsa3072, Scheme::rsa_pkcs1, HashAlgorithm::sha256},
    {"Rsa3072Pkcs1WithSha512", KeyKind::rsa3072, Scheme::rsa_pkcs1, HashAlgorithm::sha512},
    {"Rsa3072Pss", KeyKind::rsa3072, Scheme::rsa_pss, HashAlgorithm::sha256},
    {"Rsa3072PssWithSha384", KeyKind::rsa3072, Scheme::rsa_pss, HashAlgorithm::sha384},
};

SignedAttributes attributes_of(const Identity& signer, HashAlgorithm hash = HashAlgorithm::sha256) {
    return make_signed_attributes(digest(hash, contract), signer.der(), noon, hash).value();
}

Trust trust_in(const Identity& anchor) { return {.anchors = {anchor.der()}, .intermediates = {}, .at = noon}; }

struct Made : ::testing::TestWithParam<Variant> {
    SmallPki pki;
    Identity signer = pki.signer(GetParam().kind);
    SignedAttributes attributes = attributes_of(signer, GetParam().hash);
    Bytes value = sign_hash(*signer.key, GetParam().scheme, attributes.to_be_signed());
    Bytes signature = assemble(attributes, value, GetParam().scheme, pki.chain(signer)).value();
};
INSTANTIATE_TEST_SUITE_P(, Made, ::testing::ValuesIn(variants), [](const auto& test) { return test.param.name; });

TEST_P(Made, Verifies) {
    const auto verified = verify(signature, content_in_memory(contract), trust_in(pki.root));
    ASSERT_TRUE(verified) << describe(verified.error());
    EXPECT_EQ(verified.value().signer, "CN=Žofie Ångström,C=CZ");
    EXPECT_EQ(verified.value().signing_time, noon);
    EXPECT_EQ(verified.value().hash, GetParam().hash);
    EXPECT_EQ(verified.value().level, "CAdES-B-B");
    EXPECT_EQ(verified.value().certificate, signer.der());
}

TEST_P(Made, VerifiesFromTheContentsDigestAlone) {
    EXPECT_TRUE(
        verify(signature, content_hashed(GetParam().hash, digest(GetParam().hash, contract)), trust_in(pki.root)));
}

TEST_P(Made, VerifiesWithTheOpensslCommand) {
    auto pattern = std::filesystem::path{::testing::TempDir()} / "qscd-cades-XXXXXX";
    auto text = pattern.string();
    ASSERT_NE(::mkdtemp(text.data()), nullptr);
    const std::filesystem::path folder{text};
    std::ofstream{folder / "contract", std::ios::binary} << text_of(contract);
    std::ofstream{folder / "contract.p7s", std::ios::binary} << text_of(signature);
    std::ofstream{folder / "root.pem"} << pem_of(*pki.root.certificate);
    const auto openssl_accepts = [&] {
        const auto command = "cd '" + folder.string() +
                             "' && openssl cms -verify -cades -binary -inform DER -in contract.p7s -content contract "
                             "-CAfile root.pem -purpose any -attime " +
                             std::to_string(unix_seconds(noon)) + " -out out 2>log";
        return std::system(command.c_str()) == 0;
    };
    EXPECT_TRUE(openssl_accepts()) << std::ifstream{folder / "log"}.rdbuf();
    std::ofstream{folder / "contract", std::ios::binary} << "another contract";
    EXPECT_FALSE(openssl_accepts());
    std::filesystem::remove_all(folder);
}

TEST_P(Made, IsDerThatOpensslWouldWriteToo) {
    const auto* at = signature.data();
    const CmsContentInfo read{d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(signature.size()))};
    EXPECT_EQ(to_hex(der_of(*read, i2d_CMS_ContentInfo)), to_hex(signature));
}

TEST_P(Made, HoldsTheAttributesThatWereHashedByteForByte) {
    auto stored = Bytes{attributes.der().begin(), attributes.der().end()};
    EXPECT_EQ(stored.front(), der::set_tag);
    EXPECT_EQ(Bytes(attributes.to_be_signed().bytes().begin(), attributes.to_be_signed().bytes().end()),
              digest(GetParam().hash, stored));
    stored.front() = der::context_constructed(0);
    EXPECT_EQ(std::ranges::search(signature, stored).size(), stored.size());
}

// ---------------------------------------------------------------------------------------------- the attributes

using Attributes = std::vector<Bytes>;

// The elements of the SET, cut out of the bytes and not re-encoded.
Attributes elements_of(ByteView set) {
    const auto next = [](const unsigned char*& at, const unsigned char* end) {
        long size = 0;
        int tag = 0, type = 0;
        EXPECT_EQ(ASN1_get_object(&at, &size, &tag, &type, end - at) & 0x80, 0);
        return size;
    };
    Attributes out;
    const auto* at = set.data();
    const auto* const end = at + set.size();
    next(at, end);
    while (at != end) {
        const auto* const begin = at;
        const auto size = next(at, end);
        at += size;
        out.emplace_back(begin, at);
    }
    return out;
}

TEST(SignedAttributes, AreExactlyTheFourOfTheBaselineInDerOrder) {
    const SmallPki pki;
    const auto signer = pki.signer(KeyKind::p256);
    const auto attributes = attributes_of(signer);
    const auto elements = elements_of(attributes.der());
    EXPECT_TRUE(std::ranges::is_sorted(elements));
    std::vector<std::string> names;
    for (const auto& element : elements) {
        const auto* at = element.data();
        X509_ATTRIBUTE* attribute = d2i_X509_ATTRIBUTE(nullptr, &at, static_cast<long>(element.size()));
        ASSERT_NE(attribute, nullptr);
        EXPECT_EQ(X509_ATTRIBUTE_count(attribute), 1);
        names.emplace_back(OBJ_nid2sn(OBJ_obj2nid(X509_ATTRIBUTE_get0_object(attribute))));
        X509_ATTRIBUTE_free(attribute);
    }
    EXPECT_THAT(names, ::testing::UnorderedElementsAre("contentType", "messageDigest", "signingTime",
                                                       "id-smime-aa-signingCertificateV2"));
}

std::string hex_of_attributes(HashAlgorithm hash, TimePoint at) {
    const SmallPki pki;
    const auto signer = pki.signer(KeyKind::p256);
    const auto made = make_signed_attributes(digest(hash, contract), signer.der(), at, hash).value();
    EXPECT_THAT(to_hex(made.der()), HasSubstr(to_hex(digest(hash, signer.der())))) << "the certificate's digest";
    EXPECT_THAT(to_hex(made.der()), HasSubstr(to_hex(digest(hash, contract))));
    return to_hex(made.der());
}

TEST(SignedAttributes, LeaveOutTheHashOfTheCertificateReferenceOnlyWhenItIsSha256) {
    // SigningCertificateV2 { certs { ESSCertIDv2 { certHash } } } and, with another hash, hashAlgorithm before it.
    EXPECT_THAT(hex_of_attributes(HashAlgorithm::sha256, noon), HasSubstr("3026302430220420"));
    EXPECT_THAT(hex_of_attributes(HashAlgorithm::sha384, noon), HasSubstr("300b0609608648016503040202"));
}

TEST(SignedAttributes, WriteTheTimeAsUtcTimeUpTo2049) {
    EXPECT_THAT(hex_of_attributes(HashAlgorithm::sha256, noon), HasSubstr("170d" + to_hex(view_of("261120120000Z"))));
    EXPECT_THAT(hex_of_attributes(HashAlgorithm::sha256, from_unix(2524608000)),
                HasSubstr("180f" + to_hex(view_of("20500101000000Z"))));
}

TEST(SignedAttributes, RefuseADigestOfAnotherLength) {
    const SmallPki pki;
    const auto signer = pki.signer(KeyKind::p256);
    const auto made = make_signed_attributes(Bytes(32), signer.der(), noon, HashAlgorithm::sha384);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::hash_wrong_length);
}

TEST(SignedAttributes, RefuseWhatIsNoCertificate) {
    EXPECT_EQ(make_signed_attributes(Bytes(32), Bytes(40), noon, HashAlgorithm::sha256).error().code,
              Errc::paper_refused);
}

// ---------------------------------------------------------------------------------------------- assembling

struct Assembling : ::testing::Test {
    SmallPki pki;
    Identity signer = pki.signer(KeyKind::p256), other = pki.signer(KeyKind::p256);
    SignedAttributes attributes = attributes_of(signer);
    Bytes value = sign_hash(*signer.key, Scheme::ecdsa, attributes.to_be_signed());

    void expect_refused(const SignedAttributes& of, ByteView signature, Scheme scheme,
                        const std::vector<Bytes>& chain) {
        const auto out = assemble(of, signature, scheme, chain);
        ASSERT_FALSE(out);
        EXPECT_EQ(out.error().code, Errc::paper_refused) << describe(out.error());
    }
};

TEST_F(Assembling, RefusesAValueByAnotherKey) {
    expect_refused(attributes, sign_hash(*other.key, Scheme::ecdsa, attributes.to_be_signed()), Scheme::ecdsa,
                   pki.chain(signer));
}

TEST_F(Assembling, RefusesAValueOverOtherAttributes) {
    const auto later = make_signed_attributes(digest(HashAlgorithm::sha256, contract), signer.der(),
                                              noon + std::chrono::seconds{1}, HashAlgorithm::sha256);
    expect_refused(later.value(), value, Scheme::ecdsa, pki.chain(signer));
}

TEST_F(Assembling, RefusesASchemeThatIsNotTheKeys) {
    expect_refused(attributes, value, Scheme::rsa_pkcs1, pki.chain(signer));
    expect_refused(attributes, value, Scheme::rsa_pss, pki.chain(signer));
    const auto rsa = pki.signer(KeyKind::rsa3072);
    const auto rsa_attributes = attributes_of(rsa);
    expect_refused(rsa_attributes, sign_hash(*rsa.key, Scheme::rsa_pkcs1, rsa_attributes.to_be_signed()),
                   Scheme::rsa_pss, pki.chain(rsa));
}

TEST_F(Assembling, RefusesAChainThatBeginsElsewhere) {
    expect_refused(attributes, value, Scheme::ecdsa, {});
    expect_refused(attributes, value, Scheme::ecdsa, {pki.ca.der(), signer.der()});
    expect_refused(attributes, value, Scheme::ecdsa, pki.chain(other));
}

TEST_F(Assembling, RefusesAMalformedChainOrValue) {
    expect_refused(attributes, value, Scheme::ecdsa, {signer.der(), Bytes(40)});
    expect_refused(attributes, {}, Scheme::ecdsa, pki.chain(signer));
    value.pop_back();
    expect_refused(attributes, value, Scheme::ecdsa, pki.chain(signer));
}

// ---------------------------------------------------------------------------------------------- refusals

struct Verifying : ::testing::Test {
    SmallPki pki;
    Identity signer = pki.signer(KeyKind::p256);
    Bytes signature = signature_of(signer);

    Bytes signature_of(const Identity& by) {
        const auto attributes = attributes_of(by);
        return assemble(attributes, sign_hash(*by.key, Scheme::ecdsa, attributes.to_be_signed()), Scheme::ecdsa,
                        pki.chain(by))
            .value();
    }
    void expect_refused(ByteView der, const Trust& trust, std::string_view reason, ByteView content = contract) {
        const auto out = verify(der, content_in_memory(content), trust);
        ASSERT_FALSE(out) << reason;
        EXPECT_EQ(out.error().code, Errc::paper_refused);
        EXPECT_THAT(out.error().detail, HasSubstr(reason));
    }
};

TEST_F(Verifying, RefusesAChangedContent) {
    for (const std::string_view other :
         {"", "a contract of many page", "a contract of many pages\n", "A contract of many pages"})
        expect_refused(signature, trust_in(pki.root), "the content is not what was signed", view_of(other));
}

// Same issuer, serial number and key, other name: only signing-certificate-v2 tells.
TEST_F(Verifying, RefusesASwappedCertificate) {
    EVP_PKEY_up_ref(signer.key.get());
    const auto twin = issue({.common_name = "Zoe"}, EvpPkey{signer.key.get()}, &pki.ca);
    const auto certificates = der::joined_set(pki.chain(signer));
    const auto behind = std::ranges::search(signature, certificates).end();
    const auto forged_data = der::sequence({
        der::unsigned_integer(1U),
        der::set_of({der::sequence({der::object_identifier(NID_sha256)})}),
        der::sequence({der::object_identifier(NID_pkcs7_data)}),
        der::value(der::context_constructed(0), {der::joined_set(pki.chain(twin))}),
        Bytes(behind, signature.end()),
    });
    const auto forged = der::sequence(
        {der::object_identifier(NID_pkcs7_signed), der::value(der::context_constructed(0), {forged_data})});
    expect_refused(forged, trust_in(pki.root), "the signature does not verify");
}

TEST_F(Verifying, RefusesAnotherRoot) {
    const SmallPki stranger;
    expect_refused(signature, trust_in(stranger.root), "certificate signature failure");  // of the same name
    expect_refused(signature, trust_in(stranger.signer(KeyKind::p256)), "unable to get");
    expect_refused(signature, {.anchors = {}, .intermediates = {}, .at = noon}, "unable to get");
}

// The stranger's CA has the same name, so only the signatures on the certificates tell.
TEST_F(Verifying, RefusesAChainThatOnlyNamesTheAnchor) {
    const SmallPki stranger;
    const auto impostor = stranger.signer(KeyKind::p256);
    expect_refused(signature_of(impostor), trust_in(pki.root), "the signature does not verify");
}

TEST_F(Verifying, TakesIntermediatesFromOutsideAndAnIssuingCaAsAnchor) {
    const auto attributes = attributes_of(signer);
    const auto alone = assemble(attributes, sign_hash(*signer.key, Scheme::ecdsa, attributes.to_be_signed()),
                                Scheme::ecdsa, {signer.der()})
                           .value();
    expect_refused(alone, trust_in(pki.root), "unable to get local issuer certificate");
    const Trust with_ca{.anchors = {pki.root.der()}, .intermediates = {pki.ca.der()}, .at = noon};
    const auto verified = verify(alone, content_in_memory(contract), with_ca);
    EXPECT_TRUE(verified) << describe(verified.error());
    EXPECT_TRUE(verify(alone, content_in_memory(contract), trust_in(pki.ca)));
}

TEST_F(Verifying, RefusesATimeOutsideTheCertificatesValidity) {
    auto trust = trust_in(pki.root);
    trust.at = noon + std::chrono::hours{25};
    expect_refused(signature, trust, "certificate has expired");
    trust.at = noon - std::chrono::hours{25};
    expect_refused(signature, trust, "certificate is not yet valid");
}

TEST_F(Verifying, RefusesASignerWhoseCertificateIsNotForSignatures) {
    const auto tls = issue({.common_name = "TLS", .key_usage = "critical,keyAgreement"}, generate_p256(), &pki.ca);
    expect_refused(signature_of(tls), trust_in(pki.root), "not for signatures");
}

TEST_F(Verifying, RefusesEveryTruncation) {
    for (std::size_t size = 0; size < signature.size(); ++size)
        EXPECT_FALSE(verify(ByteView{signature}.first(size), content_in_memory(contract), trust_in(pki.root))) << size;
    signature.push_back(0);
    expect_refused(signature, trust_in(pki.root), "not a CMS object in DER");
}

// Every octet but for those that no signature covers: then the answer must still name the right signer.
TEST_F(Verifying, NeverTakesAChangedOctetForAnotherSigner) {
    for (std::size_t i = 0; i < signature.size(); ++i) {
        auto changed = signature;
        changed[i] ^= 0x01;
        const auto out = verify(changed, content_in_memory(contract), trust_in(pki.root));
        if (!out) continue;
        EXPECT_EQ(out.value().certificate, signer.der()) << i;
        EXPECT_EQ(out.value().signing_time, noon) << i;
    }
}

TEST_F(Verifying, RefusesWhatIsNotADetachedBaselineSignature) {
    const BioPtr input{BIO_new_mem_buf(contract.data(), static_cast<int>(contract.size()))};
    const auto made_by_openssl = [&](unsigned flags, const EVP_MD* hash) {
        BIO_reset(input.get());
        const CmsContentInfo out{CMS_sign(nullptr, nullptr, nullptr, input.get(), flags | CMS_PARTIAL | CMS_BINARY)};
        CMS_add1_signer(out.get(), signer.certificate.get(), signer.key.get(), hash, flags);
        CMS_final(out.get(), input.get(), nullptr, flags | CMS_BINARY);
        return der_of(*out, i2d_CMS_ContentInfo);
    };
    const auto trust = Trust{.anchors = {pki.root.der()}, .intermediates = {pki.ca.der()}, .at = noon};
    EXPECT_TRUE(verify(made_by_openssl(CMS_DETACHED | CMS_CADES, EVP_sha256()), content_in_memory(contract), trust));
    expect_refused(made_by_openssl(CMS_CADES, EVP_sha256()), trust, "the content is inside");
    expect_refused(made_by_openssl(CMS_DETACHED, EVP_sha256()), trust, "no signed attribute signing-certificate-v2");
    expect_refused(made_by_openssl(CMS_DETACHED | CMS_NOATTR, EVP_sha256()), trust, "no signed attribute");
    expect_refused(made_by_openssl(CMS_DETACHED | CMS_CADES, EVP_sha1()), trust, "a hash other than");
    expect_refused(der_of(*CmsContentInfo{CMS_data_create(input.get(), 0)}, i2d_CMS_ContentInfo), trust,
                   "not a signature");
}

TEST_F(Verifying, AnswersTheContentsOwnError) {
    const auto out = verify(signature, content_in_file("/nowhere/contract.pdf"), trust_in(pki.root));
    ASSERT_FALSE(out);
    EXPECT_EQ(out.error().code, Errc::parameter_invalid);
}

}  // namespace
}  // namespace qscd::ades
