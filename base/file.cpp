#include "base/file.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace qscd {
namespace {

Error failed(std::string_view what, const std::filesystem::path& path) {
    return {Errc::store_away, std::string{what} + " " + path.string() + ": " + std::strerror(errno)};
}

Result<void> sync_path(const std::filesystem::path& path, int flags) {
    const Descriptor file{::open(path.c_str(), flags | O_CLOEXEC)};
    if (!file || ::fsync(file.get()) != 0) return failed("fsync", path);
    return success();
}

}  // namespace

Descriptor::~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file) return Error{Errc::configuration, "cannot open " + path.string() + ": " + std::strerror(errno)};
    std::string content;
    for (;;) {
        const auto had = content.size();
        content.resize(had + 65536);
        const auto count = ::read(file.get(), content.data() + had, 65536);
        if (count < 0) return failed("read", path);
        content.resize(had + static_cast<std::size_t>(count));
        if (count == 0) return content;
        if (content.size() > limit) return Error{Errc::configuration, path.string() + " is too large"};
    }
}

Result<void> write_file(const std::filesystem::path& path, std::string_view content, unsigned mode) {
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
    const auto beside = std::filesystem::path{path.string() + ".new"};
    {
        const Descriptor file{::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)};
        if (!file) return failed("create", beside);
        if (::fchmod(file.get(), mode) != 0) return failed("chmod", beside);
        while (!content.empty()) {
            const auto count = ::write(file.get(), content.data(), content.size());
            if (count < 0) return failed("write", beside);
            content.remove_prefix(static_cast<std::size_t>(count));
        }
        if (::fsync(file.get()) != 0) return failed("fsync", beside);
    }
    if (::rename(beside.c_str(), path.c_str()) != 0) return failed("rename", path);
    return sync_path(folder, O_RDONLY | O_DIRECTORY);
}

Result<void> sync_changes(const std::filesystem::path& folder, std::chrono::file_clock::time_point since) {
    std::error_code error;
    std::set<std::filesystem::path> folders{folder};
    for (std::filesystem::recursive_directory_iterator at{folder, error}, end; !error && at != end;
         at.increment(error)) {
        std::error_code gone;  // a lock file may vanish under us
        if (at->is_directory(gone)) folders.insert(at->path());
        else if (at->is_regular_file(gone) && at->last_write_time(gone) >= since && !gone) {
            QSCD_TRY(sync_path(at->path(), O_RDONLY));
        }
    }
    if (error) return Error{Errc::store_away, "walk " + folder.string() + ": " + error.message()};
    for (const auto& each : folders) {
        QSCD_TRY(sync_path(each, O_RDONLY | O_DIRECTORY));
    }
    return success();
}

}  // namespace qscd
