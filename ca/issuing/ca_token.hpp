// The keys of the issuing CAs where they live: in the token qscd-ca, found when first needed.
// Thread rules: safe from every thread; a call may wait for the module.
#pragma once

#include "ca/issuing/issuing.hpp"
#include "hsm/token.hpp"

namespace qscd::ca {

class CaToken {
public:
    CaToken(std::shared_ptr<hsm::Token> token, const Hierarchy& hierarchy)
        : token_(std::move(token)), hierarchy_(hierarchy) {}

    // Errc::token_away: later may help. Errc::configuration: the token has not the key that the deployment says.
    Result<std::shared_ptr<EVP_PKEY>> key_of(const Authority& authority);
    bool reachable() const { return token_->reachable(); }

private:
    Result<std::shared_ptr<EVP_PKEY>> load_key(const Authority& authority);
    std::shared_ptr<hsm::Token> token_;
    const Hierarchy& hierarchy_;
    std::mutex lock_;
    std::map<std::string_view, std::shared_ptr<EVP_PKEY>> keys_;
};

}  // namespace qscd::ca
