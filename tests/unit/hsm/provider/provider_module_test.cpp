// The provider as a module of this process: loaded and unloaded, in threads, forks and exits, beside the built-in one.
// A real SoftHSM2 token, the spy before it. [QSCD-22]
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <sys/wait.h>
#include <thread>

#include "hsm/provider/tables.hpp"
#include "key_token.hpp"
#include "software_key.hpp"

namespace qscd::hsm {
namespace {

const Bytes message = bytes_of("the quick brown fox");

// An OpenSSL context of its own with both providers in it.
class Loaded {
public:
    Loaded() {
        OSSL_PROVIDER_set_default_search_path(context_, QSCD_PROVIDER_FOLDER);
        usual_ = OSSL_PROVIDER_load(context_, "default");
        ours_ = OSSL_PROVIDER_load(context_, "qscd-pkcs11");
        EXPECT_NE(ours_, nullptr) << openssl_reason();
    }
    ~Loaded() {
        unload();
        OSSL_LIB_CTX_free(context_);
    }
    Loaded(const Loaded&) = delete;
    Loaded& operator=(const Loaded&) = delete;
    void unload() {
        if (ours_ != nullptr) OSSL_PROVIDER_unload(std::exchange(ours_, nullptr));
        if (usual_ != nullptr) OSSL_PROVIDER_unload(std::exchange(usual_, nullptr));
    }
    OSSL_LIB_CTX* context() const { return context_; }

