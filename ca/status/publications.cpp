#include "ca/status/publications.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/diagnostics.hpp"
#include "base/digest.hpp"
#include "base/file.hpp"

namespace qscd::ca {
namespace {

struct Kind {
    std::string_view folder, ending, content_type;
};
constexpr std::array kinds{
    Kind{"crl", ".crl", "application/pkix-crl"},
    Kind{"aia", ".cer", "application/pkix-cert"},
};
constexpr std::string_view first_line = "qscd-publication 1 ";
constexpr std::size_t largest = 64 << 20;

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    });
}

std::shared_ptr<const Publication> publication(std::string_view path, std::string_view content, TimePoint modified,
                                               std::int64_t next_update) {
    return std::make_shared<const Publication>(Publication{
        .path = std::string{path},
        .content_type = std::string{*content_type_of(path)},
        .content = std::string{content},
        .etag = '"' + sha256(view_of(content)).hex().substr(0, 32) + '"',
        .modified = modified,
        .next_update = next_update > 0 ? std::optional{from_unix(next_update)} : std::nullopt,
    });
}

std::optional<std::int64_t> number_in(std::string_view text) {
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return out;
}

// What publish() wrote; nothing for another file.
std::shared_ptr<const Publication> read(std::string_view path, std::string_view file) {
    const auto end = file.find('\n');
    if (end == std::string_view::npos || !file.starts_with(first_line)) return nullptr;
    const auto numbers = file.substr(first_line.size(), end - first_line.size());
    const auto blank = numbers.find(' ');
    if (blank == std::string_view::npos) return nullptr;
    const auto modified = number_in(numbers.substr(0, blank)), next_update = number_in(numbers.substr(blank + 1));
    if (!modified || !next_update) return nullptr;
    return publication(path, file.substr(end + 1), from_unix(*modified), *next_update);
}

}  // namespace

std::optional<std::string_view> content_type_of(std::string_view path) {
    for (const auto& kind : kinds) {
        const auto before = kind.folder.size() + 2;
        if (path.size() <= before + kind.ending.size() ||
            path.substr(0, before) != "/" + std::string{kind.folder} + "/" || !path.ends_with(kind.ending))
            continue;
        if (is_name(path.substr(before, path.size() - before - kind.ending.size()))) return kind.content_type;
    }
    return std::nullopt;
}

Result<std::unique_ptr<Publications>> Publications::open(const std::filesystem::path& folder) {
    for (const auto& kind : kinds) {
        std::error_code failed;
        std::filesystem::create_directories(folder / kind.folder, failed);
        if (failed)
            return Error{Errc::store_away,
                         "cannot create " + (folder / kind.folder).string() + ": " + failed.message()};
    }
    std::unique_ptr<Publications> out{new Publications{folder}};
    out->load();
    return out;
}

void Publications::load() {
    for (const auto& kind : kinds) {
        std::error_code failed;
        for (const auto& file : std::filesystem::directory_iterator{folder_ / kind.folder, failed}) {
            const auto path = "/" + std::string{kind.folder} + "/" + file.path().filename().string();
            if (!content_type_of(path)) continue;
            const auto text = read_file(file.path(), largest + 128);
            auto found = text ? read(path, text.value()) : nullptr;
            if (found) by_path_.insert_or_assign(path, std::move(found));
            else note(Level::warning, "publication-unreadable", {{"file", file.path().string()}});
        }
    }
}

Result<void> Publications::publish(std::string_view path, std::string_view content_type, std::string_view content,
                                   std::int64_t next_update, TimePoint now) {
    const auto right_type = content_type_of(path);
    if (!right_type) return Error{Errc::parameter_invalid, "nothing is published at this path", {"string", "path"}};
    if (content_type != *right_type)
        return Error{Errc::parameter_invalid, "this path has another media type", {"string", "content_type"}};
    if (content.empty() || content.size() > largest)
        return Error{Errc::parameter_invalid, "the content is empty or too large", {"string", "content"}};

    const std::lock_guard one_writer{writing_};
    const auto old = find(path);
    const bool same = old && old->content == content;
    const auto modified = same ? old->modified : now;
    if (same && old->next_update == (next_update > 0 ? std::optional{from_unix(next_update)} : std::nullopt))
        return success();
    std::string file{first_line};
    file.append(std::to_string(unix_seconds(modified))).append(" ").append(std::to_string(next_update)).append("\n");
    file.append(content);
    QSCD_TRY(write_file(folder_ / path.substr(1), file));
    const std::lock_guard guard{lock_};
    by_path_.insert_or_assign(std::string{path}, publication(path, content, modified, next_update));
    return success();
}

std::shared_ptr<const Publication> Publications::find(std::string_view path) const {
    const std::lock_guard guard{lock_};
    const auto found = by_path_.find(path);
    return found == by_path_.end() ? nullptr : found->second;
}

std::size_t Publications::size() const {
    const std::lock_guard guard{lock_};
    return by_path_.size();
}

}  // namespace qscd::ca
