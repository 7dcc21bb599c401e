#include "tests/architecture/source_text.hpp"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include "base/file.hpp"

namespace qscd::architecture {
namespace {

bool in_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The length of the comment or literal that begins at the head of `rest`; 0 if none does. `before` is the character
// ahead of it: a digit separator (1'000) is no literal, and only R" opens a raw string.
std::size_t span_of_no_code(std::string_view rest, char before) {
    const auto up_to = [&](std::string_view end, std::size_t from) {
        const auto at = rest.find(end, from);
        return at == std::string_view::npos ? rest.size() : at + end.size();
    };
    if (rest.starts_with("//")) return std::min(rest.find('\n'), rest.size());
    if (rest.starts_with("/*")) return up_to("*/", 2);
    if (before == 'R' && rest.starts_with('"')) {
        const auto open = rest.find('(');
        if (open == std::string_view::npos) return rest.size();
        return up_to(")" + std::string{rest.substr(1, open - 1)} + "\"", open);
    }
    if (rest.starts_with('"') || (rest.starts_with('\'') && !in_word(before))) {
        for (std::size_t at = 1; at < rest.size(); ++at) {
            if (rest[at] == '\\') ++at;
            else if (rest[at] == rest[0]) return at + 1;
        }
        return rest.size();
    }
    return 0;
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Violation& violation) {
    return out << violation.path << ':' << violation.line << ": " << violation.what;
}

std::vector<Source> sources_below(const std::filesystem::path& root, const std::vector<std::string_view>& folders) {
    std::vector<Source> out;
    for (const auto folder : folders) {
        if (!std::filesystem::exists(root / folder)) continue;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{root / folder}) {
            const auto extension = entry.path().extension();
            if (!entry.is_regular_file() || (extension != ".cpp" && extension != ".hpp")) continue;
            auto text = read_file(entry.path());
            if (!text) throw std::runtime_error(text.error().detail);
            out.push_back({entry.path().lexically_relative(root).generic_string(), std::move(text).value()});
        }
    }
    std::ranges::sort(out, {}, &Source::path);
    return out;
}

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        out.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out;
}

std::string code_of(std::string_view text) {
    std::string out{text};
    for (std::size_t at = 0; at < text.size();) {
        const auto length = span_of_no_code(text.substr(at), at > 0 ? text[at - 1] : ' ');
        for (std::size_t i = at; i < at + length; ++i)
            if (out[i] != '\n') out[i] = ' ';
        at += std::max<std::size_t>(length, 1);
    }
    return out;
}

bool is_below(std::string_view path, std::string_view folder) {
    return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

}  // namespace qscd::architecture
