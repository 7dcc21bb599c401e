// What a `pkcs11:` URI names [RFC 7512], as p11-kit reads it, and what we take from it. Inside of the provider module:
// not a public header. Thread rules: values.
#pragma once

#include <memory>
#include <optional>
#include <p11-kit/pkcs11.h>
#include <p11-kit/uri.h>
#include <string>
#include <vector>

#include "base/openssl.hpp"

namespace qscd::hsm::provider {

// A slot with a token in it, as its module describes both.
struct Place {
    CK_SLOT_ID slot = 0;
    CK_INFO library{};
    CK_SLOT_INFO about_slot{};
    CK_TOKEN_INFO token{};
};

class KeyUri {
public:
    // Errc::configuration for what p11-kit cannot read, for an attribute it does not know, and for what is refused: a
    // URI comes with an application's data, so it may not name the code to load (module-path, module-name); it stands
    // in process lists and logs, so it may not hold the PIN (pin-value). The error never repeats the URI.
    static Result<KeyUri> parse(const std::string& text);

    bool matches(const Place& place) const;
    const std::optional<CK_OBJECT_CLASS>& object_class() const { return object_class_; }
    const std::optional<Bytes>& label() const { return label_; }
    const std::optional<Bytes>& id() const { return id_; }
    const std::optional<std::string>& pin_source() const { return pin_source_; }       // a path, or file:path
    const std::optional<std::string>& public_key() const { return public_key_file_; }  // ?qscd-public-key=: a path

    std::string token_for_people() const;   // "token x", or "any token"
    std::string object_for_people() const;  // "private key labelled x with CKA_ID 01"

private:
    std::shared_ptr<P11KitUri> uri_;
    std::optional<CK_OBJECT_CLASS> object_class_;
    std::optional<Bytes> label_, id_;
    std::optional<std::string> pin_source_, public_key_file_;
};

}  // namespace qscd::hsm::provider
