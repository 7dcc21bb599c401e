// What a token holds, and its emptying, on a real SoftHSM2.
#include "hsm/contents.hpp"

#include <algorithm>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "tests/unit/hsm/soft_token.hpp"

namespace qscd::hsm {
namespace {

struct ContentsTest : ::testing::Test {
    SoftToken place{"contents"};
    std::shared_ptr<Module> module = place.load().value();
    std::unique_ptr<Token> token;

    void SetUp() override {
        for (const auto* label : {"one", "two"}) ASSERT_TRUE(SoftToken::initialise(*module, label));
        token = SoftToken::open(module, "one").value();
    }
    static std::string said(const HeldObject& object, std::string_view name) {
        const auto found = std::ranges::find(object.attributes, name, [](const auto& each) { return each.first; });
        return found == object.attributes.end() ? "nothing" : found->second;
    }
};

TEST_F(ContentsTest, AFreshTokenIsEmpty) {
    EXPECT_TRUE(contents(*token).value().empty());
    EXPECT_TRUE(clear(*token).value().empty());
}

TEST_F(ContentsTest, QSCD_02_AttributesAreTheTokensOwnWord) {
    const auto pair = token->generate(KeyKind::p256, random_fixed<CkaId>(), "rule").value();
    const auto secret = token->generate_hmac_key(random_fixed<CkaId>(), "K_cell").value();
    ASSERT_TRUE(token->create_data("genesis", view_of("value")));
    const auto held = contents(*token).value();
    ASSERT_EQ(held.size(), 3U) << "the public half is not kept";
    EXPECT_EQ(held[0].kind, "data");
    EXPECT_EQ(held[0].label, "genesis");
    EXPECT_EQ(held[0].value, sha256(view_of("value")).hex());
    EXPECT_EQ(held[1].kind, "private");
    EXPECT_EQ(held[1].id, pair.key->id().hex());
    for (const auto& [name, value] : pair.attributes)
        EXPECT_EQ(name == "CKA_KEY_GEN_MECHANISM" ? held[1].mechanism : said(held[1], name), value) << name;
    EXPECT_EQ(held[2].kind, "secret");
    EXPECT_EQ(held[2].id, secret->id().hex());
    EXPECT_EQ(said(held[2], "CKA_EXTRACTABLE"), "false");
    EXPECT_EQ(said(held[2], "CKA_NEVER_EXTRACTABLE"), "true");
    EXPECT_EQ(said(held[2], "CKA_LOCAL"), "true");
}

TEST_F(ContentsTest, ALongLabelIsNamedByItsDigest) {
    const std::string label(33, 'x');
    ASSERT_TRUE(token->create_data(label, view_of("value")));
    EXPECT_EQ(contents(*token).value().at(0).label, "sha256:" + sha256(view_of(label)).hex());
}

TEST_F(ContentsTest, ClearingLeavesNothingHereAndAllElsewhere) {
    const auto other = SoftToken::open(module, "two").value();
    const auto kept = other->generate(KeyKind::p256, random_fixed<CkaId>(), "rule").value();
    const auto gone = token->generate(KeyKind::p256, random_fixed<CkaId>(), "rule").value();
    ASSERT_TRUE(token->generate_hmac_key(random_fixed<CkaId>(), "K_cell"));
    ASSERT_TRUE(token->create_data("genesis", view_of("value")));
    EXPECT_EQ(clear(*token).value().size(), 3U) << "it tells what was there";
    EXPECT_TRUE(contents(*token).value().empty());
    EXPECT_EQ(token->find_private(gone.key->id()).error().code, Errc::key_gone);
    EXPECT_TRUE(other->find_private(kept.key->id()));
}

}  // namespace
}  // namespace qscd::hsm