    EvpPkey key(const std::string& uri) const {
        EvpPkey out;
        OSSL_STORE_CTX* store = OSSL_STORE_open_ex(uri.c_str(), context_, nullptr, nullptr, nullptr, nullptr, nullptr,
                                                   nullptr);
        if (store == nullptr) return out;
        if (OSSL_STORE_INFO* found = OSSL_STORE_load(store)) {
            out.reset(OSSL_STORE_INFO_get1_PKEY(found));
            OSSL_STORE_INFO_free(found);
        }
        EXPECT_EQ(OSSL_STORE_eof(store), 1);
        OSSL_STORE_close(store);
        return out;
    }
    EvpMdCtx begun(EVP_PKEY& key) const {
        EvpMdCtx out{EVP_MD_CTX_new()};
        EXPECT_EQ(EVP_DigestSignInit_ex(out.get(), nullptr, "SHA256", context_, nullptr, &key, nullptr), 1);
        return out;
    }
    Bytes sign(EVP_PKEY& key) const { return finished(*begun(key)); }
    static Bytes finished(EVP_MD_CTX& context) {
        Bytes out(512);
        auto size = out.size();
        if (EVP_DigestSign(&context, out.data(), &size, message.data(), message.size()) != 1) return {};
        out.resize(size);
        return out;
    }

private:
    OSSL_LIB_CTX* context_ = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *usual_ = nullptr, *ours_ = nullptr;
};

// Under the public half, by a context that knows nothing of the provider.
bool good(const EVP_PKEY& key, const Bytes& signature) {
    const auto plain = public_key_from_der(der_of(key, i2d_PUBKEY));
    return plain && verify_message(*plain.value(), message, signature);
}

struct ProviderModule : ::testing::Test {
    static void SetUpTestSuite() {
        token = new KeyToken{"provider-module"};
        ::setenv("QSCD_PKCS11_MODULE", QSCD_SPY_LIBRARY, 1);
        ::setenv("QSCD_PKCS11_PIN_SOURCE", token->pin_file().c_str(), 1);
    }
    static void TearDownTestSuite() { delete std::exchange(token, nullptr); }
    void SetUp() override {
        token->command("");
        if (std::filesystem::exists(token->log())) token->start_counting();
        ERR_clear_error();
    }
    static std::size_t calls(std::string_view function) { return spy::count(token->calls(), function); }
    static std::size_t calls_of(::pid_t process, std::string_view function) {
        auto all = token->calls();
        std::erase_if(all, [&](const spy::Call& call) { return call["pid"] != std::to_string(process); });
        return spy::count(all, function);
    }
    // Runs in a forked child and answers its exit status; the child has no business with the test's end.
    static int in_child(const std::function<int()>& job, ::pid_t* process = nullptr) {
        const ::pid_t child = ::fork();
        if (child == 0) ::_exit(job());
        if (process != nullptr) *process = child;
        int status = 0;
        ::waitpid(child, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    static inline KeyToken* token = nullptr;  // a child that exits must not take it along
};

TEST_F(ProviderModule, IsLoadedAndUnloadedAgainAndAgain) {
    for (int i = 0; i < 20; ++i) const Loaded loaded;
    EXPECT_EQ(calls("C_Initialize"), 0U);  // no token was named
    for (int i = 0; i < 3; ++i) {
        const Loaded loaded;
        const auto key = loaded.key(token->uri("p256"));
        ASSERT_TRUE(key) << openssl_reason();
        EXPECT_TRUE(good(*key, loaded.sign(*key)));
    }
    EXPECT_EQ(calls("C_Initialize"), 3U);
    EXPECT_EQ(calls("C_Finalize"), 3U);
}

TEST_F(ProviderModule, OpensATokenOnceAndFinalisesWithItsLastKey) {
    const Loaded loaded;
    auto first = loaded.key(token->uri("p256")), second = loaded.key(token->uri("rsa"));
    ASSERT_TRUE(first && second) << openssl_reason();
    EXPECT_EQ(calls("C_Initialize"), 1U);
    EXPECT_EQ(calls("C_Login"), 1U);
    first.reset();
    EXPECT_EQ(calls("C_Finalize"), 0U);
    EXPECT_TRUE(good(*second, loaded.sign(*second)));
    second.reset();
    EXPECT_EQ(calls("C_Finalize"), 1U);
}

TEST_F(ProviderModule, AKeyOutlivesTheUnloadingOfItsProvider) {
    Loaded loaded;
    const auto key = loaded.key(token->uri("p384"));
    ASSERT_TRUE(key) << openssl_reason();
    loaded.unload();
    EXPECT_STREQ(OSSL_PROVIDER_get0_name(EVP_PKEY_get0_provider(key.get())), "qscd-pkcs11");
    EXPECT_EQ(EVP_PKEY_get_bits(key.get()), 384);
}

// Two contexts, one library: the second neither initialises it again nor finalises it under the first.
TEST_F(ProviderModule, TwoContextsShareTheTokenOfTheProcess) {
    const Loaded one;
    const auto key = one.key(token->uri("p256"));
    {
        const Loaded other;
        const auto again = other.key(token->uri("p256"));
        ASSERT_TRUE(key && again);
        EXPECT_TRUE(good(*again, other.sign(*again)));
    }
    EXPECT_TRUE(good(*key, one.sign(*key)));
    EXPECT_EQ(calls("C_Initialize"), 1U);
    EXPECT_EQ(calls("C_Finalize"), 0U);
}

// A context of OpenSSL's outlives a session: the session is found lost when the signature is made, and only then.
TEST_F(ProviderModule, QSCD_22_ASessionLostAfterInitCostsNoSignature) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256"));
    ASSERT_TRUE(key);
    for (const auto* lost : {"0xb3", "0xb0", "0x101", "0x82", "0x60"}) {  // session, login and handle, each gone
        const auto context = loaded.begun(*key);
        token->start_counting();
        token->command(std::string{"C_SignInit 1 "} + lost + "\n");
        EXPECT_TRUE(good(*key, Loaded::finished(*context))) << lost;
        EXPECT_EQ(calls("C_SignInit"), 2U) << lost;
        EXPECT_EQ(calls("C_Sign-entered"), 1U) << lost;
    }
}

TEST_F(ProviderModule, QSCD_22_NothingIsRepeatedOnceCSignWasEntered) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256"));
    ASSERT_TRUE(key);
    for (const auto* code : {"0xb3", "0x101", "0x30", "0x5"}) {
        token->start_counting();
        token->command(std::string{"C_Sign 1 "} + code + "\n");
        ERR_clear_error();
        EXPECT_TRUE(loaded.sign(*key).empty()) << code;
        EXPECT_EQ(calls("C_Sign-entered"), 1U) << code;
        const char* text = nullptr;
        int flags = 0;
        ERR_peek_last_error_data(&text, &flags);
        EXPECT_THAT(text, ::testing::HasSubstr(std::string{"C_Sign answered "} + code));
        EXPECT_STREQ(ERR_lib_error_string(ERR_peek_last_error()), "qscd-pkcs11");
        EXPECT_NE(ERR_reason_error_string(ERR_peek_last_error()), nullptr);
        EXPECT_TRUE(good(*key, loaded.sign(*key))) << code;  // the next one is a new one
    }
}

TEST_F(ProviderModule, AnErrorThatLastsEndsAfterTheSecondTry) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256"));
    ASSERT_TRUE(key);
    token->start_counting();
    token->command("C_SignInit 1+ 0xb3\n");
    EXPECT_TRUE(loaded.sign(*key).empty());
    EXPECT_EQ(calls("C_SignInit"), 2U);
    EXPECT_EQ(calls("C_Sign-entered"), 0U);
}

TEST_F(ProviderModule, APinThatWasRefusedIsNotShownAgain) {
    const Loaded loaded;
    (void)write_file(token->folder / "wrong-pin", "pin-00000", 0600).value();
    const auto uri = token->uri("p256", "?pin-source=" + (token->folder / "wrong-pin").string());
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(loaded.key(uri));
    EXPECT_EQ(calls("C_Login"), 1U);
    EXPECT_TRUE(loaded.key(token->uri("p256")));  // the right one is another
}

TEST_F(ProviderModule, SignsOnManyThreadsAtOnce) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256")), other = loaded.key(token->uri("rsa"));
    ASSERT_TRUE(key && other);
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread)
        threads.emplace_back([&] {
            for (int i = 0; i < 6; ++i) {
                auto& one = i % 3 == 0 ? *other : *key;
                EXPECT_TRUE(good(one, loaded.sign(one)));
            }
        });
    threads.clear();
    EXPECT_EQ(calls("C_Login"), calls("C_OpenSession"));  // each session asks, all but the first are told "already"
}

