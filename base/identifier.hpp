// The names of things. Random 16-byte identifiers are never reused; their text form is 32 hex digits. ClientId is the
// OAuth client_id, chosen by the operator. Thread rules: values.
#pragma once

#include <string>

#include "base/digest.hpp"

namespace qscd {

using CredentialId = FixedBytes<struct CredentialTag, 16>;  // CSC's credentialID
using SignerId = FixedBytes<struct SignerTag, 16>;          // pseudonym; the person stands in rad's accounts only
using DeviceId = FixedBytes<struct DeviceTag, 16>;          // a phone number or an authenticator app of one signer
using EnrolmentId = FixedBytes<struct EnrolmentTag, 16>;    // one request for one credential: ties the papers together
using CkaId = FixedBytes<struct CkaTag, 16>;                // CKA_ID of a token key
using RequestId = FixedBytes<struct RequestTag, 16>;        // one HTTP request, one command: see request_id.hpp
using Nonce = FixedBytes<struct NonceTag, 32>;

// OAuth client_id: 1 to 64 characters of [A-Za-z0-9._-].
class ClientId {
public:
    static Result<ClientId> from(std::string_view text) {
        const auto good = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
                   c == '-';
        };
        if (text.empty() || text.size() > 64 || !std::ranges::all_of(text, good))
            return Error{Errc::parameter_invalid, "client_id", {"string", "client_id"}};
        return ClientId{std::string{text}};
    }
    const std::string& text() const { return text_; }
    auto operator<=>(const ClientId&) const = default;

private:
    explicit ClientId(std::string text) : text_(std::move(text)) {}
    std::string text_;
};

}  // namespace qscd
