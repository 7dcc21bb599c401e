// Byte for byte: validators compare these encodings.
#include "base/algorithm_identifier.hpp"

#include <gtest/gtest.h>
#include <openssl/obj_mac.h>

#include "ades/hash_identifier.hpp"

namespace qscd::ades {
namespace {

struct Case {
    const char* name;
    Scheme scheme;
    HashAlgorithm hash;
    const char* der;
};
struct Identifiers : ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    , Identifiers,
    ::testing::Values(
        Case{"EcdsaSha256", Scheme::ecdsa, HashAlgorithm::sha256, "300a06082a8648ce3d040302"},
        Case{"EcdsaSha384", Scheme::ecdsa, HashAlgorithm::sha384, "300a06082a8648ce3d040303"},
        Case{"EcdsaSha512", Scheme::ecdsa, HashAlgorithm::sha512, "300a06082a8648ce3d040304"},
        Case{"Pkcs1Sha256", Scheme::rsa_pkcs1, HashAlgorithm::sha256, "300d06092a864886f70d01010b0500"},
        Case{"Pkcs1Sha384", Scheme::rsa_pkcs1, HashAlgorithm::sha384, "300d06092a864886f70d01010c0500"},
        Case{"Pkcs1Sha512", Scheme::rsa_pkcs1, HashAlgorithm::sha512, "300d06092a864886f70d01010d0500"},
        Case{
            "PssSha256", Scheme::rsa_pss, HashAlgorithm::sha256,
            "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086"
            "480165030402010500a203020120"},
        Case{
            "PssSha384", Scheme::rsa_pss, HashAlgorithm::sha384,
            "304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086"
            "480165030402020500a203020130"},
        Case{
            "PssSha512", Scheme::rsa_pss, HashAlgorithm::sha512,
            "304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086"
            "480165030402030500a203020140"}),
    [](const auto& test) { return test.param.name; });

TEST_P(Identifiers, AreThoseOfRfc5754And4055) {
    EXPECT_EQ(to_hex(algorithm_identifier(GetParam().scheme, GetParam().hash)), GetParam().der);
}

TEST(HashIdentifier, HasNoParameters) {
    EXPECT_EQ(to_hex(hash_identifier(HashAlgorithm::sha256)), "300b0609608648016503040201");
}

TEST(HashNumbered, KnowsOurHashesAndNoOther) {
    EXPECT_EQ(hash_numbered(NID_sha384), HashAlgorithm::sha384);
    EXPECT_EQ(hash_numbered(NID_sha1), std::nullopt);
    EXPECT_EQ(hash_numbered(NID_undef), std::nullopt);
}

}  // namespace
}  // namespace qscd::ades
