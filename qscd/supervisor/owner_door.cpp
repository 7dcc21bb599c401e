#include "qscd/supervisor/owner_door.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/diagnostics.hpp"
#include "base/process/daemon.hpp"

namespace qscd::supervisor {

namespace {
constexpr int backlog = 16;
}

Result<OwnerDoor> OwnerDoor::open(const RunFolder& folder) {
    const auto failed = [](std::string_view what) {
        return Error{Errc::internal,
                     std::string{what} + " run/" + RunFolder::socket_name + ": " + std::strerror(errno)};
    };
    Descriptor listener{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
    if (!listener) return failed("socket");
    if (::unlinkat(folder.get(), RunFolder::socket_name, 0) != 0 && errno != ENOENT) return failed("unlink");
    const auto address = folder.socket_address();
    if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return failed("bind");
    OwnerDoor door{folder, std::move(listener)};
    if (::fchmodat(folder.get(), RunFolder::socket_name, 0600, 0) != 0) return failed("chmod");
    if (::listen(door.listener(), backlog) != 0) return failed("listen");
    return door;
}

OwnerDoor::~OwnerDoor() {
    if (listener_) ::unlinkat(folder_->get(), RunFolder::socket_name, 0);
}

Descriptor OwnerDoor::accept() const {
    Descriptor caller{::accept4(listener(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!caller) return {};
    ucred peer{};
    socklen_t size = sizeof peer;
    const bool known = ::getsockopt(caller.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    if (known && (peer.uid == ::geteuid() || peer.uid == 0)) return caller;
    note(Level::warning, "owner-door-refused", {{"uid", known ? std::to_string(peer.uid) : "unknown"}});
    (void)process::send_control(caller.get(), "error only the owner of the deployment may ask");
    (void)process::receive_control(caller.get());  // closed with a question unread, the answer would be lost
    return {};
}

}  // namespace qscd::supervisor
