#include <gtest/gtest.h>

#include "base/log/array_tree.hpp"
#include "base/log/head.hpp"
#include "base/log/log_tree.hpp"

namespace qscd::log {
namespace {

// The definition, word for word: MTH(D[n]) splits at the largest power of two below n. [RFC 6962, 2.1]
Sha256Digest by_definition(std::span<const Bytes> entries, std::uint8_t leaf, std::uint8_t node) {
    if (entries.empty()) return sha256(ByteView{});
    if (entries.size() == 1) return sha256({ByteView{&leaf, 1}, entries[0]});
    std::size_t split = 1;
    while (split * 2 < entries.size()) split *= 2;
    const auto left = by_definition(entries.first(split), leaf, node),
               right = by_definition(entries.subspan(split), leaf, node);
    return sha256({ByteView{&node, 1}, left.bytes(), right.bytes()});
}

std::vector<Bytes> entries(std::size_t count) {
    std::vector<Bytes> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(bytes_of("record " + std::to_string(i)));
    return out;
}

TEST(LogTree, AUD_04_HasTheRootOfTheDefinition) {
    LogTree tree;
    const auto all = entries(70);
    EXPECT_EQ(tree.root(), by_definition({}, 0, 1));
    for (std::size_t i = 0; i < all.size(); ++i) {
        tree.append(all[i]);
        ASSERT_EQ(tree.root(), by_definition(std::span{all}.first(i + 1), 0, 1)) << i;
    }
}

TEST(LogTree, RFC_6962_KnownRoot) {  // the well-known vectors of the certificate transparency tests
    LogTree tree;
    tree.append(Bytes{});
    EXPECT_EQ(tree.root().hex(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    tree.append(Bytes{0x00});
    EXPECT_EQ(tree.root().hex(), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
}

TEST(ArrayTree, HasTheRootOfTheDefinitionAfterEveryChange) {
    ArrayTree tree;
    auto all = entries(40);
    for (std::size_t i = 0; i < all.size(); ++i) {
        tree.set(i, all[i]);
        ASSERT_EQ(tree.root(), by_definition(std::span{all}.first(i + 1), 2, 3)) << i;
    }
    for (std::size_t i = 0; i < all.size(); i += 3) {
        all[i] = bytes_of("changed");
        tree.set(i, all[i]);
        ASSERT_EQ(tree.root(), by_definition(all, 2, 3)) << i;
    }
}

TEST(ArrayTree, TruncateGivesTheTreeThatWas) {
    const auto all = entries(40);
    for (std::size_t size = 0; size <= all.size(); ++size) {
        ArrayTree tree;
        for (std::size_t i = 0; i < all.size(); ++i) tree.set(i, all[i]);
        tree.truncate(size);
        ASSERT_EQ(tree.size(), size);
        ASSERT_EQ(tree.root(), by_definition(std::span{all}.first(size), 2, 3)) << size;
        tree.set(size, bytes_of("next"));
        ASSERT_EQ(tree.size(), size + 1);
    }
}

struct HeadTest : ::testing::Test {
    EvpPkey key = generate_p256();
    Head head{"qscd/abc", 7, sha256(view_of("root"))};
    std::string text = with_signature(head, "head-1", sha256(der_of(*key, i2d_PUBKEY)),
                                      sign_message(*key, view_of(body_of(head))).value());
};

TEST_F(HeadTest, IsReadBack) {
    const auto read = verified_head(text, "qscd/abc", "head-1", *key);
    ASSERT_TRUE(read) << describe(read.error());
    EXPECT_EQ(read.value().size, 7u);
    EXPECT_EQ(read.value().root, head.root);
}

TEST_F(HeadTest, EveryChangedByteIsSeen) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto changed = text;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(verified_head(changed, "qscd/abc", "head-1", *key)) << i;
        EXPECT_FALSE(verified_head(text.substr(0, i), "qscd/abc", "head-1", *key)) << "cut at " << i;
    }
    EXPECT_FALSE(verified_head(text + "x", "qscd/abc", "head-1", *key));
    EXPECT_FALSE(verified_head(text, "qscd/other", "head-1", *key));
    EXPECT_FALSE(verified_head(text, "qscd/abc", "head-1", *generate_p256()));
}

}  // namespace
}  // namespace qscd::log
