#include "qscd/gateway/csc/sign_algorithm.hpp"

#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include "base/openssl.hpp"

namespace qscd::gateway {
namespace {

TEST(PssParameters, AreWhatIsReadBack) {
    for (const auto& row : hash_rows) EXPECT_EQ(hash_of_pss(pss_parameters(row.algorithm)), row.algorithm) << row.name;
}

// Made by OpenSSL: openssl req … -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest, SHA-256.
TEST(PssParameters, AreThoseThatOpenSslWrites) {
    EXPECT_EQ(
        to_hex(pss_parameters(HashAlgorithm::sha256)),
        "3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120");
}

TEST(PssParameters, AnyByteChangedIsAnotherStatement) {
    const auto good = pss_parameters(HashAlgorithm::sha384);
    for (std::size_t at = 0; at < good.size(); ++at) {
        auto changed = good;
        changed[at] ^= 1;
        EXPECT_NE(hash_of_pss(changed), HashAlgorithm::sha384) << at;
    }
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_FALSE(hash_of_pss(ByteView{good.data(), size})) << size;
    auto longer = good;
    longer.push_back(0);
    EXPECT_FALSE(hash_of_pss(longer));
}

TEST(PssParameters, TheDefaultsAreSha1AndRefused) { EXPECT_FALSE(hash_of_pss(Bytes{0x30, 0x00})); }

json::Object asked(std::string_view members) { return json::Object::parse("{" + std::string{members} + "}").value(); }

TEST(SigningWay, EveryAlgorithmFitsOneKindOfKey) {
    for (const auto& row : sign_algorithms) {
        const auto body = asked("\"signAlgo\":\"" + std::string{row.oid} +
                                "\",\"hashAlgorithmOID\":\"2.16.840.1.101.3.4.2.3\",\"signAlgoParams\":\"" +
                                to_base64(pss_parameters(HashAlgorithm::sha512)) + "\"");
        for (const auto& kind : key_kind_rows) {
            const auto way = signing_way_in(body, kind.kind);
            ASSERT_EQ(way.has_value(), fits(row.scheme, kind.kind)) << row.oid << ' ' << kind.name;
            if (!way) {
                EXPECT_EQ(describe(way.error()), "parameter_invalid (signAlgo)");
                continue;
            }
            EXPECT_EQ(way.value().scheme, row.scheme);
            EXPECT_EQ(way.value().hash, row.hash.value_or(HashAlgorithm::sha512)) << "an implied hash wins";
        }
    }
}

struct Refused {
    const char *members, *error;
};
TEST(SigningWay, RefusesWhatItDoesNotKnow) {
    const Refused cases[] = {
        {"", "parameter_missing (signAlgo)"},
        {"\"signAlgo\":1", "parameter_missing (signAlgo)"},
        {"\"signAlgo\":\"1.2.840.113549.1.1.5\"", "parameter_invalid (signAlgo)"},   // SHA-1
        {"\"signAlgo\":\"1.2.840.113549.1.1.14\"", "parameter_invalid (signAlgo)"},  // SHA-224
        {"\"signAlgo\":\"\"", "parameter_invalid (signAlgo)"},
        {"\"signAlgo\":\"1.2.840.113549.1.1.1\"", "parameter_missing (hashAlgorithmOID)"},
        {"\"signAlgo\":\"1.2.840.113549.1.1.1\",\"hashAlgorithmOID\":\"1.3.14.3.2.26\"",
         "parameter_invalid (hashAlgorithmOID)"},
        {"\"signAlgo\":\"1.2.840.113549.1.1.10\"", "parameter_missing (signAlgoParams)"},
        {"\"signAlgo\":\"1.2.840.113549.1.1.10\",\"signAlgoParams\":\"!\"", "parameter_invalid (signAlgoParams)"},
        {"\"signAlgo\":\"1.2.840.113549.1.1.10\",\"signAlgoParams\":\"MAA=\"", "parameter_invalid (signAlgoParams)"},
    };
    for (const auto& each : cases) {
        const auto way = signing_way_in(asked(each.members), KeyKind::rsa3072);
        ASSERT_FALSE(way) << each.members;
        EXPECT_EQ(describe(way.error()), each.error) << each.members;
    }
}

}  // namespace
}  // namespace qscd::gateway
