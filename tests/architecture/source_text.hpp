// The project's sources as text, for the tests that read them. Thread rules: pure functions.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace qscd::architecture {

struct Source {
    std::string path;  // from the project's root, with '/'
    std::string text;
};

// One thing that must not stand where it stands; printed as file:line: what.
struct Violation {
    std::string path;
    std::size_t line;
    std::string what;
    bool operator==(const Violation&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Violation& violation);

// All *.cpp and *.hpp below the given top-level folders; a folder that is absent has none.
std::vector<Source> sources_below(const std::filesystem::path& root, const std::vector<std::string_view>& folders);

std::vector<std::string> lines_of(std::string_view text);

// Comments and the contents of literals become spaces; line breaks stay, so that line numbers hold.
std::string code_of(std::string_view text);

// `path` is `folder` or lies below it.
bool is_below(std::string_view path, std::string_view folder);

}  // namespace qscd::architecture
