#include "qscd/supervisor/run_folder.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace qscd::supervisor {
namespace {

constexpr const char* lock_name = "qscd.lock";

Error failed(const std::filesystem::path& path) {
    return {Errc::configuration, path.string() + ": " + std::strerror(errno)};
}

}  // namespace

Result<RunFolder> RunFolder::open(const std::filesystem::path& deployment) {
    auto path = deployment / "run";
    Descriptor folder{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
    if (!folder && errno == EACCES) return Error{Errc::access_denied, path.string() + " belongs to another user"};
    if (!folder) return Error{Errc::service_away, path.string() + ": " + std::strerror(errno)};
    return RunFolder{std::move(path), std::move(folder)};
}

Result<RunFolder> RunFolder::open_or_create(const std::filesystem::path& deployment) {
    const auto path = deployment / "run";
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed(path);
    QSCD_TRY(auto out, open(deployment));
    if (::fchmod(out.get(), 0700) != 0) return failed(path);
    return out;
}

Result<Descriptor> RunFolder::lock() const {
    Descriptor file{::openat(get(), lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file) return failed(path_ / lock_name);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) {
        const auto pid = std::to_string(::getpid()) + "\n";
        if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), pid.data(), pid.size(), 0) < 0)
            return failed(path_ / lock_name);
        return file;
    }
    if (errno != EWOULDBLOCK) return failed(path_ / lock_name);
    std::array<char, 16> holder{};
    const auto count = ::pread(file.get(), holder.data(), holder.size() - 1, 0);
    std::string pid{holder.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
    while (pid.ends_with('\n')) pid.pop_back();
    return Error{Errc::out_of_order, "the deployment in " + path_.parent_path().string() + " is already running" +
                                         (pid.empty() ? "" : " (process " + pid + ")")};
}

sockaddr_un RunFolder::socket_address() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (void)std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", get(), socket_name);
    return address;
}

}  // namespace qscd::supervisor