// ---------------------------------------------------------------------------------------------- forks and exits

TEST_F(ProviderModule, AForkedChildOpensItsOwnAndTheParentGoesOn) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256"));
    ASSERT_TRUE(key);
    ASSERT_TRUE(good(*key, loaded.sign(*key)));
    ::pid_t child = 0;
    EXPECT_EQ(in_child(
                  [&] {
                      if (!good(*key, loaded.sign(*key))) return 1;
                      const auto another = loaded.key(token->uri("p384"));
                      return another ? 0 : 2;
                  },
                  &child),
              0);
    EXPECT_EQ(calls_of(child, "C_Initialize"), 1U);
    EXPECT_EQ(calls_of(child, "C_CloseSession"), 0U);  // the parent's sessions are the parent's
    EXPECT_TRUE(good(*key, loaded.sign(*key)));
    EXPECT_EQ(calls_of(::getpid(), "C_Initialize"), 1U);
}

TEST_F(ProviderModule, AGrandchildOpensItsOwnToo) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256"));
    ASSERT_TRUE(key);
    EXPECT_EQ(in_child([&] { return in_child([&] { return good(*key, loaded.sign(*key)) ? 0 : 1; }); }), 0);
}

TEST_F(ProviderModule, AForkWaitsForASignatureThatIsInTheModule) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256"));
    ASSERT_TRUE(key);
    token->command("delay C_Sign 200\n");
    std::jthread signer{[&] { EXPECT_TRUE(good(*key, loaded.sign(*key))); }};
    while (calls("C_Sign-entered") == 0) std::this_thread::yield();
    EXPECT_EQ(in_child([&] { return good(*key, loaded.sign(*key)) ? 0 : 1; }), 0);
}

