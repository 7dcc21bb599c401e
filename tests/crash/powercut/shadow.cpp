#include "tests/crash/powercut/shadow.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace qscd::crash {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t page = 4096;
constexpr mode_t for_all = 0777, readable_by_all = 0666;  // each daemon writes under a user of its own

struct OpenFile {
    explicit OpenFile(int fd) : number(fd) {}
    OpenFile(const OpenFile&) = delete;
    ~OpenFile() {
        if (number >= 0) ::close(number);
    }
    int number;
};

std::string id_of(const struct statx& state) {
    return std::to_string(state.stx_ino) + "-" + std::to_string(state.stx_btime.tv_sec) + "-" +
           std::to_string(state.stx_btime.tv_nsec);
}

bool look(int folder, const char* name, int flags, struct statx& state) {
    return ::statx(folder, name, flags | AT_STATX_SYNC_AS_STAT, STATX_BASIC_STATS | STATX_BTIME, &state) == 0;
}

// Makes `copy` equal to the open file, writing only the pages that differ: a process killed in the middle leaves what a
// disk may have in the middle of a sync.
bool copy_changes(int source, std::size_t size, int copy) {
    struct stat before{};
    if (::fstat(copy, &before) != 0) return false;
    if (static_cast<std::size_t>(before.st_size) != size && ::ftruncate(copy, static_cast<off_t>(size)) != 0)
        return false;
    if (size == 0) return true;
    auto* to = static_cast<char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, copy, 0));
    if (to == MAP_FAILED) return false;
    std::vector<char> some(std::min<std::size_t>(size, 64 * page));
    for (std::size_t at = 0; at < size;) {
        const auto count = ::pread(source, some.data(), std::min(some.size(), size - at), static_cast<off_t>(at));
        if (count <= 0) break;  // shorter than it was a moment ago
        for (std::size_t i = 0; i < static_cast<std::size_t>(count); i += page) {
            const auto length = std::min(page, static_cast<std::size_t>(count) - i);
            if (std::memcmp(to + at + i, some.data() + i, length) != 0)
                std::memcpy(to + at + i, some.data() + i, length);
        }
        at += static_cast<std::size_t>(count);
    }
    ::munmap(to, size);
    return true;
}

}  // namespace

std::vector<fs::path> Shadow::roots_in(const std::string& list) {
    std::vector<fs::path> out;
    std::istringstream text{list};
    for (std::string each; std::getline(text, each, ':');) out.emplace_back(each);
    return out;
}

bool Shadow::watches(const fs::path& path) const {
    const auto& text = path.native();
    return std::ranges::any_of(roots_, [&](const fs::path& each) {
        const auto& root = each.native();
        return text.starts_with(root) && (text.size() == root.size() || text[root.size()] == '/');
    });
}

fs::path Shadow::list_of(const fs::path& folder) const {
    auto name = folder.string();
    std::ranges::replace(name, '/', '%');
    return shadow_ / "names" / name;
}

bool Shadow::sync_content(int file) const {
    struct statx state{};
    if (!look(file, "", AT_EMPTY_PATH, state)) return false;
    // The caller's descriptor may be for writing alone.
    const OpenFile source{::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY | O_CLOEXEC)};
    const auto path = shadow_ / "data" / id_of(state);
    const OpenFile copy{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, readable_by_all)};
    if (source.number < 0 || copy.number < 0) return false;
    ::fchmod(copy.number, readable_by_all);  // the umask took it; only its owner can
    return copy_changes(source.number, state.stx_size, copy.number);
}

Names Shadow::names_in(const fs::path& folder) {
    Names out;
    DIR* const entries = ::opendir(folder.c_str());
    if (entries == nullptr) return out;
    while (const auto* entry = ::readdir(entries)) {
        const std::string name = entry->d_name;
        struct statx state{};
        if (name == "." || name == ".." || !look(::dirfd(entries), name.c_str(), AT_SYMLINK_NOFOLLOW, state)) continue;
        if (!S_ISREG(state.stx_mode) && !S_ISDIR(state.stx_mode)) continue;
        out[name] = {id_of(state), S_ISDIR(state.stx_mode), static_cast<mode_t>(state.stx_mode & 07777), state.stx_uid,
                     state.stx_gid};
    }
    ::closedir(entries);
    return out;
}

bool Shadow::sync_names(const fs::path& folder) const {
    std::ostringstream text;
    for (const auto& [name, entry] : names_in(folder))
        text << entry.id << ' ' << (entry.folder ? 'd' : 'f') << ' ' << entry.mode << ' ' << entry.user << ' '
             << entry.group << ' ' << name << '\n';
    static std::atomic<unsigned> count = 0;
    const auto list = list_of(folder);
    const auto draft = list.string() + "." + std::to_string(::getpid()) + "." + std::to_string(++count) + "~";
    {
        std::ofstream out{draft};
        out << text.str();
        if (!out.flush()) return false;
    }
    return ::rename(draft.c_str(), list.c_str()) == 0;
}

bool Shadow::sync_all() const {
    std::error_code error;
    for (const auto& part : {shadow_, shadow_ / "data", shadow_ / "names"}) {
        fs::create_directories(part, error);
        fs::permissions(part, fs::perms{for_all}, error);
    }
    error.clear();
    bool good = true;
    for (const auto& root : roots_) {
        good = sync_names(root) && good;
        for (fs::recursive_directory_iterator each{root, error}, end; !error && each != end; each.increment(error)) {
            if (each->is_symlink()) continue;
            if (each->is_directory()) good = sync_names(each->path()) && good;
            if (!each->is_regular_file()) continue;
            const OpenFile file{::open(each->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
            good = file.number >= 0 && sync_content(file.number) && good;
        }
    }
    return good && !error;
}

Names Shadow::durable_names(const fs::path& folder) const {
    Names out;
    std::ifstream list{list_of(folder)};
    for (std::string line; std::getline(list, line);) {
        std::istringstream words{line};
        Name entry;
        char kind = 0;
        std::string name;
        words >> entry.id >> kind >> entry.mode >> entry.user >> entry.group >> std::ws;
        std::getline(words, name);
        entry.folder = kind == 'd';
        out[name] = entry;
    }
    return out;
}

std::optional<fs::path> Shadow::durable_content(const std::string& id) const {
    auto path = shadow_ / "data" / id;
    if (!fs::exists(path)) return std::nullopt;
    return path;
}

}  // namespace qscd::crash
