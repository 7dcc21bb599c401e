#include "hsm/durable_folder.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diagnostics.hpp"

namespace qscd::hsm {
namespace {

constexpr std::uint32_t file_events = IN_MODIFY | IN_CLOSE_WRITE;
constexpr std::uint32_t folder_events = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
constexpr auto coarsest_file_time = std::chrono::seconds{2};

Error failed(std::string_view what, const std::filesystem::path& path) {
    return {Errc::store_away, std::string{what} + " " + path.string() + ": " + std::strerror(errno)};
}

bool identity_of(const std::filesystem::path& path, struct ::stat& out) { return ::stat(path.c_str(), &out) == 0; }

}  // namespace

DurableFolder::DurableFolder(std::filesystem::path folder)
    : folder_(std::move(folder)), complete_(std::filesystem::file_time_type::min() + coarsest_file_time) {
    watch_all();
}

bool DurableFolder::watch(const std::filesystem::path& folder) {
    const int mark = ::inotify_add_watch(events_.get(), folder.c_str(), file_events | folder_events | IN_ONLYDIR);
    struct ::stat now{};
    if (mark < 0 || !identity_of(folder, now)) return false;
    watches_.insert_or_assign(mark, Watched{folder, now.st_dev, now.st_ino});
    return true;
}

void DurableFolder::watch_all() {
    watches_.clear();
    events_ = Descriptor{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
    bool all = events_ && watch(folder_);
    std::error_code error;
    for (std::filesystem::recursive_directory_iterator at{folder_, error}, end; all && !error && at != end;
         at.increment(error)) {
        std::error_code gone;
        if (at->is_directory(gone)) all = watch(at->path());
    }
    if (all && !error) return;
    if (!std::exchange(said_, true) && std::filesystem::exists(folder_, error))
        note(Level::warning, "token-folder-not-watched",
             {{"folder", folder_.string()}, {"meaning", "each write costs a look at all its files"}});
    watches_.clear();
    events_ = {};
}

// A folder put in another's place by its name would be written to unseen.
bool DurableFolder::watches_what_is_there() const {
    if (!events_) return false;
    for (const auto& [mark, watched] : watches_) {
        struct ::stat now{};
        if (!identity_of(watched.path, now) || now.st_dev != watched.device || now.st_ino != watched.inode)
            return false;
    }
    return true;
}

DurableFolder::Changes DurableFolder::drain() {
    Changes out;
    alignas(::inotify_event) std::array<char, 65536> buffer;
    for (;;) {
        // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): opened not to block
        const auto count = ::read(events_.get(), buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) {
            out.lost = out.lost || (count < 0 && errno != EAGAIN);
            return out;
        }
        for (std::size_t at = 0; at < static_cast<std::size_t>(count);) {
            const auto& event = *reinterpret_cast<const ::inotify_event*>(buffer.data() + at);
            at += sizeof event + event.len;
            const auto watched = watches_.find(event.wd);
            if ((event.mask & (IN_Q_OVERFLOW | IN_ISDIR)) != 0 || watched == watches_.end() || event.len == 0) {
                out.lost = true;  // also a folder that came or went, and the end of a watch
                continue;
            }
            if ((event.mask & folder_events) != 0) out.folders.insert(watched->second.path);
            if ((event.mask & (file_events | IN_CREATE | IN_MOVED_TO)) != 0)
                out.files.insert(watched->second.path / event.name);
        }
    }
}

// What the disk refused once may be gone from the kernel's memory too: a second try that succeeds would prove nothing.
Result<void> DurableFolder::refused(std::string_view what, const std::filesystem::path& path) {
    broken_ = true;
    return failed(what, path);
}

Result<void> DurableFolder::sync_file(const std::filesystem::path& path) {
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!file) {
        if (errno != ENOENT) return failed("open", path);
        empty_.erase(path);
        return success();  // destroyed again: its folder is synced
    }
    struct ::stat now{};
    if (::fstat(file.get(), &now) != 0) return failed("stat", path);
    if (!S_ISREG(now.st_mode) || (now.st_size == 0 && !empty_.insert(path).second)) return success();
    if (now.st_size != 0) empty_.erase(path);
    if (::fdatasync(file.get()) != 0) return refused("fdatasync", path);
    return success();
}

Result<void> DurableFolder::sync_folder(const std::filesystem::path& path) {
    const Descriptor folder{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!folder) return failed("open", path);
    if (::fsync(folder.get()) != 0) return refused("fsync", path);
    return success();
}

Result<void> DurableFolder::sync_changed(const Changes& changes) {
    for (const auto& path : changes.files) {
        QSCD_TRY(sync_file(path));
    }
    for (const auto& path : changes.folders) {
        QSCD_TRY(sync_folder(path));
    }
    return success();
}

Result<void> DurableFolder::sync_all() {
    watch_all();  // first: what is written while we look is then an event
    std::error_code error;
    Changes found;
    found.folders.insert(folder_);
    for (std::filesystem::recursive_directory_iterator at{folder_, error}, end; !error && at != end;
         at.increment(error)) {
        std::error_code gone;  // a lock file may vanish under us
        if (at->is_directory(gone)) found.folders.insert(at->path());
        else if (at->is_regular_file(gone) && at->last_write_time(gone) >= complete_ - coarsest_file_time && !gone)
            found.files.insert(at->path());
    }
    if (error) return Error{Errc::store_away, "walk " + folder_.string() + ": " + error.message()};
    return sync_changed(found);
}

Result<void> DurableFolder::sync() {
    const std::lock_guard one{lock_};
    if (broken_) return Error{Errc::store_away, "a sync in " + folder_.string() + " failed before"};
    const auto began = std::filesystem::file_time_type::clock::now();
    const auto changes = events_ ? drain() : Changes{};
    const bool all = first_ || changes.lost || !watches_what_is_there();
    auto done = all ? sync_all() : sync_changed(changes);
    if (!done) {
        events_ = {};  // the next one looks at everything again
        return done;
    }
    complete_ = began;
    first_ = false;
    return done;
}

}  // namespace qscd::hsm
