#include "hsm/meaning.hpp"

#include <array>
#include <cstdio>
#include <string>

namespace qscd::hsm {

Error error_of(CK_RV rv, std::string_view call) {
    std::array<char, 32> code{};
    (void)std::snprintf(code.data(), code.size(), " answered 0x%lx", static_cast<unsigned long>(rv));
    return {meaning_of(rv) == Meaning::bug ? Errc::internal : Errc::token_away, std::string{call} + code.data()};
}

}  // namespace qscd::hsm
