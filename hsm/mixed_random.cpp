#include "hsm/mixed_random.hpp"

#include <openssl/core_names.h>
#include <openssl/kdf.h>

#include "base/openssl.hpp"
#include "base/random.hpp"
#include "hsm/token.hpp"

namespace qscd::hsm {
namespace {

constexpr std::size_t watched_size = 16, watched_blocks = 2 * MixedRandom::largest / watched_size;
constexpr std::string_view purpose = "qscd/mixed-random/v1";

// Filled by a source, wiped when it dies.
struct Drawn {
    std::array<std::uint8_t, MixedRandom::largest> bytes{};
    Drawn() = default;
    Drawn(const Drawn&) = delete;
    Drawn& operator=(const Drawn&) = delete;
    ~Drawn() { ::explicit_bzero(bytes.data(), bytes.size()); }
};

Result<SecretBytes> mixed(const Drawn& kernel, const Drawn& module, std::size_t size) {
    Drawn out;
    const std::unique_ptr<EVP_KDF, FreeWith<EVP_KDF_free>> kdf{EVP_KDF_fetch(nullptr, "HKDF", nullptr)};
    const std::unique_ptr<EVP_KDF_CTX, FreeWith<EVP_KDF_CTX_free>> derive{EVP_KDF_CTX_new(kdf.get())};
    char hash[] = "SHA256";
    const auto octets = [](const char* name, ByteView bytes) {
        return OSSL_PARAM_construct_octet_string(name, const_cast<std::uint8_t*>(bytes.data()), bytes.size());
    };
    const std::array parameters{OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, hash, 0),
                                octets(OSSL_KDF_PARAM_KEY, module.bytes), octets(OSSL_KDF_PARAM_SALT, kernel.bytes),
                                octets(OSSL_KDF_PARAM_INFO, view_of(purpose)), OSSL_PARAM_construct_end()};
    if (!derive || EVP_KDF_derive(derive.get(), out.bytes.data(), size, parameters.data()) != 1)
        return Error{Errc::internal, "HKDF: " + openssl_reason()};
    return SecretBytes{ByteView{out.bytes}.first(size)};
}

}  // namespace

MixedRandom::MixedRandom(Token& token)
    : MixedRandom(
          [](std::span<std::uint8_t> out) -> Result<void> {
              fill_random(out);
              return success();
          },
          [&token](std::span<std::uint8_t> out) -> Result<void> {
              QSCD_TRY(const auto bytes, token.random(out.size()));
              std::ranges::copy(bytes.reveal(), out.begin());
              return success();
          }) {}

Result<void> MixedRandom::draw(Watched& source, std::span<std::uint8_t> out) {
    QSCD_TRY(source.draw(out));
    for (std::size_t at = 0; at < out.size(); at += watched_size) {
        const auto block = out.subspan(at, watched_size);
        const auto digest = sha256(block);
        if (std::ranges::count(source.recent, digest) != 0 ||
            std::ranges::all_of(block, [&](std::uint8_t each) { return each == block[0]; })) {
            stopped_ = true;
            return Error{Errc::internal, "a source of randomness repeats itself"};
        }
        source.recent.push_back(digest);
        if (source.recent.size() > watched_blocks) source.recent.pop_front();
    }
    return success();
}

Result<SecretBytes> MixedRandom::secret(std::size_t size) {
    if (size == 0 || size > largest) return Error{Errc::parameter_invalid, "random bytes at a time"};
    const std::lock_guard one{lock_};
    if (stopped_) return Error{Errc::internal, "a source of randomness repeated itself: no more secrets are made"};
    Drawn kernel, module;
    QSCD_TRY(draw(sources_[0], kernel.bytes));
    QSCD_TRY(draw(sources_[1], module.bytes));
    if (std::ranges::find_first_of(sources_[0].recent, sources_[1].recent) != sources_[0].recent.end()) {
        stopped_ = true;
        return Error{Errc::internal, "both sources of randomness say the same"};
    }
    return mixed(kernel, module, size);
}

}  // namespace qscd::hsm
