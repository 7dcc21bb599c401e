// The keys of the issuing CAs where they live: in the token qscd-ca, opened when first needed and again when it was
// away.
// Thread rules: safe from every thread; a call may wait for the module.
#pragma once

#include "ca/issuing/issuing.hpp"
#include "hsm/token.hpp"

namespace qscd::ca {

struct CaTokenSettings {
    hsm::ModuleSettings module;
    std::string label;
    std::function<Result<SecretBytes>()> pin;  // asked for at each opening, so that it is kept by the token alone
};

class CaToken {
public:
    CaToken(CaTokenSettings settings, const Hierarchy& hierarchy)
        : settings_(std::move(settings)), hierarchy_(hierarchy) {}

    // Errc::token_away: later may help. Errc::configuration: the module, the PIN or the key is not as the deployment
    // says; a wrong PIN is never tried again.
    Result<std::shared_ptr<EVP_PKEY>> key_of(const Authority& authority);

    // Opens the token when that has not been done yet.
    bool reachable();

private:
    Result<void> open();
    Result<std::shared_ptr<EVP_PKEY>> load_key(const Authority& authority);
    CaTokenSettings settings_;
    const Hierarchy& hierarchy_;
    std::mutex lock_;
    std::optional<Error> given_up_;
    std::shared_ptr<hsm::Module> module_;
    std::shared_ptr<hsm::Token> token_;
    std::map<std::string_view, std::shared_ptr<EVP_PKEY>> keys_;
};

}  // namespace qscd::ca