TEST_F(ProviderModule, AnExitWithAKeyInHandFinalisesTheModule) {
    ::pid_t child = 0;
    const auto status = in_child(
        [&]() -> int {
            static const Loaded* const loaded = new Loaded;
            static EVP_PKEY* const key = loaded->key(token->uri("p256")).release();
            std::exit(key != nullptr && good(*key, loaded->sign(*key)) ? 0 : 1);
        },
        &child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(calls_of(child, "C_Initialize"), 1U);
    EXPECT_EQ(calls_of(child, "C_Finalize"), 1U);
}

// ---------------------------------------------------------------------------------------------- other providers

// Preferred by everybody who names none: what it does not do itself goes back to the default one.
TEST_F(ProviderModule, BreaksNoVerificationWherePropertiesPreferIt) {
    const Loaded loaded;
    const auto key = loaded.key(token->uri("p256"));
    ASSERT_TRUE(key);
    const auto signature = loaded.sign(*key);
    const auto spki = der_of(*key, i2d_PUBKEY);
    ASSERT_EQ(EVP_set_default_properties(loaded.context(), "?provider=qscd-pkcs11"), 1);
    const auto* at = spki.data();
    const EvpPkey plain{d2i_PUBKEY_ex(nullptr, &at, static_cast<long>(spki.size()), loaded.context(), nullptr)};
    const EvpMdCtx context{EVP_MD_CTX_new()};
    ASSERT_EQ(
        EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", loaded.context(), nullptr, plain.get(), nullptr), 1);
    EXPECT_EQ(EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size()), 1);
    EXPECT_EQ(EVP_PKEY_eq(plain.get(), key.get()), 1);
    EXPECT_TRUE(good(*key, loaded.sign(*key)));
}

TEST_F(ProviderModule, StandsBesideTheBuiltInOne) {
    EXPECT_EQ(in_child([] {
                  const Loaded loaded;
                  const auto key = loaded.key(token->uri("p256"));
                  if (!key || !load_provider()) return 1;
                  const auto built_in = token_key(KeyKind::p384);
                  const auto signature = sign_message(*built_in, message);
                  if (!signature || !verify_message(*public_key(KeyKind::p384), message, signature.value())) return 2;
                  return good(*key, loaded.sign(*key)) ? 0 : 3;
              }),
              0);
}

// A daemon of ours never signs through a module that somebody's openssl.cnf brought in under our name.
TEST_F(ProviderModule, TheBuiltInOneRefusesAModuleOfItsNameInItsPlace) {
    EXPECT_EQ(in_child([] {
                  OSSL_PROVIDER_set_default_search_path(nullptr, QSCD_PROVIDER_FOLDER);
                  if (OSSL_PROVIDER_load(nullptr, "qscd-pkcs11") == nullptr) return 1;
                  const auto refused = load_provider();
                  return !refused && refused.error().code == Errc::configuration ? 0 : 2;
              }),
              0);
}

TEST_F(ProviderModule, TakesNoKeyFromMakeEvpPkey) {
    const Loaded loaded;
    const auto plain = public_key(KeyKind::p256);
    provider::Handover handover{std::make_shared<const ProviderKey>(provider_key(KeyKind::p256)), plain.get()};
    std::array parameters{
        OSSL_PARAM_construct_octet_string(provider::handover_parameter, &handover, sizeof handover),
        OSSL_PARAM_construct_end(),
    };
    const EvpPkeyCtx context{EVP_PKEY_CTX_new_from_name(loaded.context(), "EC", "provider=qscd-pkcs11")};
    EVP_PKEY* out = nullptr;
    ASSERT_EQ(EVP_PKEY_fromdata_init(context.get()), 1);
    EXPECT_NE(EVP_PKEY_fromdata(context.get(), &out, EVP_PKEY_KEYPAIR, parameters.data()), 1);
}

}  // namespace
}  // namespace qscd::hsm
