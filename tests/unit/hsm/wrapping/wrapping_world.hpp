// A SoftHSM2 token behind the spy for the tests of wrapped placement; one for the whole binary.
#pragma once

#include <future>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.hpp"
#include "hsm/session.hpp"
#include "hsm/wrapping/wrapping.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {

inline const KeyOwner anna{std::array<std::uint8_t, 16>{'a', 'n', 'n', 'a'}};
inline const KeyOwner boris{std::array<std::uint8_t, 16>{'b', 'o', 'r', 'i', 's'}};

inline DtbsR hash_of(std::string_view text) {
    return DtbsR::from(HashAlgorithm::sha256, sha256(view_of(text)).bytes()).value();
}
constexpr Scheme usual_scheme(KeyKind kind) { return row_of(kind).elliptic ? Scheme::ecdsa : Scheme::rsa_pkcs1; }

struct WrappingWorld {
    std::unique_ptr<SpiedToken> place;
    std::shared_ptr<Module> module;
    std::unique_ptr<Token> token;
    std::unique_ptr<Wrapping> wrapping;
    std::shared_ptr<KeyObject> binding;
    std::optional<KeyEncryptionKey> kek;

    static WrappingWorld& the();  // made at the binary's start, gone before its end
};

struct WrappingTest : ::testing::Test {
    WrappingWorld& world = WrappingWorld::the();
    SpiedToken& place = *world.place;
    Token& token = *world.token;
    Wrapping& wrapping = *world.wrapping;

    void SetUp() override {
        be_well();
        place.start_counting();
    }
    void TearDown() override { be_well(); }

    void be_well() {
        using namespace std::chrono_literals;
        place.command("");
        const auto deadline = std::chrono::steady_clock::now() + 5s;
        while (!token.reachable() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        ASSERT_TRUE(token.reachable());
    }

    WrappedKey make(KeyKind kind = KeyKind::p256, const KeyOwner& owner = anna) {
        return wrapping.generate(kind, world.kek->id, random_fixed<CkaId>(), owner).value();
    }
    // As if the module had bound it so.
    void bind(WrappedKey& key, const KeyOwner& owner = anna) {
        key.mac = *BindingMac::from(token.hmac(*world.binding, bound_bytes(key, owner)).value());
    }
    static std::vector<Token::Outcome> sign(SigningKey& key, Scheme scheme, std::vector<DtbsR> hashes) {
        std::promise<std::vector<Token::Outcome>> promise;
        auto future = promise.get_future();
        key.sign_all(scheme, std::move(hashes),
                     [&](std::vector<Token::Outcome> outcomes) { promise.set_value(std::move(outcomes)); });
        return future.get();
    }
    // One hash with the key's usual scheme.
    Token::Outcome sign(const WrappedKey& key, const KeyOwner& owner = anna) {
        auto outcomes = sign(*wrapping.signing_key(key, owner), usual_scheme(key.kind), {hash_of("a contract")});
        EXPECT_EQ(outcomes.size(), 1u);
        return std::move(outcomes.front());
    }

    // Of every class, in the token and in any session, by way of a session that made none of them.
    std::size_t objects() {
        std::size_t count = 0;
        EXPECT_TRUE(token.on_session([&](Session& session) -> Result<void> {
            QSCD_TRY(auto found, session.search({}));
            count = found.size();
            return success();
        }));
        return count;
    }
    std::size_t calls(std::string_view function) { return spy::count(place.calls(), function); }
};

}  // namespace qscd::hsm
