// The stored form of a wrapped key and what its MAC covers, without a module. [QSCD-30]
#include "hsm/wrapping/wrapped_key.hpp"

#include <gtest/gtest.h>
#include <set>

#include "base/random.hpp"

namespace qscd::hsm {
namespace {

WrappedKey a_key() {
    return {{random_fixed<CkaId>(),
             random_fixed<CkaId>(),
             KeyKind::p256,
             CKM_AES_KEY_WRAP_PAD,
             random_bytes(91),
             random_bytes(80),
             {{"CKA_LOCAL", "true"}, {"CKA_SIGN", "true"}}},
            random_fixed<BindingMac>()};
}
const KeyOwner anna{std::array<std::uint8_t, 16>{'a', 'n', 'n', 'a'}};

TEST(WrappedKeyForm, ComesBackAsItWas) {
    for (const auto& row : key_kind_rows) {
        auto key = a_key();
        key.kind = row.kind;
        const auto back = decode_wrapped_key(encode(key));
        ASSERT_TRUE(back);
        EXPECT_EQ(back.value(), key);
    }
}

TEST(WrappedKeyForm, HasOneEncodingOnly) {
    const auto stored = encode(a_key());
    for (std::size_t i = 0; i < stored.size(); ++i) {
        for (const std::uint8_t flip : {std::uint8_t{0x01}, std::uint8_t{0x80}}) {
            auto altered = stored;
            altered[i] ^= flip;
            const auto key = decode_wrapped_key(altered);
            if (key) EXPECT_EQ(encode(key.value()), altered) << i;
            else EXPECT_EQ(key.error().code, Errc::parameter_invalid) << i;
        }
    }
}

TEST(WrappedKeyForm, IsRefusedWhenCutShortOrLonger) {
    const auto stored = encode(a_key());
    for (std::size_t size = 0; size < stored.size(); ++size)
        EXPECT_FALSE(decode_wrapped_key(ByteView{stored}.first(size))) << size;
    auto longer = stored;
    longer.push_back(0);
    EXPECT_FALSE(decode_wrapped_key(longer));
    EXPECT_FALSE(decode_wrapped_key(Bytes(20'000, 1)));
}

TEST(WrappedKeyForm, OfAnotherFormatOrKindIsRefused) {
    auto stored = encode(a_key());
    stored[0] = 2;
    EXPECT_FALSE(decode_wrapped_key(stored));
    stored[0] = 1;
    for (const std::uint8_t kind : {std::uint8_t{0}, std::uint8_t{5}, std::uint8_t{255}}) {
        stored[33] = kind;
        EXPECT_FALSE(decode_wrapped_key(stored)) << int{kind};
    }
}

TEST(WrappedKeyBinding, SaysSomethingElseWhateverChanges) {
    const auto key = a_key();
    std::set<Bytes> seen{bound_bytes(key, anna)};
    const auto size = seen.begin()->size();
    const auto expect_new = [&](const WrappedKey& changed, const KeyOwner& owner, const char* what) {
        const auto bytes = bound_bytes(changed, owner);
        EXPECT_TRUE(seen.insert(bytes).second) << what;
        EXPECT_EQ(bytes.size(), size) << "fields of fixed length: none runs into the next";
    };
    expect_new(key, random_fixed<KeyOwner>(), "owner");
    const auto changed = [&](auto change) {
        auto other = key;
        change(other);
        return other;
    };
    expect_new(changed([](auto& k) { k.kek = random_fixed<CkaId>(); }), anna, "kek");
    expect_new(changed([](auto& k) { k.id = random_fixed<CkaId>(); }), anna, "id");
    expect_new(changed([](auto& k) { std::swap(k.id, k.kek); }), anna, "ids swapped");
    expect_new(changed([](auto& k) { k.kind = KeyKind::p384; }), anna, "kind");
    expect_new(changed([](auto& k) { k.mechanism = CKM_AES_KEY_WRAP; }), anna, "mechanism");
    expect_new(changed([](auto& k) { k.blob.push_back(0); }), anna, "blob");
    expect_new(changed([](auto& k) { k.public_key.pop_back(); }), anna, "public key");
    expect_new(changed([](auto& k) { std::swap(k.blob, k.public_key); }), anna, "blob and public key swapped");
    expect_new(changed([](auto& k) { k.attributes[0].second = "false"; }), anna, "evidence");
    expect_new(changed([](auto& k) { k.attributes.pop_back(); }), anna, "less evidence");
    expect_new(changed([](auto& k) { k.attributes = {{"CKA_LOCALtrue", ""}, {"CKA_SIGN", "true"}}; }), anna,
               "a name that runs into its value");
}

}  // namespace
}  // namespace qscd::hsm
