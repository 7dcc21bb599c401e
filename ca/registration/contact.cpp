#include "ca/registration/contact.hpp"

#include <algorithm>

namespace qscd::ca {
namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool is_username(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || is_digit(c) || c == '.' || c == '_' || c == '-';
    });
}

bool is_phone(std::string_view text) {
    return text.size() >= 9 && text.size() <= 16 && text[0] == '+' && text[1] != '0' &&
           std::ranges::all_of(text.substr(1), is_digit);
}

bool is_email(std::string_view text) {
    const auto at = text.find('@');
    if (text.size() > 254 || at == 0 || at == std::string_view::npos ||
        text.find('@', at + 1) != std::string_view::npos)
        return false;
    const auto domain = text.substr(at + 1);
    return domain.find('.') != std::string_view::npos && domain.front() != '.' && domain.back() != '.' &&
           std::ranges::all_of(text, [](char c) {
               return c > ' ' && c < 0x7f && std::string_view{"\"(),:;<>[\\]"}.find(c) == std::string_view::npos;
           });
}

std::string email_key(std::string_view email) {
    std::string out{email};
    std::ranges::transform(out, out.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return out;
}

}  // namespace qscd::ca
