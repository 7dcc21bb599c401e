#include "qscd/sam/secrets.hpp"

#include <cstdlib>
#include <openssl/hmac.h>

#include "base/diagnostics.hpp"
#include "base/random.hpp"
#include "qscd/sam/core.hpp"

namespace qscd::sam {
namespace {

constexpr std::size_t block_size = Sha256Digest::size, longest_reason = 200;
using Block = std::array<std::uint8_t, block_size>;
enum class Use : std::uint8_t { next_state, given_out };

void derive(Block& out, const SecretBytes& state, Use use, ByteView fresh) {
    std::array<std::uint8_t, 1 + block_size> message{static_cast<std::uint8_t>(use)};
    std::ranges::copy(fresh, message.begin() + 1);
    const auto key = state.reveal();
    if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(), message.size(), out.data(),
             nullptr) == nullptr)
        std::abort();  // a process without randomness stops
    ::explicit_bzero(message.data(), message.size());
}

}  // namespace

Result<void> Secrets::ready() {
    const std::lock_guard one{lock_};
    if (condition_ && left_ > 0) {
        --left_;
        return success();
    }
    auto seed = mixed_.secret(block_size);
    if (!seed) {
        left_ = 0;
        condition_ = seed.error();
        return condition_;
    }
    state_ = std::move(seed.value());
    left_ = flows_ - 1;
    condition_ = success();
    return success();
}

Result<void> Secrets::ready(Core& core, Ledger& ledger) {
    auto outcome = ready();
    if (outcome) {
        if (std::exchange(told_, false)) note("randomness-back");
        return outcome;
    }
    if (std::exchange(told_, true)) return outcome;
    const auto reason = describe(outcome.error()).substr(0, longest_reason);
    note(Level::alarm, "randomness-failed", {{"reason", reason}});
    ledger.record({Event::randomness_failed,
                   "samd",
                   std::nullopt,
                   std::string{name_of(outcome.error().code)},
                   {{"reason", reason}}});
    core.after_commit(
        [this](Ledger&, const Result<void>& committed) { told_ = told_ && committed; });  // else once more
    return outcome;
}

Result<void> Secrets::condition() const {
    const std::lock_guard one{lock_};
    return condition_;
}

void Secrets::fill(std::span<std::uint8_t> out) {
    const std::lock_guard one{lock_};
    if (!state_) std::abort();
    Block fresh, block;
    while (!out.empty()) {
        fill_random(fresh);
        derive(block, *state_, Use::given_out, fresh);
        const auto size = std::min(out.size(), block.size());
        std::ranges::copy(ByteView{block}.first(size), out.begin());
        out = out.subspan(size);
        derive(block, *state_, Use::next_state, fresh);
        state_ = SecretBytes{ByteView{block}};
    }
    ::explicit_bzero(fresh.data(), fresh.size());
    ::explicit_bzero(block.data(), block.size());
}

}  // namespace qscd::sam
