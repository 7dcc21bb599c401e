#include "qscd/gateway/oauth/form.hpp"

namespace qscd::gateway {
namespace {

constexpr std::size_t most_parameters = 32;

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

}  // namespace

std::optional<SecretBytes> percent_decoded(std::string_view text) {
    std::string out;
    out.reserve(text.size());  // never grows: no copies left behind
    bool good = true;
    for (std::size_t at = 0; at < text.size() && good; ++at) {
        char c = text[at];
        if (c == '%') {
            const int high = at + 1 < text.size() ? hex_value(text[at + 1]) : -1;
            const int low = at + 2 < text.size() ? hex_value(text[at + 2]) : -1;
            good = high >= 0 && low >= 0;
            c = static_cast<char>(high * 16 + low);
            at += 2;
        } else if (c == '+') {
            c = ' ';
        }
        good = good && c != '\0';
        if (good) out += c;
    }
    std::optional<SecretBytes> decoded;
    if (good) decoded.emplace(std::string_view{out});
    wipe(out);
    return decoded;
}

Result<Form> Form::parse(std::string_view text) {
    const Error malformed{Errc::body_malformed, "form"};
    Form out;
    while (!text.empty()) {
        const auto end = std::min(text.find('&'), text.size());
        const auto part = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (part.empty()) continue;
        const auto equals = std::min(part.find('='), part.size());
        const auto name = percent_decoded(part.substr(0, equals));
        auto value = percent_decoded(part.substr(std::min(equals + 1, part.size())));
        if (!name || !value || out.parameters_.size() == most_parameters) return malformed;
        const std::string plain{text_of(name->reveal())};
        if (std::ranges::any_of(out.parameters_, [&](const auto& each) { return each.first == plain; }))
            return malformed;
        out.parameters_.emplace_back(plain, std::move(*value));
    }
    return out;
}

const SecretBytes* Form::secret(std::string_view name) const {
    for (const auto& [known, value] : parameters_)
        if (known == name && value.size() > 0) return &value;
    return nullptr;
}

std::optional<std::string> Form::text(std::string_view name) const {
    const auto* value = secret(name);
    return value != nullptr ? std::optional{std::string{text_of(value->reveal())}} : std::nullopt;
}

}  // namespace qscd::gateway
