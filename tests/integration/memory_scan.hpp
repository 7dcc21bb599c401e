// Looks through the memory of a running process, as an attacker with a dump of it would. Root's, or whoever may trace
// the process. Thread rules: one thread.
#pragma once

#include <iosfwd>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"

namespace qscd::integration {

// A secret in each form that it may lie in memory as. Forms shorter than 16 bytes count as whole words only: six digits
// stand in many numbers.
struct Canary {
    std::string name;
    std::vector<std::string> forms;
};
Canary as_text(std::string name, std::string text);
Canary as_base32_and_raw(std::string name, const std::string& base32);        // RFC 4648
Canary as_base64url_and_raw(std::string name, const std::string& base64url);  // also as hex

struct Finding {
    std::string canary, place;  // place: the mapping's name, such as "[heap]", with the address
    std::string around;         // what stands beside it, unprintable bytes as '.'
};

std::ostream& operator<<(std::ostream& out, const Finding& finding);

// Everything that the process can read of itself. Errc::access_denied: we may not look.
Result<std::vector<Finding>> scan_memory(pid_t process, const std::vector<Canary>& canaries);

}  // namespace qscd::integration
