#include "qscd/sam/activation/module_answer.hpp"

namespace qscd::sam {

ModuleAnswer ModuleAnswer::check(Activation activation, std::vector<ModuleOutcome> outcomes, const Verifies& verifies) {
    ModuleAnswer out{std::move(activation)};
    outcomes.push_back({Error{Errc::internal, "the module answered less than it was asked"}, true});
    for (const auto& hash : out.activation_.hashes()) {
        auto& outcome = outcomes[out.signatures_.size()];
        if (!outcome.signature) {
            out.failure_ = outcome.signature.error();
            out.used_ = out.signatures_.size() + (outcome.entered ? 1 : 0);
            return out;
        }
        if (!verifies(hash, outcome.signature.value())) out.verified_ = false;
        out.signatures_.push_back(std::move(outcome.signature.value()));
    }
    out.used_ = out.signatures_.size();
    return out;
}

}  // namespace qscd::sam
