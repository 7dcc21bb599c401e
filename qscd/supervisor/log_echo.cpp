#include "qscd/supervisor/log_echo.hpp"

#include <array>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qscd::supervisor {

LogEcho::LogEcho(const std::filesystem::path& folder) : events_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (events_ && ::inotify_add_watch(events_.get(), folder.c_str(), IN_MODIFY) < 0) events_ = Descriptor{};
}

void LogEcho::follow(const std::filesystem::path& log) {
    struct stat state{};
    copied_[log] = ::stat(log.c_str(), &state) == 0 ? state.st_size : 0;
}

void LogEcho::copy() {
    std::array<char, 16384> room{};
    while (::read(events_.get(), room.data(), room.size()) > 0) {}
    for (auto& [log, offset] : copied_) {
        const Descriptor file{::open(log.c_str(), O_RDONLY | O_CLOEXEC)};
        struct stat state{};
        if (!file || ::fstat(file.get(), &state) != 0) continue;
        if (state.st_size < offset) offset = 0;  // emptied by the operator
        for (ssize_t count = 0; (count = ::pread(file.get(), room.data(), room.size(), offset)) > 0; offset += count)
            (void)!::write(STDERR_FILENO, room.data(), static_cast<std::size_t>(count));
    }
}

}  // namespace qscd::supervisor
