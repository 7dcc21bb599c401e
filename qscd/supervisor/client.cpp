#include "qscd/supervisor/client.hpp"

#include <cerrno>
#include <cstring>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/process/daemon.hpp"
#include "qscd/supervisor/run_folder.hpp"

namespace qscd::supervisor {
namespace {

constexpr timeval patience{10, 0};
constexpr std::string_view unknown_daemon = "error there is no daemon of that name";

Error not_running() { return {Errc::service_away, "the deployment is not running; start it with `qscd up`"}; }

Result<Descriptor> ask(const policy::Deployment& deployment, const std::string& request) {
    auto folder = RunFolder::open(deployment.folder);
    if (!folder) return folder.error().code == Errc::service_away ? not_running() : folder.error();
    const Descriptor socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
    if (!socket) return Error{Errc::internal, std::string{"socket: "} + std::strerror(errno)};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const auto address = folder.value().socket_address();
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno == EACCES) return Error{Errc::access_denied, "the running deployment belongs to another user"};
        return not_running();
    }
    // A refused caller is answered unasked: the reason is worth more than a failed send.
    const auto sent = process::send_control(socket.get(), request);
    auto answer = process::receive_control(socket.get());
    if (!answer) return Error{Errc::service_away, "the supervisor does not answer"};
    const auto& text = answer.value().text;
    if (text == "ok" && answer.value().descriptor) return std::move(answer.value().descriptor);
    if (text == unknown_daemon)
        return Error{Errc::parameter_invalid, text.substr(sizeof "error"), {"string", "daemon"}};
    if (text.starts_with("error only")) return Error{Errc::access_denied, text.substr(sizeof "error")};
    return Error{Errc::service_away, text.starts_with("error ") ? text.substr(sizeof "error") : "unreadable answer"};
}

}  // namespace

Result<Descriptor> connect_to(const policy::Deployment& deployment, std::string_view daemon) {
    auto socket = ask(deployment, "connect " + std::string{daemon});
    if (!socket && socket.error().code == Errc::service_away && socket.error().detail == "it is not running")
        return Error{Errc::service_away, std::string{daemon} + " is not running at the moment; see log/"};
    return socket;
}

Result<std::string> status(const policy::Deployment& deployment) {
    QSCD_TRY(const auto file, ask(deployment, "status"));
    std::string text;
    for (;;) {
        const auto had = text.size();
        text.resize(had + 4096);
        const auto count = ::pread(file.get(), text.data() + had, 4096, static_cast<off_t>(had));
        text.resize(had + (count > 0 ? static_cast<std::size_t>(count) : 0));
        if (count <= 0) return text;
    }
}

}  // namespace qscd::supervisor
