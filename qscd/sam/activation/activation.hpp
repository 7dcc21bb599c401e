// The proof that the signer's activation data was right for exactly these hashes on exactly this credential. SadVerifier
// alone makes one, from a SAD token; signing consumes it [SAM-01] [SAM-15]. Thread rules: a value, moved along.
#pragma once

#include <vector>

#include "base/identifier.hpp"
#include "base/key_kind.hpp"

namespace qscd::sam {

class Activation {
public:
    Activation(Activation&&) = default;
    Activation& operator=(Activation&&) = default;
    Activation(const Activation&) = delete;
    const CredentialId& credential() const { return credential_; }
    const Sha256Digest& sad() const { return sad_; }  // the digest of the SAD token
    const std::vector<DtbsR>& hashes() const { return hashes_; }
    Scheme scheme() const { return scheme_; }

private:
    friend class SadVerifier;
    Activation(CredentialId credential, Sha256Digest sad, std::vector<DtbsR> hashes, Scheme scheme)
        : credential_(credential), sad_(sad), hashes_(std::move(hashes)), scheme_(scheme) {}
    CredentialId credential_;
    Sha256Digest sad_;
    std::vector<DtbsR> hashes_;
    Scheme scheme_;
};

}  // namespace qscd::sam
