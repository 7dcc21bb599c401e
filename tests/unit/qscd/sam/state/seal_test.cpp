// Sealed cells open under their own name only.
#include "qscd/sam/state/seal.hpp"

#include <gtest/gtest.h>

#include "base/random.hpp"

namespace qscd::sam {
namespace {

const SecretBytes data_key{ByteView{random_bytes(32)}};
const auto genesis = random_fixed<Sha256Digest>();
const SealContext context{data_key, genesis, 7};
const CellName annas{CellKind::credential, {1, 2, 3}, 4, 5};
const auto plain = view_of("totp secret and phone number");

TEST(Seal, GivesBackWhatWasSealed) {
    for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 100'000u}) {
        const auto content = random_bytes(size);
        const auto opened = unseal(context, annas, seal(context, annas, content));
        ASSERT_TRUE(opened);
        EXPECT_TRUE(std::ranges::equal(opened.value().reveal(), content));
    }
}

TEST(Seal, HidesItsContentAndNeverLooksTheSame) {
    const auto first = seal(context, annas, plain), second = seal(context, annas, plain);
    EXPECT_NE(first, second);
    EXPECT_EQ(std::ranges::search(first, plain).size(), 0u);
}

TEST(Seal, EveryFlippedByteIsRefused) {
    const auto sealed = seal(context, annas, plain);
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto flipped = sealed;
        flipped[i] ^= 1;
        const auto opened = unseal(context, annas, flipped);
        ASSERT_FALSE(opened) << i;
        EXPECT_EQ(opened.error().code, Errc::internal);
    }
}

TEST(Seal, EveryLengthButItsOwnIsRefused) {
    auto sealed = seal(context, annas, plain);
    for (std::size_t size = 0; size < sealed.size(); ++size)
        EXPECT_FALSE(unseal(context, annas, ByteView{sealed}.first(size)));
    sealed.push_back(0);
    EXPECT_FALSE(unseal(context, annas, sealed));
}

struct OtherName {
    const char* name;
    std::function<CellName()> make;
};
const OtherName other_names[] = {
    {"Kind", [] { return CellName{CellKind::device, annas.id, annas.index, annas.version}; }},
    {"Id", [] { return CellName{annas.kind, {1, 2, 4}, annas.index, annas.version}; }},
    {"Index", [] { return CellName{annas.kind, annas.id, annas.index + 1, annas.version}; }},
    {"OlderVersion", [] { return CellName{annas.kind, annas.id, annas.index, annas.version - 1}; }},
    {"NewerVersion", [] { return CellName{annas.kind, annas.id, annas.index, annas.version + 1}; }},
    {"IndexAndVersionSwapped", [] { return CellName{annas.kind, annas.id, annas.version, annas.index}; }},
};
struct UnderAnother : ::testing::TestWithParam<OtherName> {};
INSTANTIATE_TEST_SUITE_P(, UnderAnother, ::testing::ValuesIn(other_names),
                         [](const auto& test) { return test.param.name; });
TEST_P(UnderAnother, SAM_08_IsRefused) {
    EXPECT_FALSE(unseal(context, GetParam().make(), seal(context, annas, plain)));
}

TEST(Seal, AnotherEpochGenesisOrDataKeyIsRefused) {
    const auto sealed = seal(context, annas, plain);
    const auto other_genesis = random_fixed<Sha256Digest>();
    const SecretBytes other_key{ByteView{random_bytes(32)}};
    EXPECT_FALSE(unseal({data_key, genesis, 8}, annas, sealed));
    EXPECT_FALSE(unseal({data_key, other_genesis, 7}, annas, sealed));
    EXPECT_FALSE(unseal({other_key, genesis, 7}, annas, sealed));
}

}  // namespace
}  // namespace qscd::sam
