#include "base/process/daemon.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/diagnostics.hpp"

namespace qscd::process {
namespace {

constexpr std::size_t control_text_limit = 256;

Result<std::filesystem::path> deployment_in(int argc, char** argv) {
    for (int i = 1; i + 1 < argc; ++i)
        if (std::string_view{argv[i]} == "--deployment") return std::filesystem::path{argv[i + 1]};
    return Error{Errc::configuration, "started without --deployment DIR; daemons are started by `qscd up`"};
}

Connection connection_in(ControlMessage message) {
    const bool ask = message.text.starts_with("ask ");
    return {ask, message.text.substr(ask ? 4 : 6), std::move(message.descriptor)};
}

// Until a signal or the supervisor's end.
void serve(Daemon& daemon, int control, int signals) {
    std::array<pollfd, 2> watched{pollfd{signals, POLLIN, 0}, pollfd{control, POLLIN, 0}};
    for (;;) {
        if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
        if (watched[0].revents != 0) return;
        if (watched[1].revents == 0) continue;
        auto message = receive_control(control);
        if (!message) return;
        if (message.value().descriptor) daemon.connection(connection_in(std::move(message.value())));
    }
}

}  // namespace

int control_descriptor() {
    const char* text = std::getenv(control_variable);
    int number = -1;
    if (text == nullptr || std::from_chars(text, text + std::strlen(text), number).ec != std::errc{}) return -1;
    return number;
}

Result<void> send_control(int socket, std::string_view text, int descriptor) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
    if (descriptor >= 0) {
        message.msg_control = room.data();
        message.msg_controllen = room.size();
        auto* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
    }
    if (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
        return Error{Errc::service_away, std::string{"control socket: "} + std::strerror(errno)};
    return success();
}

Result<ControlMessage> receive_control(int socket) {
    std::array<char, control_text_limit> text{};
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room{};
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    ssize_t count = 0;
    do count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (count < 0 && errno == EINTR);
    if (count <= 0) return Error{Errc::service_away, "control socket closed"};
    ControlMessage out{{text.data(), static_cast<std::size_t>(count)}};
    if (const auto* header = CMSG_FIRSTHDR(&message);
        header != nullptr && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
        out.descriptor = Descriptor{descriptor};
    }
    return out;
}

int run(std::string_view name, int argc, char** argv,
        const std::function<Result<std::unique_ptr<Daemon>>(const std::filesystem::path&)>& start) {
    start_diagnostics(name);
    harden();
    (void)lock_memory();  // whether it could stands in confinement()
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGTERM);
    sigaddset(&handled, SIGINT);
    ::sigprocmask(SIG_BLOCK, &handled, nullptr);  // before any thread starts: all of them inherit it
    const Descriptor signals{::signalfd(-1, &handled, SFD_CLOEXEC)};

    const auto fail = [](const Error& error) {
        note(Level::alarm, "start-failed", {{"reason", describe(error)}});
        // What is away may be there the next time; what is wrong stays wrong, and a wrong PIN tried again locks its token.
        return error.code == Errc::configuration ? stay_down : 1;
    };
    const auto deployment = deployment_in(argc, argv);
    if (!deployment) return fail(deployment.error());
    const int control = control_descriptor();
    if (control < 0) return fail({Errc::configuration, "started by hand; daemons are started by `qscd up`"});
    const Descriptor socket{control};
    try {
        auto daemon = start(deployment.value());
        if (!daemon) return fail(daemon.error());
        note("started");
        if (const auto sent = send_control(socket.get(), "ready"); !sent) return fail(sent.error());
        serve(*daemon.value(), socket.get(), signals.get());
        daemon.value()->stop();
        note("stopped");
        return 0;
    } catch (const std::exception& bug) {
        return fail({Errc::internal, bug.what()});
    }
}

}  // namespace qscd::process
