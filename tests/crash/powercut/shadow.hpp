// What a disk surely has: a copy of each file as it was when its content was last synced, and of each folder's names as
// they were when the folder was last synced. The strict reading of POSIX: a file's sync does not make its name durable, and
// a rename, a new name or a removal counts from the folder's sync on.
// Layout: <shadow>/data/<id> content, <shadow>/names/<folder> lines "id kind mode uid gid name". An id is inode and time of
// birth, so that an inode used again is another file.
// Thread rules: calls for one shadow must not overlap; processes may share one when they write different files.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace qscd::crash {

struct Name {
    std::string id;
    bool folder = false;
    mode_t mode = 0;
    uid_t user = 0;
    gid_t group = 0;
};
using Names = std::map<std::string, Name>;

class Shadow {
public:
    // `roots`: the folders whose files are watched, without links in their paths.
    Shadow(std::vector<std::filesystem::path> roots, std::filesystem::path shadow)
        : roots_(std::move(roots)), shadow_(std::move(shadow)) {}
    // Of a list with colons between, as the environment has it.
    static std::vector<std::filesystem::path> roots_in(const std::string& list);

    bool watches(const std::filesystem::path& path) const;

    // Now durable. Only what differs is copied. False when the shadow could not be written.
    bool sync_content(int file) const;
    bool sync_names(const std::filesystem::path& folder) const;
    // Everything below the roots, as sync() makes it.
    bool sync_all() const;

    Names durable_names(const std::filesystem::path& folder) const;
    std::optional<std::filesystem::path> durable_content(const std::string& id) const;

    static Names names_in(const std::filesystem::path& folder);  // as they are now
    const std::vector<std::filesystem::path>& roots() const { return roots_; }
    const std::filesystem::path& place() const { return shadow_; }

private:
    std::filesystem::path list_of(const std::filesystem::path& folder) const;
    std::vector<std::filesystem::path> roots_;
    std::filesystem::path shadow_;
};

}  // namespace qscd::crash
