// Secrets from two generators, so that neither is trusted alone: the kernel's and the module's, mixed by HKDF-SHA-256.
// Whoever knows or steers one of them learns nothing of what comes out. [QSCD-24] [RFC 5869]
//
// Each source is watched by itself before it is mixed, since a mixture hides a source that stopped: 16 bytes that are all
// the same, or the same as others of this draw or the one before, or the same from both sources, stop generation for
// good. A sound source does that less than once in 2^120 draws. This finds a generator that died, not one that is weak.
//
// Thread rules: safe from every thread; a call waits for both sources.
#pragma once

#include <deque>
#include <functional>
#include <mutex>

#include "base/digest.hpp"
#include "base/secret.hpp"

namespace qscd::hsm {

class Token;

class MixedRandom {
public:
    // Fills all of `out`, or fails.
    using Source = std::function<Result<void>(std::span<std::uint8_t> out)>;
    static constexpr std::size_t largest = 64;  // bytes a call: no more than what each source gives

    MixedRandom(Source kernel, Source module) : sources_{Watched{std::move(kernel)}, Watched{std::move(module)}} {}
    // The kernel's generator and `token`'s, which must outlive this.
    explicit MixedRandom(Token& token);

    // 1 to `largest` bytes. Errc::internal when a source repeats itself, from then on always; what a source answers when
    // it fails (Errc::token_away), and then generation may go on later. Errc::parameter_invalid for the size.
    Result<SecretBytes> secret(std::size_t size);

    template <class Fixed>
    Result<Fixed> fixed() {
        QSCD_TRY(auto bytes, secret(Fixed::size));
        return *Fixed::from(bytes.reveal());
    }

private:
    struct Watched {
        Source draw;
        std::deque<Sha256Digest> recent = {};  // of 16 bytes each: what was drawn is not kept
    };
    Result<void> draw(Watched& source, std::span<std::uint8_t> out);

    std::mutex lock_;
    std::array<Watched, 2> sources_;
    bool stopped_ = false;
};

}  // namespace qscd::hsm
