// How we name and reach a person. Thread rules: pure functions.
#pragma once

#include <string>
#include <string_view>

namespace qscd::ca {

bool is_username(std::string_view text);  // [a-z0-9._-]{1,64}
bool is_phone(std::string_view text);     // + and 8 to 15 digits, the first not 0 [E.164]
bool is_email(std::string_view text);     // one @, a dot behind it, printable ASCII without blanks, at most 254

// What two spellings of one mailbox have in common, for uniqueness [AUTHN-26].
std::string email_key(std::string_view email);

}  // namespace qscd::ca
