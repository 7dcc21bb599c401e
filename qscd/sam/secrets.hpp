// Where samd's secrets come from: codes, nonces, SAD tokens, app secrets, PIN salts, the key of its process. [QSCD-24]
//
// A seed is drawn from the module's generator and the kernel's, each watched (hsm/mixed_random.hpp), and serves for some
// flows, not for one: asking a module costs a round trip, and the core's thread must not wait for one with every signature.
// Between seeds each 32 bytes come of HMAC-SHA-256 under a state that began with the seed, over fresh bytes of the kernel;
// the state is replaced each time, so what was given out cannot be computed again from what is kept.
//
// No seed, no secret: when a source fails or repeats itself, ready() refuses, and whoever asked is refused with it; the log
// has a record, the operator an alarm, health the reason. There is no way around. What stopped for good is good again only
// in a new process.
//
// Not from here: what is no secret. The salts of records, the nonces of seals, ids and serial numbers need to be new, not
// hidden, and keys the module makes itself. rad and cad draw only such: papers are bound by signatures, not by ids that
// nobody guesses. gatewayd's access tokens are the kernel's: it reaches no module, and no token of its signs anything alone.
// Thread rules: safe from every thread; ready() with a ledger inside a step of the core.
#pragma once

#include "hsm/mixed_random.hpp"
#include "qscd/sam/activation/random.hpp"

namespace qscd::sam {

class Core;
class Ledger;

class Secrets {
public:
    using Source = hsm::MixedRandom::Source;
    static constexpr unsigned flows_a_seed = 64;

    // The kernel's generator and `token`'s, which must outlive this.
    explicit Secrets(hsm::Token& token, unsigned flows = flows_a_seed) : mixed_(token), flows_(flows) {}
    Secrets(Source kernel, Source module, unsigned flows = flows_a_seed)
        : mixed_(std::move(kernel), std::move(module)), flows_(flows) {}

    // Ask before each flow, or step of one, that draws. Errc::internal: a source repeats itself, from then on always;
    // Errc::token_away and what else a source answers when it fails: until it is back.
    Result<void> ready();
    // The same; what fails and what is good again goes on record and to the operator, once.
    Result<void> ready(Core& core, Ledger& ledger);
    // As the last ready() saw it.
    Result<void> condition() const;

    // Never fails; ends the process when no ready() was good before.
    const Random& random() const { return random_; }

private:
    void fill(std::span<std::uint8_t> out);

    mutable std::mutex lock_;
    hsm::MixedRandom mixed_;
    const unsigned flows_;
    unsigned left_ = 0;  // flows that the seed is still good for
    std::optional<SecretBytes> state_;
    Result<void> condition_ = success();
    bool told_ = false;  // that it fails; the core's thread alone
    const Random random_ = [this](std::span<std::uint8_t> out) { fill(out); };
};

}  // namespace qscd::sam
