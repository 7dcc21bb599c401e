#include "ca/subject/subject_rules.hpp"

#include <array>

namespace qscd::ca {
namespace {

constexpr std::size_t longest_name = 64;  // characters; what common linters accept of RFC 5280's upper bounds
constexpr std::size_t longest_serial = 64;

constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_printable(char c) {  // X.680's PrintableString
    return is_upper(c) || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view{" '()+,-./:=?"}.find(c) != std::string_view::npos;
}
bool is_country(std::string_view text) { return text.size() == 2 && std::ranges::all_of(text, is_upper); }

struct Range {
    char32_t first, last;
};
constexpr std::array forbidden{
    Range{0x0, 0x1f},      Range{0x7f, 0x9f},         // control characters
    Range{0x61c, 0x61c},   Range{0x200b, 0x200f},     // bidirectional marks, invisible spaces
    Range{0x2028, 0x202e}, Range{0x2060, 0x206f},     // line breaks, bidirectional embeddings and isolates
    Range{0xd800, 0xdfff}, Range{0xe000, 0xf8ff},     // surrogates, private use
    Range{0xfdd0, 0xfdef}, Range{0xfeff, 0xfeff},     // noncharacters, byte order mark
    Range{0xfff0, 0xffff}, Range{0xe0000, 0x10ffff},  // specials, tags, private use
};
bool is_allowed(char32_t c) {
    return (c & 0xfffe) != 0xfffe &&
           std::ranges::none_of(forbidden, [c](Range range) { return c >= range.first && c <= range.last; });
}

// The characters of strict UTF-8: shortest forms alone. Nothing for bytes that are no UTF-8.
std::optional<std::u32string> characters_of(std::string_view text) {
    std::u32string out;
    for (std::size_t at = 0; at < text.size();) {
        const auto lead = static_cast<std::uint8_t>(text[at++]);
        const int more = lead < 0x80             ? 0
                         : (lead & 0xe0) == 0xc0 ? 1
                         : (lead & 0xf0) == 0xe0 ? 2
                         : (lead & 0xf8) == 0xf0 ? 3
                                                 : -1;
        if (more < 0) return std::nullopt;
        char32_t character = more == 0 ? lead : lead & (0x3fU >> more);
        for (int i = 0; i < more; ++i) {
            if (at == text.size() || (static_cast<std::uint8_t>(text[at]) & 0xc0) != 0x80) return std::nullopt;
            character = character << 6 | (static_cast<std::uint8_t>(text[at++]) & 0x3fU);
        }
        constexpr std::array<char32_t, 4> smallest{0, 0x80, 0x800, 0x10000};
        if (character < smallest[static_cast<std::size_t>(more)] || character > 0x10ffff) return std::nullopt;
        out.push_back(character);
    }
    return out;
}

bool is_name(std::string_view text) {
    const auto characters = characters_of(text);
    return characters && !characters->empty() && characters->size() <= longest_name && characters->front() != U' ' &&
           characters->back() != U' ' && std::ranges::all_of(*characters, is_allowed);
}

constexpr std::array<std::string_view, 4> natural_schemes{"PNO", "IDC", "PAS", "TIN"};

// TTT CC - identifier [EN 319 412-1, 5.1.3]
bool is_semantic(std::string_view serial) {
    return serial.size() > 6 && std::ranges::count(natural_schemes, serial.substr(0, 3)) == 1 &&
           is_country(serial.substr(3, 2)) && serial[5] == '-' && serial[6] != ' ';
}

Error refused(std::string_view what) { return {Errc::paper_refused, "subject: " + std::string{what}}; }

}  // namespace

Result<void> check_subject(const protocol::Subject& subject, policy::CertificateType type) {
    if (!is_country(subject.country)) return refused("the country must be two upper-case letters");
    if (subject.given_name.empty() && subject.surname.empty()) return refused("a given name or a surname is needed");
    if (!subject.given_name.empty() && !is_name(subject.given_name))
        return refused("the given name cannot be certified");
    if (!subject.surname.empty() && !is_name(subject.surname)) return refused("the surname cannot be certified");
    if (!is_name(subject.common_name)) return refused("the common name cannot be certified");
    const auto& serial = subject.serial_number;
    if (serial.empty() || serial.size() > longest_serial || !std::ranges::all_of(serial, is_printable) ||
        serial.front() == ' ' || serial.back() == ' ')
        return refused("the serial number is no PrintableString of 1 to 64 characters");
    if (policy::is_qualified(type) && !is_semantic(serial))
        return refused("the serial number is not in the form PNOCC-, IDCCC-, PASCC- or TINCC-");
    return success();
}

}  // namespace qscd::ca
