// Several tokens at once, of two modules and of one: when one goes away, what has nothing to do with it must not notice.
// [QSCD-21] Two modules are two copies of SoftHSM2, each behind a spy of its own.
#include <gtest/gtest.h>
#include <thread>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

DtbsR hash() { return DtbsR::from(HashAlgorithm::sha256, sha256(view_of("a contract")).bytes()).value(); }

// Signs without a pause, in two threads, until it is stopped.
class Load {
public:
    Load(Token& token, const GeneratedKey& key) : token_(&token), key_(&key) {
        for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { run(); });
    }
    ~Load() { stop(); }
    void stop() {
        stop_ = true;
        for (auto& thread : threads_)
            if (thread.joinable()) thread.join();
    }
    void wait_for_more(unsigned long signatures) const {
        const auto wanted = signatures_ + signatures;
        while (signatures_ < wanted) std::this_thread::yield();
    }
    unsigned long signatures() const { return signatures_; }
    unsigned long errors() const { return errors_; }

private:
    void run() {
        const auto key = public_key_from_der(key_->public_key).value();
        while (!stop_) {
            const auto outcome = token_->sign(*key_->key, Scheme::ecdsa, hash());
            const EvpPkeyCtx context{EVP_PKEY_CTX_new(key.get(), nullptr)};
            const bool good = outcome.signature && EVP_PKEY_verify_init(context.get()) == 1 &&
                              EVP_PKEY_verify(context.get(), outcome.signature.value().data(),
                                              outcome.signature.value().size(), hash().bytes().data(), 32) == 1;
            ++(good ? signatures_ : errors_);
            if (!good) std::this_thread::yield();
        }
    }
    Token* token_;
    const GeneratedKey* key_;
    std::atomic<bool> stop_ = false;
    std::atomic<unsigned long> signatures_ = 0, errors_ = 0;
    std::vector<std::thread> threads_;
};

struct Place {
    explicit Place(const std::string& name)
        : files(name), module(files.load_own().value()), spy(files.own_spy()), folder_of_first(make("first")) {}
    fs::path make(const std::string& label) {
        std::vector<fs::path> before;
        for (const auto& entry : fs::directory_iterator{files.tokens()}) before.push_back(entry.path());
        EXPECT_TRUE(SoftToken::initialise(*module, label));
        for (const auto& entry : fs::directory_iterator{files.tokens()})
            if (std::ranges::count(before, entry.path()) == 0) return entry.path();
        return {};
    }
    SpiedToken files;
    std::shared_ptr<Module> module;
    spy::Instance spy;
    fs::path folder_of_first;
};

GeneratedKey key_in(Token& token) { return token.generate(KeyKind::p256, random_fixed<CkaId>(), "x").value(); }

TEST(TwoModules, QSCD_21_OneFailsUnderLoadAndTheOtherHasNoError) {
    Place failing{"failing"}, healthy{"healthy"};
    const auto one = SoftToken::open(failing.module, "first").value(),
               two = SoftToken::open(healthy.module, "first").value();
    const auto key_of_one = key_in(*one), key_of_two = key_in(*two);
    Load load_on_one{*one, key_of_one}, load_on_two{*two, key_of_two};
    for (int round = 0; round < 5; ++round) {
        load_on_one.wait_for_more(20);
        failing.spy.command("* 1+ 0x32\n");  // CKR_DEVICE_REMOVED
        while (one->reachable()) std::this_thread::yield();
        load_on_two.wait_for_more(200);
        failing.spy.command("");
        EXPECT_TRUE(one->wait_until_reachable(2s));
    }
    load_on_one.wait_for_more(20);
    load_on_one.stop();
    load_on_two.stop();
    EXPECT_GT(load_on_one.errors(), 0u);
    EXPECT_EQ(load_on_two.errors(), 0u);
    EXPECT_GE(failing.spy.calls("C_Initialize"), 2u) << "it was begun anew";
    EXPECT_EQ(healthy.spy.calls("C_Initialize"), 1u) << "and the other was not";
    EXPECT_EQ(healthy.spy.calls("C_Finalize"), 0u);
    EXPECT_LE(healthy.spy.open_sessions(), 3u);
    EXPECT_EQ(two->counters().failures, 0u);
}

TEST(TwoModules, EachKeepsItsOwnSettingsWhenItBeginsAnew) {
    Place one{"settings-1"}, two{"settings-2"};
    ASSERT_TRUE(SoftToken::initialise(*two.module, "only here"));
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(one.module->reinitialise());
        ASSERT_TRUE(two.module->reinitialise());
        EXPECT_EQ(one.module->tokens().value().size(), 1u);
        EXPECT_EQ(two.module->tokens().value().size(), 2u);
    }
}

// SoftHSM2 finds a token that came back only when the whole module begins anew: the other token loses its sessions and
// logs in again, and nobody who asks it is told of that.
TEST(OneModule, QSCD_21_ATokenThatGoesAndComesBackCostsItsNeighboursNoError) {
    Place place{"neighbours"};
    place.make("second");
    const auto one = SoftToken::open(place.module, "first").value(),
               two = SoftToken::open(place.module, "second").value();
    const auto key_of_one = key_in(*one), key_of_two = key_in(*two);
    const auto away = place.files.folder / "away";
    Load load{*two, key_of_two};
    for (int round = 0; round < 5; ++round) {
        load.wait_for_more(20);
        fs::rename(place.folder_of_first, away);
        while (one->sign(*key_of_one.key, Scheme::ecdsa, hash()).signature) std::this_thread::yield();
        load.wait_for_more(200);
        EXPECT_EQ(one->sign(*key_of_one.key, Scheme::ecdsa, hash()).signature.error().code, Errc::token_away);
        fs::rename(away, place.folder_of_first);
        EXPECT_TRUE(one->wait_until_reachable(2s));
        EXPECT_TRUE(one->sign(*key_of_one.key, Scheme::ecdsa, hash()).signature);
    }
    load.stop();
    EXPECT_EQ(load.errors(), 0u);
    EXPECT_EQ(two->counters().failures, 0u);
}

}  // namespace
}  // namespace qscd::hsm
