// STORE of the provider module: keys by `pkcs11:` URI [RFC 7512] [provider-storemgmt(7)]. Not a public header.
// Thread rules: as OpenSSL uses a store, one thread each.
#pragma once

#include "hsm/provider/open_token.hpp"
#include "hsm/provider/tables.hpp"

namespace qscd::hsm::provider {

// What the module knows of its process: OpenSSL's configuration first, the environment only where that is silent.
struct ModuleProvider {
    Surroundings surroundings;       // first: KEYMGMT and SIGNATURE see a Surroundings
    OSSL_PROVIDER* usual = nullptr;  // the default one in there
    ModuleSettings settings;
    std::string pin_source;  // of every token whose URI has none
};

const OSSL_ALGORITHM* stores();

// A private key in a token as OpenSSL's key, or a public one without a signer. Reads the public half from the token:
// the private object, the public object of the same CKA_ID, a certificate of the same CKA_ID, or the file that the URI
// names. Errc::not_supported for a key that cannot sign or is not of one of our kinds.
Result<SharedKey> load_key(const ModuleProvider& provider, const KeyUri& uri, bool public_only, const AskPin& ask);

// The PIN's file: "file:/path" or "/path"; a regular file that others can neither read nor write. One line.
Result<SecretBytes> pin_from(const std::string& source);

}  // namespace qscd::hsm::provider
