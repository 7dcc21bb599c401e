#include "hsm/meaning.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <string>

#include "base/diagnostics.hpp"

namespace qscd::hsm {
namespace {

std::atomic<std::uint64_t> counted = 0;

}  // namespace

Error error_of(CK_RV rv, std::string_view call) {
    const auto* const row = listed(rv);
    std::array<char, 32> code{};
    (void)std::snprintf(code.data(), code.size(), " answered 0x%lx", static_cast<unsigned long>(rv));
    auto detail = std::string{call} + code.data();
    if (row != nullptr) detail += " " + std::string{row->name};
    if (row != nullptr && row->ours) {
        ++counted;
        note(Level::warning, "pkcs11-misuse", {{"reason", detail}});
    }
    const auto meaning = meaning_of(rv);
    const bool passing = meaning == Meaning::stale || meaning == Meaning::away;
    return {passing ? Errc::token_away : Errc::internal, std::move(detail)};
}

std::uint64_t misuses() { return counted; }

}  // namespace qscd::hsm
