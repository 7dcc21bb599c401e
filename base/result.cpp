#include "base/result.hpp"

#include <array>

namespace qscd {
namespace {

constexpr std::array<std::string_view, 33> names{"body_malformed",
                                                 "parameter_missing",
                                                 "parameter_invalid",
                                                 "oauth_parameter_missing",
                                                 "hashes_empty",
                                                 "hash_not_base64",
                                                 "hash_wrong_length",
                                                 "signature_count_invalid",
                                                 "too_many_signatures",
                                                 "factors_wrong",
                                                 "credential_locked",
                                                 "credential_disabled",
                                                 "certificate_expired",
                                                 "sad_expired",
                                                 "hash_not_authorised",
                                                 "bearer_malformed",
                                                 "bearer_missing",
                                                 "bearer_invalid",
                                                 "bearer_expired",
                                                 "client_authentication_missing",
                                                 "too_many_requests",
                                                 "not_supported",
                                                 "access_denied",
                                                 "paper_refused",
                                                 "configuration",
                                                 "out_of_order",
                                                 "token_away",
                                                 "service_away",
                                                 "store_away",
                                                 "internal",
                                                 "sealed",
                                                 "fenced",
                                                 "key_gone"};
static_assert(names.size() == static_cast<std::size_t>(last_errc));

}  // namespace

std::string_view name_of(Errc code) {
    const auto index = static_cast<std::size_t>(code);
    return index >= 1 && index <= names.size() ? names[index - 1] : "unknown";
}

std::string describe(const Error& error) {
    std::string text{name_of(error.code)};
    if (!error.parameter.name.empty()) text += " (" + error.parameter.name + ")";
    if (!error.detail.empty()) text += ": " + error.detail;
    return text;
}

}  // namespace qscd
