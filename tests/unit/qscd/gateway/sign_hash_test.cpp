#include <gtest/gtest.h>

#include "qscd/gateway/csc/sign_algorithm.hpp"
#include "tests/unit/qscd/gateway/world.hpp"

namespace qscd::gateway {
namespace {

// Members by name, so that a test shows its change alone; an empty value leaves the member out.
struct Ask {
    std::map<std::string, std::string> members;
    net::Headers headers = {};

    Ask& with(const std::string& name, const std::string& value) {
        members[name] = value;
        return *this;
    }
    std::string text() const {
        std::string out;
        for (const auto& [name, value] : members)
            if (!value.empty()) out += (out.empty() ? "\"" : ",\"") + name + "\":" + value;
        return "{" + out + "}";
    }
};
std::string quoted(const std::string& text) { return "\"" + text + "\""; }
std::string array(std::initializer_list<std::string> each) {
    std::string out;
    for (const auto& one : each) out += (out.empty() ? "" : ",") + quoted(one);
    return "[" + out + "]";
}
Ask ecdsa() {
    return {{{"credentialID", quoted(annas_app.hex())},
             {"SAD", quoted(to_base64url(view_of("sad bytes")))},
             {"hashes", array({base64_hash()})},
             {"signAlgo", quoted("1.2.840.10045.4.3.2")}}};
}
Ask rsa(const char* algorithm) {
    return ecdsa().with("credentialID", quoted(annas_sms.hex())).with("signAlgo", quoted(algorithm));
}
Ask pss(HashAlgorithm hash) {
    return rsa("1.2.840.113549.1.1.10").with("signAlgoParams", quoted(to_base64(pss_parameters(hash))));
}
net::Response send(World& world, const Ask& ask) { return world.post("signatures/signHash", ask.text(), ask.headers); }

TEST(SignHash, ForwardsTheHashesAndAnswersInTheirOrder) {
    World world;
    auto ask = ecdsa().with("hashes", array({base64_hash('b'), base64_hash('a')}));
    ask.headers = {{"idempotency-key", "4f1c"}};
    const auto response = send(world, ask);
    ASSERT_EQ(response.status, 200U) << response.body;
    EXPECT_EQ(response.body, R"({"signatures":[")" + to_base64(view_of("signature of " + std::string(32, 'b'))) +
                                 R"(",")" + to_base64(view_of("signature of " + std::string(32, 'a'))) + "\"]}");
    ASSERT_EQ(world.sam.signed_hashes.size(), 1U);
    const auto& asked = world.sam.signed_hashes[0];
    EXPECT_EQ(asked.client(), "acme");
    EXPECT_EQ(asked.credential(), text_of(annas_app.bytes()));
    EXPECT_EQ(asked.sad(), "sad bytes");
    EXPECT_EQ(asked.hash_algorithm(), static_cast<unsigned>(HashAlgorithm::sha256));
    EXPECT_EQ(asked.scheme(), static_cast<unsigned>(Scheme::ecdsa));
    EXPECT_EQ(asked.idempotency_key(), "4f1c");
}

struct Good {
    const char* name;
    Ask ask;
    Scheme scheme;
    HashAlgorithm hash;
};
const std::string sha384_oid = quoted("2.16.840.1.101.3.4.2.2");
const Good good[] = {
    {"RsaWithHashOid",
     rsa("1.2.840.113549.1.1.1").with("hashAlgorithmOID", sha384_oid).with("hashes", array({base64_hash('a', 48)})),
     Scheme::rsa_pkcs1, HashAlgorithm::sha384},
    {"RsaImplied", rsa("1.2.840.113549.1.1.11"), Scheme::rsa_pkcs1, HashAlgorithm::sha256},
    {"RsaImplied512", rsa("1.2.840.113549.1.1.13").with("hashes", array({base64_hash('a', 64)})), Scheme::rsa_pkcs1,
     HashAlgorithm::sha512},
    {"ContradictionIsIgnored", rsa("1.2.840.113549.1.1.11").with("hashAlgorithmOID", sha384_oid), Scheme::rsa_pkcs1,
     HashAlgorithm::sha256},
    {"ImpliedNeedsNoValidOid", rsa("1.2.840.113549.1.1.11").with("hashAlgorithmOID", "7"), Scheme::rsa_pkcs1,
     HashAlgorithm::sha256},
    {"Pss", pss(HashAlgorithm::sha256), Scheme::rsa_pss, HashAlgorithm::sha256},
    {"Pss512", pss(HashAlgorithm::sha512).with("hashes", array({base64_hash('a', 64)})), Scheme::rsa_pss,
     HashAlgorithm::sha512},
    {"ModeS", ecdsa().with("operationMode", quoted("S")), Scheme::ecdsa, HashAlgorithm::sha256},
    {"NullIsAbsent", ecdsa().with("operationMode", "null").with("signAlgoParams", "null"), Scheme::ecdsa,
     HashAlgorithm::sha256},
    {"EcKeyOid",
     ecdsa()
         .with("signAlgo", quoted("1.2.840.10045.2.1"))
         .with("hashAlgorithmOID", sha384_oid)
         .with("hashes", array({base64_hash('a', 48)})),
     Scheme::ecdsa, HashAlgorithm::sha384},
};
struct GoodSignHash : ::testing::TestWithParam<Good> {};
INSTANTIATE_TEST_SUITE_P(, GoodSignHash, ::testing::ValuesIn(good), [](const auto& test) { return test.param.name; });
TEST_P(GoodSignHash, IsForwarded) {
    World world;
    const auto response = send(world, GetParam().ask);
    ASSERT_EQ(response.status, 200U) << response.body;
    EXPECT_EQ(world.sam.signed_hashes.at(0).scheme(), static_cast<unsigned>(GetParam().scheme));
    EXPECT_EQ(world.sam.signed_hashes.at(0).hash_algorithm(), static_cast<unsigned>(GetParam().hash));
}

Ask with_keys(std::initializer_list<std::string> keys) {
    auto ask = ecdsa();
    for (const auto& key : keys) ask.headers.emplace_back("idempotency-key", key);
    return ask;
}
std::string many_hashes() {
    std::string out;
    for (int i = 0; i < 101; ++i) out += (i == 0 ? "" : ",") + quoted(base64_hash());
    return "[" + out + "]";
}

struct Bad {
    const char* name;
    Ask ask;
    const char* description;
};
const Bad bad[] = {
    {"Nothing", {}, "Missing (or invalid type) string parameter SAD"},
    {"NoSad", ecdsa().with("SAD", ""), "Missing (or invalid type) string parameter SAD"},
    {"SadOfAnotherType", ecdsa().with("SAD", "[]"), "Missing (or invalid type) string parameter SAD"},
    {"SadNotBase64", ecdsa().with("SAD", quoted("a+/=")), "Invalid parameter SAD"},
    {"SadEmpty", ecdsa().with("SAD", quoted("")), "Invalid parameter SAD"},
    {"SadTooLong", ecdsa().with("SAD", quoted(std::string(1028, 'a'))), "Invalid parameter SAD"},
    {"NoCredential", ecdsa().with("credentialID", ""), "Missing (or invalid type) string parameter credentialID"},
    {"NoHashes", ecdsa().with("hashes", ""), "Missing (or invalid type) array parameter hash"},
    {"HashesAsText", ecdsa().with("hashes", quoted(base64_hash())), "Missing (or invalid type) array parameter hash"},
    {"EmptyHashes", ecdsa().with("hashes", "[]"), "Empty hash array"},
    {"ManyHashes", ecdsa().with("hashes", many_hashes()), "Numbers of signatures is too high"},
    {"HashNotBase64", ecdsa().with("hashes", array({base64_hash(), "%"})), "Invalid Base64 hash string parameter"},
    {"HashInBase64Url", ecdsa().with("hashes", array({"__________________________________________8="})),
     "Invalid Base64 hash string parameter"},
    {"HashWrongLength", ecdsa().with("hashes", array({base64_hash(), base64_hash('a', 20)})),
     "Invalid digest value length"},
    {"HashOfAnotherAlgorithm", ecdsa().with("hashes", array({base64_hash('a', 48)})), "Invalid digest value length"},
    {"NoSignAlgo", ecdsa().with("signAlgo", ""), "Missing (or invalid type) string parameter signAlgo"},
    {"UnknownSignAlgo", ecdsa().with("signAlgo", quoted("1.2.3")), "Invalid parameter signAlgo"},
    {"RsaForAnEllipticKey", ecdsa().with("signAlgo", quoted("1.2.840.113549.1.1.11")), "Invalid parameter signAlgo"},
    {"EcdsaForAnRsaKey", rsa("1.2.840.10045.4.3.2"), "Invalid parameter signAlgo"},
    {"RsaWithoutHashOid", rsa("1.2.840.113549.1.1.1"), "Missing (or invalid type) string parameter hashAlgorithmOID"},
    {"Sha1", rsa("1.2.840.113549.1.1.1").with("hashAlgorithmOID", quoted("1.3.14.3.2.26")),
     "Invalid parameter hashAlgorithmOID"},
    {"Sha224", rsa("1.2.840.113549.1.1.1").with("hashAlgorithmOID", quoted("2.16.840.1.101.3.4.2.4")),
     "Invalid parameter hashAlgorithmOID"},
    {"PssWithoutParameters", rsa("1.2.840.113549.1.1.10"), "Missing (or invalid type) string parameter signAlgoParams"},
    {"PssWithBadParameters", rsa("1.2.840.113549.1.1.10").with("signAlgoParams", quoted("MAA=")),
     "Invalid parameter signAlgoParams"},
    {"PssForAnotherDigest", pss(HashAlgorithm::sha512), "Invalid parameter signAlgoParams"},
    {"PssOfNoDigest", pss(HashAlgorithm::sha256).with("hashes", array({base64_hash('a', 20)})),
     "Invalid digest value length"},
    {"ModeA", ecdsa().with("operationMode", quoted("A")), "Invalid parameter operationMode"},
    {"ModeNoText", ecdsa().with("operationMode", "1"), "Invalid parameter operationMode"},
    {"EmptyKey", with_keys({""}), "Invalid parameter Idempotency-Key"},
    {"KeyWithBlank", with_keys({"a b"}), "Invalid parameter Idempotency-Key"},
    {"LongKey", with_keys({std::string(129, 'k')}), "Invalid parameter Idempotency-Key"},
    {"TwoKeys", with_keys({"a", "b"}), "Invalid parameter Idempotency-Key"},
};
struct BadSignHash : ::testing::TestWithParam<Bad> {};
INSTANTIATE_TEST_SUITE_P(, BadSignHash, ::testing::ValuesIn(bad), [](const auto& test) { return test.param.name; });
TEST_P(BadSignHash, IsRefusedByItsRowAndReachesNobody) {
    World world;
    const auto response = send(world, GetParam().ask);
    EXPECT_EQ(response.status, 400U);
    EXPECT_EQ(error_in(response), "invalid_request");
    EXPECT_EQ(description_in(response), GetParam().description);
    EXPECT_TRUE(world.sam.signed_hashes.empty());
}

TEST(SignHash, AKeyOfFullLengthPasses) {
    World world;
    EXPECT_EQ(send(world, with_keys({std::string(128, '~')})).status, 200U);
}

TEST(SignHash, TheSamsRefusalsKeepTheirRows) {
    const std::pair<Error, const char*> cases[] = {
        {{Errc::parameter_invalid, "", {"string", "SAD"}}, "Invalid parameter SAD"},
        {{Errc::sad_expired}, "SAD expired"},
        {{Errc::hash_not_authorised}, "Hash is not authorized by the SAD"},
        {{Errc::certificate_expired}, "Signing certificate is expired"},
        {{Errc::credential_disabled}, "The credential identified by credentialID is disabled"},
    };
    for (const auto& [error, description] : cases) {
        World world;
        world.sam.at_sign = [answer = error] { return Result<void>{answer}; };
        const auto response = send(world, ecdsa());
        EXPECT_EQ(response.status, 400U);
        EXPECT_EQ(description_in(response), description);
    }
    World world;
    world.sam.at_sign = [] { return Result<void>{Error{Errc::token_away}}; };
    EXPECT_EQ(send(world, ecdsa()).status, 503U);
}

TEST(SignHash, WhoseCredentialItIsIsAskedOnce) {
    World world;
    send(world, ecdsa());
    const auto asked = world.sam.describes;
    send(world, ecdsa());
    EXPECT_EQ(world.sam.describes, asked);
}

TEST(SignHash, AClientThatLosesASignerLosesHerCredentials) {
    World world;
    EXPECT_EQ(send(world, ecdsa()).status, 200U);
    const auto id = ClientId::from("acme").value();
    ASSERT_TRUE(world.access->put({id, "Acme", sha256(view_of(acme_secret)), "", {}}));
    EXPECT_EQ(description_in(send(world, ecdsa())), "Invalid parameter credentialID");
}

}  // namespace
}  // namespace qscd::gateway
