// application/x-www-form-urlencoded, strictly: each name once, values percent-decoded [RFC 6749, 3.2, appendix B].
// Values may be secrets, so all are kept as such. Thread rules: a value.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace qscd::gateway {

// '+' is a blank. Nothing when a percent sign is not followed by two hex digits, or a NUL appears.
std::optional<SecretBytes> percent_decoded(std::string_view text);

class Form {
public:
    // Errc::body_malformed: a name twice, bad encoding, more than 32 parameters.
    static Result<Form> parse(std::string_view text);
    // Null when absent; a parameter without a value counts as absent [RFC 6749, 3.2].
    const SecretBytes* secret(std::string_view name) const;
    std::optional<std::string> text(std::string_view name) const;

private:
    std::vector<std::pair<std::string, SecretBytes>> parameters_;
};

}  // namespace qscd::gateway
