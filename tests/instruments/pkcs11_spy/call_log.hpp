// The spy's log, read back. A line a call, fields "name=value" in this order, those that do not apply left out:
//
//   time=NANOSECONDS pid=N call=C_… session=N id=HEX label=TEXT class=0x… application=TEXT mechanism=0x…
//   in=SHA256 size=N out=SHA256 rv=0x…
//
// `id` is the CKA_ID of the key that is used, made or destroyed; `in` and `out` are SHA-256 of what C_Sign was given and
// answered, or of the value that C_SetAttributeValue sets. C_Sign has two lines: "C_Sign-entered", without rv, and
// "C_Sign". In texts, blanks, '%' and what is not printable ASCII stand as %XX. Calls that only look
// (C_GetAttributeValue, C_FindObjects, C_Get…Info and so on) are not written down; C_FindObjectsInit is.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace qscd::spy {

struct Call {
    std::map<std::string, std::string, std::less<>> fields;
    // Empty when the line has no such field.
    std::string operator[](std::string_view name) const {
        const auto found = fields.find(name);
        return found != fields.end() ? found->second : std::string{};
    }
};

std::vector<Call> calls_in(const std::filesystem::path& log);

// How many times C_Sign was entered, by the key's CKA_ID in hex. With the PIN key's id: how many PINs were evaluated.
std::map<std::string, std::size_t> signatures_by_key(const std::vector<Call>& calls);

std::size_t count(const std::vector<Call>& calls, std::string_view function);

}  // namespace qscd::spy
