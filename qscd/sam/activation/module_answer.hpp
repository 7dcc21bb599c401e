// What the module made of an activation, each signature checked before anybody may look at it [QSCD-25] [QSCD-26].
// Thread rules: a value; check() runs wherever the module's answer arrives.
#pragma once

#include <functional>
#include <optional>

#include "qscd/sam/activation/activation.hpp"
#include "qscd/sam/activation/requests.hpp"

namespace qscd::sam {

// Of one C_Sign. `entered`: from then on the outcome counts as used, whatever came back.
struct ModuleOutcome {
    Result<Bytes> signature;
    bool entered;
};

class ModuleAnswer {
public:
    // Is this a signature over this hash by the certified key?
    using Verifies = std::function<bool(const DtbsR&, ByteView signature)>;

    // Consumes the activation. `outcomes` in the order of its hashes, up to the first failure. Fewer without a failure:
    // the rest is unknown.
    static ModuleAnswer check(Activation activation, std::vector<ModuleOutcome> outcomes, const Verifies& verifies);

    const Activation& activation() const { return activation_; }
    bool verified() const { return verified_; }                      // all that came back
    const SignatureList& signatures() const { return signatures_; }  // up to the failure
    const std::optional<Error>& failure() const { return failure_; }
    // The first so many occurrences count as used.
    std::size_t used() const { return used_; }
    bool outcome_unknown() const { return used_ > signatures_.size(); }

private:
    explicit ModuleAnswer(Activation activation) : activation_(std::move(activation)) {}
    Activation activation_;
    bool verified_ = true;
    SignatureList signatures_;
    std::optional<Error> failure_;
    std::size_t used_ = 0;
};

}  // namespace qscd::sam
