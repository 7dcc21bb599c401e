// A SoftHSM2 token with key pairs as other programs leave them in a token, for programs that use the provider module.
#pragma once

#include "tests/instruments/pkcs11_spy/spied_token.hpp"

namespace qscd::hsm {

struct KeyToken : SpiedToken {
    static constexpr std::string_view pin = "pin-73915";
    // Key pairs "p256", "p384" and "rsa" with both halves, each with one byte as its CKA_ID; "mute", which may not
    // sign; "small", an RSA key of 2048 bits; "ed", an Ed25519 key; and "own", as Token::generate makes it: without a
    // public half.
    explicit KeyToken(const std::string& name);

    std::string uri(const std::string& key, const std::string& more = "") const {
        return "pkcs11:token=signing;object=" + key + more;
    }
    std::filesystem::path pin_file() const { return folder / "pin"; }
    std::filesystem::path own_public_key() const { return folder / "own.pub"; }
};

}  // namespace qscd::hsm
